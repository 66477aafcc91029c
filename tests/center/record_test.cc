// Layouts of records: golden files, round trips, and that nothing damaged is ever taken for whole.
#include "center/record.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "center/names.h"

using namespace tailrace;

namespace {

const std::string kIncarnation = incarnation_name({1795528800123, 0x0123456789ABCDEF});

CommittedFile sample_file(uint32_t k) {
  CommittedFile file;
  file.category = "nginx.access";
  file.codec = k == 0 ? Codec::gzip : Codec::none;
  file.stage = stage_path(file.category, kIncarnation, 0xA0 + k);
  file.final_path =
      final_path("nginx.access/dt=2026-11-24/hr=13",
                 {file.category, 1795529000, "center-1", kIncarnation, 7, k, file.codec});
  file.bytes = 134'217'728 + k;
  file.xxh3 = 0xFEDCBA9876543210;
  file.lines = 9'000'000;
  file.raw_bytes = 1'500'000'000;
  file.hosts = 12;
  file.bucket = 1'995'032;
  file.least_ms = 1795528900000;
  file.greatest_ms = 1795529000000;
  return file;
}

std::vector<LaneRanges> sample_lanes() {
  StreamRange plain{{0x1111, 0}, 100, 250, 0xC0FFEE, 0, {}};
  StreamRange gaps{{0x2222, 3}, 0, 50, 0xBEEF, kFinal, {{0, 5, "quarantine"}, {40, 10, "drop"}}};
  StreamRange mark{{0x3333, 0}, 9, 9, 0xDEAD, kFinal, {}};
  return {{Lane{"nginx.access", 8, 3}, {plain, gaps}}, {Lane{"app", 1, 0}, {mark}}};
}

CommitRecord sample_commit() {
  CommitRecord record;
  record.settings_version = 4;
  record.cluster = 0xC1;
  record.sink = 0x51;
  record.incarnation = kIncarnation;
  record.entry = 7;
  record.uuid = 0xABCDEF;
  record.prev_crc = 0x12345678;
  record.time_ms = 1795529001000;
  record.pending = {{stage_path("app", kIncarnation, 5), "app/dt=2026-11-24/hr=12/old.log.gz", 77}};
  record.files = {sample_file(0), sample_file(1)};
  record.lanes = sample_lanes();
  record.sidecar = "_tailrace/sidecar/7";
  return record;
}

CommitRecord sample_fence() {
  CommitRecord record;
  record.cluster = 0xC1;
  record.sink = 0x51;
  record.incarnation = kIncarnation;
  record.entry = 8;
  record.uuid = 0xFE2CE;
  record.kind = CommitRecord::Kind::fence;
  record.time_ms = 1795529009000;
  return record;
}

LaneClaim sample_claim() {
  LaneClaim claim;
  claim.lane = {"nginx.access", 8, 3};
  claim.cluster = 0xC1;
  claim.sink = 0x51;
  claim.epoch = 3;
  claim.uuid = 0xC1A1;
  claim.incarnation = kIncarnation;
  claim.address = "10.0.0.7:17410";
  claim.claim_entry = 8;
  claim.table = {{{0x1111, 0}, 250, 0xC0FFEE, 0},
                 {{0x1111, 1}, 3, 0xAA, 0},
                 {{0x2222, 3}, 50, 0xBEEF, kFinal}};
  claim.archive = "_tailrace/archive/1";
  return claim;
}

Manifest sample_manifest() {
  return {0xC1, 0x51, kIncarnation, 0x3A41, 1, 6, {sample_file(1)}, sample_lanes()};
}

Announcement sample_announcement() {
  return {"center-1", "10.0.0.7:17410", 0x57A7E, "0.1.0", 1795528800123};
}

SinkIdentity sample_identity() { return {0x51, 0xC1, "_tailrace"}; }

// A golden file never changes once released; TAILRACE_WRITE_GOLDEN=1 makes those of a new layout.
template <class T>
void check_golden(const std::string& name, const T& sample) {
  const std::string path = std::string(TAILRACE_GOLDEN_DIR) + "/" + name;
  if (std::getenv("TAILRACE_WRITE_GOLDEN") != nullptr)
    BOOST_REQUIRE(replace_file(path, sample.encode()).ok());
  const auto golden = read_file(path, 1 << 20);
  BOOST_REQUIRE_MESSAGE(golden.ok(), (golden.ok() ? "" : golden.error().text));
  BOOST_TEST((*golden == sample.encode()), name << " is not what encode() gives");
  const auto decoded = T::decode(*golden);
  BOOST_REQUIRE_MESSAGE(decoded.ok(), (decoded.ok() ? "" : decoded.error().text));
  BOOST_TEST((*decoded == sample));
}

template <class T>
void check_damage_is_refused(const T& sample) {
  const std::string whole = sample.encode();
  for (size_t n = 0; n < whole.size(); ++n) {
    const auto cut = T::decode(std::string_view(whole).substr(0, n));
    BOOST_REQUIRE(!cut.ok());
    BOOST_REQUIRE(cut.error().kind == Error::Kind::corrupt);
  }
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto decoded = T::decode(flipped);
    BOOST_REQUIRE_MESSAGE(!decoded.ok(), "bit " << bit << " flipped and taken");
    BOOST_REQUIRE(decoded.error().kind == Error::Kind::corrupt);
  }
  BOOST_TEST(!T::decode(whole + '\0').ok());
}

