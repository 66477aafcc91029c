// The spool's bytes: what is written is read back, and nothing else is taken for it.
#include "local/spool_record.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"

using namespace tailrace;

namespace {

SpoolTables sample_tables() {
  SpoolTables t;
  t.local_id = 0x1122334455667788;
  t.start = 0xA1;
  t.start_before = 0xA0;
  t.streams[1] = {1, "nginx.access", 0, {300, 0xC300}, {100, 0xC100}};
  t.streams[7] = {7, "syslog", 3, {5, 0xC5}, {0, 0}};
  t.files[9] = {9, std::string("\x01\x00\x02", 3), "/var/log/a b\n", 2, 4711, 0xAAAA, 0xBBBB};
  t.cursors[{0x51, 1}] = {200, 0xC200};
  t.cursors[{0x52, 1}] = {100, 0xC100};
  t.gaps[{1, 220}] = {1, 220, 30, 0xC250, "spool damaged", {0x51}};
  return t;
}

// One segment with every type of record, as the golden file holds it.
std::string sample_segment() {
  constexpr uint64_t kEra = 6, kLocal = 0x1122334455667788;
  std::string out;
  encode_segment_header({kEra, kLocal, 40, 39}, out);
  uint64_t lsn = 40;
  const auto add = [&](RecordType type, const std::string& body, const std::string& payload = "") {
    RecordHeader h;
    h.type = type;
    h.body_len = static_cast<uint32_t>(body.size());
    h.payload_len = static_cast<uint32_t>(payload.size());
    h.lsn = lsn++;
    h.durable_lsn = 39;
    h.crc = record_crc(h, body, record_seed(kEra, kLocal));
    encode_record_header(h, out);
    out += body + payload;
  };
  const auto body = [](auto encode) {
    std::string b;
    encode(b);
    return b;
  };
  const SpoolTables t = sample_tables();
  add(RecordType::snapshot, body([&](auto& b) { encode_snapshot(t, b); }));
  add(RecordType::start, body([&](auto& b) { encode_start(0xA2, b); }));
  add(RecordType::stream_def, body([&](auto& b) { encode_stream_def(t.streams.at(7), {}, b); }));
  add(RecordType::file_def, body([&](auto& b) { encode_file_def(t.files.at(9), b); }));
  add(RecordType::file_gone, body([&](auto& b) { encode_file_gone(9, b); }));
  BatchFields f;
  f.stream = 1;
  f.first_seq = 300;
  f.count = 2;
  f.raw_len = f.payload_len = 8;
  const std::string payload = "one\ntwo\n";
  f.payload_crc = crc32c(payload);
  f.chain_before = 0xC300;
  f.chain_after = next_chain(0xC300, f.payload_crc, 2);
  add(RecordType::batch, body([&](auto& b) {
        encode_batch_head(f, {{9, 4711, 4719, 2, 1, 2}}, {}, b);
      }),
      payload);
  add(RecordType::cursor, body([&](auto& b) { encode_cursor({0x51, 1, {300, 0xC300}}, b); }));
  add(RecordType::gap, body([&](auto& b) { encode_gap(t.gaps.at({1, 220}), b); }));
  add(RecordType::file_gap, body([&](auto& b) {
        encode_file_gap({9, 4719, UINT64_MAX, "copytruncate"}, b);
      }));
  add(RecordType::watermark, body([&](auto& b) { encode_watermark(1, 1'900'000, b); }));
  add(RecordType::retire, body([&](auto& b) { encode_retire(0x99, b); }));
  add(RecordType::clean_shutdown, "");
  out.resize(2048, '\0');
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(spool_record)

// A golden file never changes once released; TAILRACE_WRITE_GOLDEN=1 makes that of a new layout.
BOOST_AUTO_TEST_CASE(golden_segment) {
  const std::string path = std::string(TAILRACE_GOLDEN_DIR) + "/spool_segment_v1.bin";
  if (std::getenv("TAILRACE_WRITE_GOLDEN") != nullptr)
    BOOST_REQUIRE(replace_file(path, sample_segment()).ok());
  const auto golden = read_file(path, 1 << 20);
  BOOST_REQUIRE(golden.ok());
  BOOST_TEST((*golden == sample_segment()));

  const auto header = decode_segment_header(*golden);
  BOOST_REQUIRE(header.ok());
  BOOST_TEST(header->era == 6u);
  BOOST_TEST(header->local_id == 0x1122334455667788u);
  BOOST_TEST(header->first_lsn == 40u);
  BOOST_TEST(header->durable_lsn == 39u);
  size_t at = kSegmentHeaderBytes;
  for (uint8_t type = 1; type <= 12; ++type) {
    const RecordHeader h = decode_record_header(std::string_view(*golden).substr(at));
    BOOST_TEST(static_cast<int>(h.type) == type);
    BOOST_TEST(h.lsn == 39u + type);
    const std::string_view body =
        std::string_view(*golden).substr(at + kRecordHeaderBytes, h.body_len);
    BOOST_TEST(record_crc(h, body, record_seed(6, header->local_id)) == h.crc);
    if (h.type == RecordType::snapshot)
      BOOST_TEST((decode_snapshot(body).value() == sample_tables()));
    if (h.type == RecordType::start) BOOST_TEST(decode_start(body).value() == 0xA2u);
    if (h.type == RecordType::file_def)
      BOOST_TEST((decode_file_def(body).value() == sample_tables().files.at(9)));
    if (h.type == RecordType::gap)
      BOOST_TEST((decode_gap(body).value() == sample_tables().gaps.at({1, 220})));
    if (h.type == RecordType::file_gap)
      BOOST_TEST(decode_file_gap(body).value().reason == "copytruncate");
    at += h.bytes();
  }
}

BOOST_AUTO_TEST_CASE(names) {
  BOOST_TEST(spool_name(SpoolName::segment, 0x1f) == "000000001f.seg");
  BOOST_TEST(spool_name(SpoolName::fresh, 2) == "0000000002.new");
  BOOST_TEST(spool_name(SpoolName::spare, UINT64_MAX >> 24) == "ffffffffff.free");
  for (const auto kind : {SpoolName::segment, SpoolName::fresh, SpoolName::spare})
    BOOST_TEST(
        (parse_spool_name(spool_name(kind, 0xABCDEF)) == std::pair(kind, uint64_t{0xABCDEF})));
  for (const char* other : {"", ".seg", "000000001f", "000000001F.seg", "000000001f.seg~",
                            "0000000001f.seg", "lock", "00000000g1.seg"})
    BOOST_TEST((parse_spool_name(other).first == SpoolName::other), other);
}

BOOST_AUTO_TEST_CASE(a_header_of_another_version_says_so) {
  std::string bytes;
  encode_segment_header({1, 2, 3, 2}, bytes);
  bytes[8] = 2;
  std::string crc;
  ByteWriter(crc).u32(crc32c(std::string_view(bytes).substr(0, 60)));
  bytes.replace(60, 4, crc);
  const auto header = decode_segment_header(bytes);
  BOOST_REQUIRE(!header.ok());
  BOOST_TEST((header.error().kind == Error::Kind::rejected));
  BOOST_TEST(header.error().text.find("format 2") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_makes_a_header_or_a_record_invalid) {
  BOOST_TEST(rc::check("any bit of a segment header", [] {
    std::string bytes;
    encode_segment_header({*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>(),
                           *rc::gen::arbitrary<uint64_t>(), 0},
                          bytes);
    const auto bit = *rc::gen::inRange<size_t>(0, bytes.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    RC_ASSERT(!decode_segment_header(bytes).ok());
  }));
  BOOST_TEST(rc::check("any bit of a record's header and body, its era, its spool", [] {
    const auto body = *rc::gen::arbitrary<std::string>();
    const auto era = *rc::gen::arbitrary<uint64_t>();
    RecordHeader h;
    h.type = RecordType::start;
    h.body_len = static_cast<uint32_t>(body.size());
    h.lsn = *rc::gen::arbitrary<uint64_t>();
    h.durable_lsn = *rc::gen::arbitrary<uint64_t>();
    h.crc = record_crc(h, body, record_seed(era, 5));
    std::string bytes;
    encode_record_header(h, bytes);
    bytes += body;
    const auto valid = [&](const std::string& b, uint64_t e, uint64_t local) {
      const RecordHeader d = decode_record_header(b);
      return record_crc(d, std::string_view(b).substr(kRecordHeaderBytes), record_seed(e, local)) ==
             d.crc;
    };
    RC_ASSERT(valid(bytes, era, 5));
    RC_ASSERT(!valid(bytes, era + 1, 5));
    RC_ASSERT(!valid(bytes, era, 6));
    const auto bit = *rc::gen::inRange<size_t>(0, bytes.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    RC_ASSERT(!valid(bytes, era, 5));
  }));
}

BOOST_AUTO_TEST_CASE(bodies_come_back_and_cut_ones_do_not) {
  BOOST_TEST(rc::check("snapshot", [] {
    SpoolTables t;
    t.local_id = *rc::gen::arbitrary<uint64_t>();
    t.start = *rc::gen::arbitrary<uint64_t>();
    for (const auto id : *rc::gen::arbitrary<std::vector<uint32_t>>())
      t.streams[id] = {id, "c" + std::to_string(id), static_cast<uint8_t>(id), {id, id}, {1, 2}};
    for (const auto& text : *rc::gen::arbitrary<std::vector<std::string>>()) {
      const auto id = static_cast<FileId>(t.files.size());
      t.files[id] = {id, text, text + "/x", id, id * 7ull, id, id};
      t.cursors[{id, id}] = {id, mix64(id)};
      t.gaps[{id, id}] = {id, id, 3, 4, text, {id, 5}};
      t.gaps[{id, id + 1}] = {id, id + 1, 3, 4, GapInfo::kGivenUp, {}, {{id, mix64(id)}, {7, 8}}};
    }
    std::string before, body;
    encode_snapshot(t, before);
    RC_ASSERT(decode_snapshot(before).value() == t);
    t.waits = {{*rc::gen::arbitrary<uint64_t>(), 1}};
    encode_snapshot(t, body);
    RC_ASSERT(decode_snapshot(body).value() == t);
    RC_ASSERT(decode_snapshot(body + "later fields").value() == t);
    body.resize(*rc::gen::inRange<size_t>(0, body.size()));
    RC_ASSERT(!decode_snapshot(body) || body == before);  // which is whole
  }));
}

// What only a spool has that took the place of a lost one.
BOOST_AUTO_TEST_CASE(sinks_that_wait_and_origins) {
  SpoolTables t = sample_tables();
  std::string plain;
  encode_snapshot(t, plain);
  t.waits = {{0x51, 7}, {0x53, 1}};
  t.origins = {{0x52, 1}};
  std::string more;
  encode_snapshot(t, more);
  BOOST_TEST((decode_snapshot(more).value() == t));
  using namespace std::string_literals;
  BOOST_TEST((more == plain + "\2\0\0\0\x51\0\0\0\0\0\0\0\7\0\0\0\x53\0\0\0\0\0\0\0\1\0\0\0"
                              "\1\0\0\0\x52\0\0\0\0\0\0\0\1\0\0\0"s));
  for (size_t n = plain.size() + 1; n < more.size(); ++n)
    BOOST_TEST(!decode_snapshot(std::string_view(more).substr(0, n)).has_value());

  std::string def, ahead;
  encode_stream_def(t.streams.at(7), {}, def);
  encode_stream_def(t.streams.at(7), {0x51, 0x53}, ahead);
  BOOST_TEST((ahead == def + "\2\0\x51\0\0\0\0\0\0\0\x53\0\0\0\0\0\0\0"s));
  BOOST_TEST(decode_stream_def(def).value().ahead.empty());
  const auto defined = decode_stream_def(ahead).value();
  BOOST_TEST(defined.stream.category == "syslog");
  BOOST_TEST((defined.ahead == std::set<uint64_t>{0x51, 0x53}));
  BOOST_TEST(!decode_stream_def(std::string_view(ahead).substr(0, ahead.size() - 1)).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
