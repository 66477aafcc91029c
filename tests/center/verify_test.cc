// The check of batches: a sample is inflated, or each where the lines themselves are wanted.
#include "center/verify.h"

#include <boost/test/unit_test.hpp>

#include "base/hash.h"

using namespace tailrace;

namespace {

struct Sample {
  BatchFields fields;
  std::string payload;
};

Sample batch_of(Codec codec, const std::string& raw, uint32_t count) {
  Sample batch;
  make_compressor(codec)->compress(raw, batch.payload);
  batch.fields.payload_codec = batch.fields.file_codec = codec;
  batch.fields.count = count;
  batch.fields.raw_len = static_cast<uint32_t>(raw.size());
  batch.fields.payload_len = static_cast<uint32_t>(batch.payload.size());
  batch.fields.payload_crc = crc32c(batch.payload);
  return batch;
}

bool takes(Verifier& verifier, const Sample& batch, uint64_t index, bool whole) {
  return verifier.check(batch.fields, batch.payload, index, whole).ok();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(verify)

BOOST_AUTO_TEST_CASE(the_lines_of_a_whole_batch_are_there) {
  const std::string raw = "one\ntwo\n\n";
  for (const Codec codec : {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy}) {
    Verifier verifier;
    const Sample batch = batch_of(codec, raw, 3);
    for (const uint64_t index : {0u, 17u, 63u})
      BOOST_TEST((takes(verifier, batch, index, true) && verifier.lines() == raw));
    BOOST_TEST(takes(verifier, batch, 17, false));
    BOOST_TEST(verifier.lines().empty());
  }
}

// What lies about its lines shows only to who looks inside.
BOOST_AUTO_TEST_CASE(each_batch_is_looked_into_or_a_sample) {
  for (const Codec codec : {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy})
    for (const Sample& lie : {batch_of(codec, "one\ntwo\n", 3), batch_of(codec, "one\ntwo", 1)}) {
      Verifier verifier;
      BOOST_TEST(!takes(verifier, lie, 15, false));
      BOOST_TEST(takes(verifier, lie, 17, false));
      BOOST_TEST(!takes(verifier, lie, 64, false));
      BOOST_TEST(!takes(verifier, lie, 17, true));
      BOOST_TEST(verifier.lines().empty());
    }
}

BOOST_AUTO_TEST_SUITE_END()