// The bytes with a field changed and the checksum made right again.
std::string patched(std::string bytes, size_t offset, char value) {
  bytes[offset] = value;
  const std::string_view body = std::string_view(bytes).substr(0, bytes.size() - 4);
  ByteWriter(bytes).patch(body.size(), crc32c(body));
  return bytes;
}

std::string random_text(Rng& rng, size_t most) {
  std::string text(rng.below(most + 1), ' ');
  for (char& c : text) c = static_cast<char>('a' + rng.below(26));
  return text;
}

CommitRecord random_commit(uint64_t seed) {
  Rng rng(seed);
  CommitRecord record = sample_commit();
  record.entry = rng.next();
  record.uuid = rng.next();
  record.prev_crc = static_cast<uint32_t>(rng.next());
  record.time_ms = static_cast<int64_t>(rng.next());
  record.pending.resize(rng.below(4), record.pending.front());
  for (FileRef& file : record.pending) file.bytes = rng.next();
  record.files.resize(rng.below(5), sample_file(0));
  for (CommittedFile& file : record.files)
    if (rng.chance(0.3)) file.format = FileFormat::sequence;
  for (CommittedFile& file : record.files) {
    file.lines = rng.next();
    file.final_path = "app/" + random_text(rng, 40) + "x";
    file.codec = static_cast<Codec>(rng.below(4));
    file.least_ms = static_cast<int64_t>(rng.next());
  }
  record.lanes.clear();
  for (size_t i = rng.below(4); i > 0; --i) {
    LaneRanges lane{Lane{"c" + random_text(rng, 20), 64, static_cast<uint8_t>(rng.below(64))}, {}};
    for (size_t j = rng.below(6); j > 0; --j) {
      StreamRange range;
      range.key = {rng.next(), static_cast<uint8_t>(rng.next())};
      range.from_seq = rng.next() >> 1;
      range.to_seq = range.from_seq + rng.below(1 << 20);
      range.chain_to = rng.next();
      range.flags = static_cast<uint8_t>(rng.below(2));
      for (uint64_t at = range.from_seq; at < range.to_seq && rng.chance(0.4);) {
        const uint64_t count = 1 + rng.below(range.to_seq - at);
        range.gaps.push_back({at, count, random_text(rng, 12)});
        at += count;
      }
      lane.ranges.push_back(range);
    }
    record.lanes.push_back(lane);
  }
  record.sidecar = rng.chance(0.5) ? "" : "x/" + random_text(rng, 9) + "y";
  return record;
}

