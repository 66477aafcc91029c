// HDFS's checksums of files, as Hadoop 3.4 told them of the same bytes, and what is no checksum of
// ours.
#include "sinks/store/hdfs_checksum.h"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>

#include "tests/sinks/conformance.h"

using namespace tailrace;
using namespace tailrace::testing;

namespace {

std::string bytes_of(size_t n) {
  std::string out(n, '\0');
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<char>((i * 31 + (i >> 8)) & 0xff);
  return out;
}

HttpBody body_of(const std::string& bytes) {
  return {bytes.size(), [&bytes](uint64_t offset, char* into, size_t n) -> Result<size_t> {
            std::memcpy(into, bytes.data() + offset, n);
            return n;
          }};
}

// Of bytes_of(2'500'000).
const HdfsChecksum kOneBlock = {"MD5-of-0MD5-of-512CRC32C",
                                "000002000000000000000000c0f011fc7b16b9bd68a705e99148fc0e00000000"};
const HdfsChecksum kBlocks = {
    "MD5-of-2048MD5-of-512CRC32C",
    "000002000000000000000800da2efa388635e04cb01139faa17c83e500000000"};  // of 1 MiB
const HdfsChecksum kComposite = {"COMPOSITE-CRC32C", "475a37c4"};

}  // namespace

BOOST_AUTO_TEST_SUITE(hdfs_checksum)

BOOST_AUTO_TEST_CASE(what_hadoop_says_of_the_same_bytes) {
  std::string bytes = bytes_of(2'500'000);
  for (const HdfsChecksum& theirs : {kOneBlock, kBlocks, kComposite}) {
    BOOST_TEST(must(is_checksum_of(theirs, body_of(bytes))), theirs.algorithm);
    for (const size_t at : {size_t{0}, size_t{1} << 20, bytes.size() - 1}) {
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      BOOST_TEST(!must(is_checksum_of(theirs, body_of(bytes))), theirs.algorithm);
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_known_proves_nothing) {
  const std::string bytes = bytes_of(10), md5(32, '0');
  for (const HdfsChecksum& theirs : {
           HdfsChecksum{"", ""},
           HdfsChecksum{"MD5-of-0MD5-of-512CRC32", kOneBlock.bytes},  // zlib's
           HdfsChecksum{"COMPOSITE-CRC32", "00000000"},
           HdfsChecksum{"COMPOSITE-CRC32C", "000000"},
           HdfsChecksum{kOneBlock.algorithm, kOneBlock.bytes.substr(0, 54)},
           HdfsChecksum{kOneBlock.algorithm, "x" + kOneBlock.bytes.substr(1)},
           // No bytes a CRC; more than anybody has; as many CRCs a block.
           HdfsChecksum{kOneBlock.algorithm, "000000000000000000000000" + md5},
           HdfsChecksum{kOneBlock.algorithm, "ffffffff0000000000000000" + md5},
           HdfsChecksum{kOneBlock.algorithm, "00000200ffffffffffffffff" + md5},
       }) {
    const auto same = is_checksum_of(theirs, body_of(bytes));
    BOOST_REQUIRE(!same.ok());
    BOOST_TEST((same.error().kind == Error::Kind::retry_later));
    BOOST_TEST(same.error().text.find("dfs.checksum.type") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_body_that_cannot_be_read_is_no_verdict) {
  HttpBody body = {10, [](uint64_t, char*, size_t) -> Result<size_t> {
                     return Error{Error::Kind::retry_later, "no disk"};
                   }};
  BOOST_TEST(is_checksum_of(kOneBlock, body).error().text == "no disk");
  body.read = [](uint64_t, char*, size_t) -> Result<size_t> { return size_t{3}; };
  BOOST_TEST(!is_checksum_of(kComposite, body).ok());
}

BOOST_AUTO_TEST_SUITE_END()
