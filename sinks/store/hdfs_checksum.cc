#include "sinks/store/hdfs_checksum.h"

#include <openssl/evp.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/hash.h"
#include "base/units.h"

namespace tailrace {

namespace {

constexpr size_t kPiece = 256u << 10;
constexpr uint64_t kMostChunk = 1u << 20;
constexpr uint64_t kMostChunks = 1ull << 40;  // of a block
constexpr size_t kMd5Bytes = 16;
constexpr size_t kLeastBuffer = 32;
constexpr size_t kMd5OfMd5s = 4 + 8 + kMd5Bytes;  // bytes a CRC, CRCs a block, the MD5

Error cannot(std::string text) { return Error{Error::Kind::retry_later, std::move(text)}; }

class Md5 {
 public:
  Md5() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { begin(); }
  [[nodiscard]] bool works() const { return works_; }
  void update(std::string_view bytes) {
    works_ = works_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
  }
  // And begins anew.
  [[nodiscard]] std::string digest() {
    unsigned char out[EVP_MAX_MD_SIZE] = {};
    works_ = works_ && EVP_DigestFinal_ex(context_.get(), out, nullptr) == 1;
    begin();
    return {out, out + kMd5Bytes};
  }

 private:
  void begin() {  // refused where FIPS 140 allows no MD5
    works_ = works_ && context_ && EVP_DigestInit_ex(context_.get(), EVP_md5(), nullptr) == 1;
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  bool works_ = true;
};

std::string big_endian(uint32_t number) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
  return out;
}

uint64_t number_in(std::string_view bytes) {
  uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

// Calls `on` with pieces of `most` bytes, and a shorter one where `borders` (a multiple of `most`;
// 0: none) or the file ends.
Result<void> each_piece(const HttpBody& body, size_t most, uint64_t borders,
                        const std::function<void(std::string_view, uint64_t end)>& on) {
  std::string piece;
  for (uint64_t at = 0; at < body.length; at += piece.size()) {
    uint64_t n = std::min<uint64_t>(most, body.length - at);
    if (borders > 0) n = std::min(n, borders - at % borders);
    piece.resize(n);
    const auto got = body.read(at, piece.data(), n);
    if (!got) return got.error();
    if (*got != n) return cannot("a file that is sent has become shorter");
    on(piece, at + n);
  }
  return {};
}

Result<std::string> crc_of_all(const HttpBody& body) {
  uint32_t crc = 0;
  const auto read = each_piece(body, kPiece, 0,
                               [&](std::string_view piece, uint64_t) { crc = crc32c(piece, crc); });
  if (!read) return read.error();
  return big_endian(crc);
}

// `block`: bytes; 0: all of it is one.
Result<std::string> md5_of_md5s(const HttpBody& body, uint64_t chunk, uint64_t block) {
  Md5 of_block, of_file;
  size_t digests = 0;
  const size_t most = std::max<size_t>(kPiece / chunk, 1) * chunk;
  const auto read = each_piece(body, most, block, [&](std::string_view piece, uint64_t end) {
    std::string crcs;
    for (; !piece.empty(); piece.remove_prefix(std::min<size_t>(chunk, piece.size())))
      crcs += big_endian(crc32c(piece.substr(0, chunk)));
    of_block.update(crcs);
    if (end < body.length && (block == 0 || end % block != 0)) return;
    of_file.update(of_block.digest());
    digests += kMd5Bytes;
  });
  if (!read) return read.error();
  // Hadoop sums its whole buffer of digests, which doubles as it grows, with the zeros behind them.
  size_t buffer = kLeastBuffer;
  while (buffer < digests) buffer *= 2;
  of_file.update(std::string(buffer - digests, '\0'));
  std::string out = of_file.digest();
  if (of_block.works() && of_file.works()) return out;
  return cannot("this machine's OpenSSL makes no MD5 (FIPS 140?), which HDFS's checksums are of");
}

std::optional<std::string> from_hex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  if (text.size() % 2 != 0) return std::nullopt;
  for (size_t i = 0; i < text.size(); i += 2) {
    const size_t high = kDigits.find(text[i]), low = kDigits.find(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

}  // namespace

Result<bool> is_checksum_of(const HdfsChecksum& theirs, const HttpBody& body) {
  const auto bytes = from_hex(theirs.bytes);
  const std::string_view name = theirs.algorithm;
  const Error unknown =
      cannot("a checksum of the kind '" + escape(name, 100) +
             "', which is not known here: HDFS must make CRC32C (dfs.checksum.type)");
  if (!bytes) return unknown;
  if (name == "COMPOSITE-CRC32C" && bytes->size() >= 4) {
    const auto ours = crc_of_all(body);
    if (!ours) return ours.error();
    return bytes->compare(0, 4, *ours) == 0;
  }
  if (!name.starts_with("MD5-of-") || !name.ends_with("CRC32C") || bytes->size() < kMd5OfMd5s)
    return unknown;
  const std::string_view all = *bytes;  // behind them may stand zeros
  const uint64_t chunk = number_in(all.substr(0, 4)), chunks = number_in(all.substr(4, 8));
  if (chunk == 0 || chunk > kMostChunk || chunks > kMostChunks) return unknown;
  const auto ours = md5_of_md5s(body, chunk, chunks * chunk);
  if (!ours) return ours.error();
  return all.substr(12, kMd5Bytes) == *ours;
}

}  // namespace tailrace