LaneClaim random_claim(uint64_t seed) {
  Rng rng(seed);
  LaneClaim claim = sample_claim();
  claim.kind = static_cast<LaneClaim::Kind>(1 + rng.below(4));
  if (rng.chance(0.2)) claim.lane = Lane{};
  claim.epoch = rng.next();
  claim.address = random_text(rng, 30);
  claim.table.clear();
  for (uint64_t id = rng.below(50); rng.chance(0.9); id += 1 + rng.below(1u << 30))
    claim.table.push_back({{id, static_cast<uint8_t>(rng.next())},
                           rng.next(),
                           rng.next(),
                           static_cast<uint8_t>(rng.below(2))});
  return claim;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(record)

BOOST_AUTO_TEST_CASE(golden_files) {
  check_golden("commit_record_v1.bin", sample_commit());
  check_golden("fence_record_v1.bin", sample_fence());
  check_golden("lane_claim_v1.bin", sample_claim());
  check_golden("manifest_v1.bin", sample_manifest());
  check_golden("announcement_v1.bin", sample_announcement());
  check_golden("sink_identity_v1.bin", sample_identity());
}

BOOST_AUTO_TEST_CASE(every_truncation_and_every_flipped_bit_is_refused) {
  check_damage_is_refused(sample_commit());
  check_damage_is_refused(sample_fence());
  check_damage_is_refused(sample_claim());
  check_damage_is_refused(sample_manifest());
  check_damage_is_refused(sample_announcement());
  check_damage_is_refused(sample_identity());
}

BOOST_AUTO_TEST_CASE(round_trips) {
  const bool commits =
      rc::check("commit records come back, of the size foretold", [](uint64_t seed) {
        const CommitRecord record = random_commit(seed);
        const std::string bytes = record.encode();
        RC_ASSERT(bytes.size() == encoded_size(record));
        const auto decoded = CommitRecord::decode(bytes);
        RC_ASSERT(decoded.ok());
        RC_ASSERT(*decoded == record);
        RC_ASSERT(decoded->encode() == bytes);
      });
  BOOST_TEST(commits);
  const bool claims = rc::check("claims come back, of the size foretold", [](uint64_t seed) {
    const LaneClaim claim = random_claim(seed);
    const std::string bytes = claim.encode();
    RC_ASSERT(bytes.size() == encoded_size(claim));
    const auto decoded = LaneClaim::decode(bytes);
    RC_ASSERT(decoded.ok());
    RC_ASSERT(*decoded == claim);
  });
  BOOST_TEST(claims);
}

BOOST_AUTO_TEST_CASE(random_bytes_are_refused) {
  const bool refused =
      rc::check("garbage with a right envelope is corrupt or comes back", [](uint64_t seed) {
        Rng rng(seed);
        std::string bytes = random_commit(seed).encode();
        // Damage the fields, then make the checksum right: only the fields' own rules are left.
        for (size_t i = 1 + rng.below(4); i > 0; --i)
          bytes[9 + rng.below(bytes.size() - 13)] = static_cast<char>(rng.next());
        bytes = patched(bytes, bytes.size() - 5, bytes[bytes.size() - 5]);
        const auto decoded = CommitRecord::decode(bytes);
        if (decoded.ok()) RC_ASSERT(decoded->encode() == bytes);
      });
  BOOST_TEST(refused);
}

BOOST_AUTO_TEST_CASE(parts_add_up_to_the_whole) {
  CommitRecord record = sample_commit();
  const size_t before = encoded_size(record);
  record.files.push_back(sample_file(3));
  record.pending.push_back(record.pending.front());
  record.lanes.push_back({Lane{"app", 1, 0}, {}});
  record.lanes.back().ranges.push_back(sample_lanes()[0].ranges[1]);
  BOOST_TEST(encoded_size(record) == before + encoded_size(record.files.back()) +
                                         encoded_size(record.pending.back()) +
                                         encoded_size(record.lanes.back()));
  const LaneRanges empty{Lane{"app", 1, 0}, {}};
  BOOST_TEST(encoded_size(record.lanes.back()) ==
             encoded_size(empty) + encoded_size(record.lanes.back().ranges[0]));
}

BOOST_AUTO_TEST_CASE(a_newer_version_is_told_apart_from_damage) {
  const std::string newer = patched(sample_commit().encode(), 4, 2);
  const auto decoded = CommitRecord::decode(newer);
  BOOST_REQUIRE(!decoded.ok());
  BOOST_TEST((decoded.error().kind == Error::Kind::rejected));
  BOOST_TEST(decoded.error().text.find("newer version") != std::string::npos);
  BOOST_TEST((CommitRecord::decode(patched(sample_commit().encode(), 4, 0)).error().kind ==
              Error::Kind::corrupt));
}

BOOST_AUTO_TEST_CASE(one_kind_is_not_taken_for_another) {
  BOOST_TEST(!LaneClaim::decode(sample_commit().encode()).ok());
  BOOST_TEST(!CommitRecord::decode(sample_claim().encode()).ok());
  BOOST_TEST(!Manifest::decode(sample_commit().encode()).ok());
  BOOST_TEST(!SinkIdentity::decode("").ok());
}

BOOST_AUTO_TEST_CASE(rules_of_content) {
  // The kind is the first field, right behind the nine bytes of the head.
  BOOST_TEST(!CommitRecord::decode(patched(sample_commit().encode(), 9, 3)).ok());
  BOOST_TEST(!CommitRecord::decode(patched(sample_commit().encode(), 9, 2)).ok());  // a full fence
  BOOST_TEST(!LaneClaim::decode(patched(sample_claim().encode(), 9, 0)).ok());
  // Paths that would leave the root, and lanes that cannot be, are not let in.
  const auto replaced = [](std::string bytes, std::string_view from, std::string_view to) {
    const size_t at = bytes.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    bytes.replace(at, to.size(), to);
    return patched(bytes, bytes.size() - 5, bytes[bytes.size() - 5]);
  };
  const std::string whole = sample_commit().encode();
  BOOST_TEST(CommitRecord::decode(replaced(whole, "app/_stage", "app/_stagf")).ok());
  BOOST_TEST(!CommitRecord::decode(replaced(whole, "app/_stage", "../")).ok());
  BOOST_TEST(!CommitRecord::decode(replaced(whole, "app/_stage", "/")).ok());
  BOOST_TEST(!CommitRecord::decode(replaced(whole, "hr=13/", std::string_view("\0", 1))).ok());
  const std::string lane{"nginx.access\x08\x03", 14};
  const std::string claim = sample_claim().encode();
  BOOST_TEST(
      !LaneClaim::decode(replaced(claim, lane, std::string("nginx.access\x08\x08", 14))).ok());
  BOOST_TEST(
      !LaneClaim::decode(replaced(claim, lane, std::string("nginx.access\x07\x03", 14))).ok());
}

BOOST_AUTO_TEST_CASE(the_next_entry_repeats_the_checksum) {
  const std::string bytes = sample_commit().encode();
  BOOST_TEST(record_crc(bytes) == crc32c(std::string_view(bytes).substr(0, bytes.size() - 4)));
}

BOOST_AUTO_TEST_SUITE_END()
