// The batch head: golden bytes, round trips, and that damage is refused or harmless.
#include "flow/batch.h"

#include <rapidcheck.h>

#include "tests/flow/sample.h"

using namespace tailrace;

namespace {

std::string encoded(const BatchFields& f, const std::vector<SourceRange>& src = {},
                    const std::vector<MarkedLine>& marked = {}) {
  std::string out;
  encode_batch_head(f, src, marked, out);
  return out;
}
std::string sample_head() { return encoded(sample::fields(), sample::sources(), sample::marked()); }

// Reads all that a parsed head offers, as a user would: ASan and UBSan watch.
uint64_t walk(const BatchHead& head) {
  uint64_t sum = head.fields().end_seq();
  for (size_t i = 0; i < head.source_count(); ++i) sum += head.source(i).end - head.source(i).start;
  for (size_t i = 0; i < head.marked_count(); ++i) sum += head.marked(i).line;
  return sum;
}

// The promises of a head that was taken, whatever bytes it came from.
void check_sane(const BatchHead& head) {
  const BatchFields& f = head.fields();
  RC_ASSERT(f.count >= 1u && f.raw_len >= f.count && f.raw_len <= kMaxRawBytes);
  RC_ASSERT(f.payload_len >= 1u && f.payload_len <= kMaxRawBytes);
  RC_ASSERT(f.end_seq() > f.first_seq);
  uint64_t lines = 0;
  for (size_t i = 0; i < head.source_count(); ++i) {
    RC_ASSERT(head.source(i).start <= head.source(i).end);
    lines += head.source(i).lines;
  }
  RC_ASSERT(head.source_count() == 0 || lines == f.count);
  for (size_t i = 0; i < head.marked_count(); ++i) RC_ASSERT(head.marked(i).line < f.count);
}

rc::Gen<BatchFields> any_fields() {
  return rc::gen::exec([] {
    BatchFields f;
    f.flags = *rc::gen::arbitrary<uint16_t>();
    f.file_codec = static_cast<Codec>(*rc::gen::inRange(0, 4));
    f.payload_codec = *rc::gen::arbitrary<bool>() ? f.file_codec : Codec::none;
    f.envelope = static_cast<Envelope>(*rc::gen::inRange(0, 3));
    f.sub = *rc::gen::arbitrary<uint8_t>();
    f.stream = *rc::gen::arbitrary<uint32_t>();
    f.raw_len = *rc::gen::inRange<uint32_t>(1, kMaxRawBytes + 1);
    f.count = *rc::gen::inRange<uint32_t>(1, f.raw_len + 1);
    f.first_seq = *rc::gen::inRange<uint64_t>(0, UINT64_MAX - f.count);
    f.payload_len = f.payload_codec == Codec::none
                        ? f.raw_len
                        : *rc::gen::inRange<uint32_t>(1, kMaxRawBytes + 1);
    f.payload_crc = *rc::gen::arbitrary<uint32_t>();
    f.bucket = *rc::gen::arbitrary<uint32_t>();
    f.chain_before = *rc::gen::arbitrary<uint64_t>();
    f.chain_after = *rc::gen::arbitrary<uint64_t>();
    f.first_read_ms = *rc::gen::arbitrary<int64_t>();
    f.last_read_ms = *rc::gen::arbitrary<int64_t>();
    f.least_event_ms = *rc::gen::arbitrary<int64_t>();
    f.greatest_event_ms = *rc::gen::arbitrary<int64_t>();
    return f;
  });
}

// Ranges whose lines add up to `count`.
std::vector<SourceRange> any_sources(uint32_t count) {
  std::vector<SourceRange> src(*rc::gen::inRange<size_t>(0, 20));
  uint32_t left = count;
  for (SourceRange& s : src) {
    s.file = *rc::gen::arbitrary<uint32_t>();
    s.start = *rc::gen::arbitrary<uint64_t>();
    s.end = *rc::gen::inRange<uint64_t>(s.start, UINT64_MAX);
    s.lines = &s == &src.back() ? left : *rc::gen::inRange<uint32_t>(0, left + 1);
    left -= s.lines;
    s.head_hash = *rc::gen::arbitrary<uint32_t>();
    s.tail_hash = *rc::gen::arbitrary<uint32_t>();
  }
  return src;
}

std::vector<MarkedLine> any_marked(uint32_t count) {
  std::vector<MarkedLine> marked(*rc::gen::inRange<size_t>(0, 10));
  for (MarkedLine& m : marked) {
    m.line = *rc::gen::inRange<uint32_t>(0, count);
    m.mark = *rc::gen::arbitrary<uint8_t>();
  }
  return marked;
}

void check_refused(const BatchFields& f, const char* why, const std::vector<SourceRange>& src = {},
                   const std::vector<MarkedLine>& marked = {}) {
  const std::string bytes = encoded(f, src, marked);
  const auto head = BatchHead::parse(bytes);
  BOOST_TEST(!head.ok(), why);
  if (!head) BOOST_TEST((head.error().kind == Error::Kind::corrupt), why);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(batch)

BOOST_AUTO_TEST_CASE(golden) {
  const std::string bytes = sample::golden("batch_head_v1.bin", sample_head());
  BOOST_TEST((bytes == sample_head()));
  const auto head = BatchHead::parse(bytes);
  BOOST_REQUIRE(head.ok());
  BOOST_TEST((head->fields() == sample::fields()));
  BOOST_REQUIRE(head->source_count() == 2u);
  BOOST_TEST((head->source(0) == sample::sources()[0]));
  BOOST_TEST((head->source(1) == sample::sources()[1]));
  BOOST_REQUIRE(head->marked_count() == 2u);
  BOOST_TEST((head->marked(0) == sample::marked()[0]));
  BOOST_TEST((head->marked(1) == sample::marked()[1]));
  BOOST_TEST((head->bytes() == bytes));
}

BOOST_AUTO_TEST_CASE(what_is_encoded_is_parsed) {
  BOOST_TEST(rc::check("heads come back", [] {
    const BatchFields f = *any_fields();
    const auto src = any_sources(f.count);
    const auto marked = any_marked(f.count);
    std::string bytes = "before";
    encode_batch_head(f, src, marked, bytes);
    RC_ASSERT(bytes.starts_with("before"));
    const std::string_view view = std::string_view(bytes).substr(6);
    const auto head = BatchHead::parse(view);
    RC_ASSERT(head.ok());
    RC_ASSERT(head->fields() == f);
    RC_ASSERT(head->source_count() == src.size());
    for (size_t i = 0; i < src.size(); ++i) RC_ASSERT(head->source(i) == src[i]);
    RC_ASSERT(head->marked_count() == marked.size());
    for (size_t i = 0; i < marked.size(); ++i) RC_ASSERT(head->marked(i) == marked[i]);
    check_sane(*head);
  }));
}

BOOST_AUTO_TEST_CASE(every_truncation_is_refused) {
  const std::string whole = sample_head();
  for (size_t n = 0; n < whole.size(); ++n) {
    // A copy of just that length: a read past its end is a read past an allocation.
    const std::string cut = whole.substr(0, n);
    const auto head = BatchHead::parse(cut);
    BOOST_REQUIRE_MESSAGE(!head.ok(), n << " bytes were taken");
    BOOST_REQUIRE((head.error().kind == Error::Kind::corrupt));
  }
  BOOST_TEST(!BatchHead::parse(whole + '\0').ok());
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_refused_or_one_field_of_its_own) {
  const std::string whole = sample_head();
  size_t refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto head = BatchHead::parse(flipped);
    if (!head) {
      ++refused;
      BOOST_REQUIRE((head.error().kind == Error::Kind::corrupt));
      continue;
    }
    check_sane(*head);
    (void)walk(*head);
    const size_t byte = bit / 8;
    const bool reserved = byte == 7 || (byte >= 92 && byte < 100);
    const bool same =
        head->fields() == sample::fields() && head->source(0) == sample::sources()[0] &&
        head->source(1) == sample::sources()[1] && head->marked(0) == sample::marked()[0] &&
        head->marked(1) == sample::marked()[1];
    BOOST_REQUIRE_MESSAGE(same == reserved, "bit " << bit << " of byte " << byte);
  }
  BOOST_TEST(refused > 100u);  // version, codecs, envelope, counts, list lengths
}

BOOST_AUTO_TEST_CASE(any_bytes_are_refused_or_sane) {
  BOOST_TEST(rc::check("garbage with a good start", [] {
    std::string bytes = sample_head();
    const auto flips = *rc::gen::container<std::vector<std::pair<size_t, char>>>(
        rc::gen::pair(rc::gen::inRange<size_t>(0, bytes.size()), rc::gen::arbitrary<char>()));
    for (const auto& [at, to] : flips) bytes[at] = to;
    bytes.resize(bytes.size() - *rc::gen::inRange<size_t>(0, 2) * 5);
    const auto head = BatchHead::parse(bytes);
    if (!head) return;
    check_sane(*head);
    (void)walk(*head);
  }));
}

BOOST_AUTO_TEST_CASE(a_head_that_contradicts_itself_is_refused) {
  const BatchFields good = sample::fields();
  const auto but = [&](auto change) {
    BatchFields f = good;
    change(f);
    return f;
  };
  BOOST_TEST(BatchHead::parse(encoded(good)).ok());
  check_refused(but([](auto& f) { f.count = 0; }), "no line");
  check_refused(but([](auto& f) { f.raw_len = f.count - 1; }), "more lines than bytes");
  check_refused(but([](auto& f) { f.raw_len = kMaxRawBytes + 1; }), "over 4 MiB raw");
  check_refused(but([](auto& f) { f.payload_len = 0; }), "no payload");
  check_refused(but([](auto& f) { f.payload_len = kMaxRawBytes + 1; }), "over 4 MiB of payload");
  check_refused(but([](auto& f) { f.payload_codec = Codec::none; }), "raw, but of another length");
  check_refused(but([](auto& f) { f.file_codec = Codec::zstd; }), "a gzip payload for a zstd file");
  check_refused(but([](auto& f) { f.file_codec = static_cast<Codec>(4); }), "no such codec");
  check_refused(but([](auto& f) { f.envelope = static_cast<Envelope>(3); }), "no such envelope");
  check_refused(but([](auto& f) { f.first_seq = UINT64_MAX - 4; }), "seq overflows");
  BOOST_TEST(BatchHead::parse(encoded(but([](auto& f) { f.first_seq = UINT64_MAX - 5; }))).ok());
  check_refused(good, "a range ends before it starts", {{1, 10, 9, 5, 0, 0}});
  check_refused(good, "ranges have too few lines", {{1, 0, 9, 4, 0, 0}});
  check_refused(good, "their sum overflows 32 bits to the count",
                {{1, 0, 9, UINT32_MAX, 0, 0}, {1, 9, 20, 6, 0, 0}});
  check_refused(good, "a mark outside", {}, {{5, kBatchSplit}});
}

BOOST_AUTO_TEST_CASE(as_many_ranges_as_allowed_and_no_more) {
  BatchFields f = sample::fields();
  f.count = kMaxSourceRanges;
  std::vector<SourceRange> src(kMaxSourceRanges, SourceRange{1, 0, 1, 1, 0, 0});
  std::string bytes = encoded(f, src);
  BOOST_TEST(BatchHead::parse(bytes).ok());
  bytes[40] = 1;  // the number of ranges, 4096, becomes 4097
  bytes += std::string(32, '\0');
  BOOST_TEST(!BatchHead::parse(bytes).ok());
}

BOOST_AUTO_TEST_CASE(chains_are_written_in_place) {
  std::string bytes = sample_head();
  patch_batch_chains(bytes, 1, 2);
  BatchFields f = sample::fields();
  f.chain_before = 1;
  f.chain_after = 2;
  BOOST_TEST((bytes == encoded(f, sample::sources(), sample::marked())));
}

BOOST_AUTO_TEST_CASE(source_hash_is_the_low_half_of_xxh3) {
  BOOST_TEST(source_hash("abc") == 0x892F3950u);
  BOOST_TEST(source_hash("") == 0x38D394C2u);
}

BOOST_AUTO_TEST_SUITE_END()
