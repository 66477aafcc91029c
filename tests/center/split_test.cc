// A lane that is split, its parts, and extents that are cut out of a file of several lanes.
#include <boost/test/unit_test.hpp>

#include "base/file.h"
#include "base/random.h"
#include "center/acquire.h"
#include "center/category.h"
#include "center/finishing.h"
#include "center/loudness.h"
#include "center/placement.h"
#include "center/store_call.h"
#include "center/survey.h"
#include "sinks/store/directory_store.h"
#include "tests/center/logged_store.h"
#include "tests/sinks/memory_store.h"
#include "tests/sinks/scratch_directory.h"

namespace tailrace::testing {
namespace {

constexpr SplitPolicy kPolicy{1'000, 60'000};

// --- whether a lane is loud ----------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_lane_is_loud_only_after_the_whole_time) {
  Loudness lane(0);
  for (uint64_t local = 1; local <= 4; ++local) lane.add({local, 0}, 10'000);
  BOOST_TEST(!lane.loud(kPolicy, 59'999));
  BOOST_TEST(lane.loud(kPolicy, 60'000));
  BOOST_TEST(!lane.loud(kPolicy, 120'000));  // nothing since
}

BOOST_AUTO_TEST_CASE(a_lane_that_is_watched_longer_may_have_taken_more) {
  Loudness lane(0);
  lane.add({1, 0}, 1'100);
  lane.add({2, 0}, 1'100);
  BOOST_TEST(!lane.loud(kPolicy, 180'000));
}

BOOST_AUTO_TEST_CASE(a_stream_that_makes_most_of_it_is_not_parted) {
  Loudness lane(0);
  lane.add({1, 0}, 5'001);
  for (uint64_t local = 2; local <= 11; ++local) lane.add({local, 0}, 500);
  BOOST_TEST(!lane.loud(kPolicy, 60'000));
  lane.add({1, 0}, 5'000);
  for (uint64_t local = 2; local <= 11; ++local) lane.add({local, 0}, 500);
  BOOST_TEST(lane.loud(kPolicy, 120'000));
}

BOOST_AUTO_TEST_CASE(a_part_knows_what_it_is_a_part_of) {
  BOOST_TEST(!parent_of({"app", 1, 0}).has_value());
  BOOST_TEST((parent_of({"app", 8, 7}) == Lane{"app", 1, 0}));
  BOOST_TEST((parent_of({"app", 64, 63}) == Lane{"app", 8, 7}));
  for (uint64_t local = 1; local < 200; ++local) {
    const StreamKey stream{mix64(local), 0};
    BOOST_TEST((parent_of(lane_of("app", stream, 64)) == lane_of("app", stream, 8)));
  }
}

// --- the part's first claim ----------------------------------------------------------------------

struct Claims : LoggedStore {
  void write(const Lane& lane, uint64_t epoch, LaneClaim::Kind kind) {
    LaneClaim claim = me.claim(kind, epoch, epoch);
    claim.lane = lane;
    for (uint64_t local = 1; local <= kLocals; ++local)
      if (lane_part({local, 0}, lane.parts) == lane.part)
        claim.table.push_back({{local, 0}, local * 10, local, 0});
    LoggedStore::write(me.names.claim(lane, epoch), claim.encode());
  }
  std::unique_ptr<Acquire> acquire(const Lane& lane, bool only_look = false) {
    auto acquire = std::make_unique<Acquire>(
        me, sealed, lane, [] { return 1; }, 77, 0, only_look);
    drive(*acquire);
    return acquire;
  }
  bool claimed(const Lane& lane) { return !call(ListRequest{me.names.lane(lane)}).names.empty(); }

  static constexpr uint64_t kLocals = 100;
  Acquirer me = acquirer("1700000000000-00000000000000aa", "a:1", 5);
  SealedLogs sealed;
};
using Outcome = Acquire::Outcome;

BOOST_AUTO_TEST_CASE(a_part_begins_with_its_share_of_the_table) {
  Claims store;
  store.write({"app", 1, 0}, 1, LaneClaim::Kind::none);
  store.write({"app", 1, 0}, 2, LaneClaim::Kind::split);
  BOOST_TEST((store.acquire({"app", 1, 0})->outcome() == Outcome::split));
  size_t rows = 0;
  for (uint8_t part = 0; part < 8; ++part) {
    const auto acquire = store.acquire({"app", 8, part});
    BOOST_TEST((acquire->outcome() == Outcome::acquired));
    BOOST_TEST(acquire->epoch() == 1u);
    rows += acquire->table().size();
    for (const auto& [key, row] : acquire->table()) {
      BOOST_TEST(lane_part(key, 8) == part);
      BOOST_TEST(row.seq == key.local_id * 10);
    }
  }
  BOOST_TEST(rows == Claims::kLocals);
}

BOOST_AUTO_TEST_CASE(a_part_of_a_part_begins_where_that_ended) {
  Claims store;
  store.write({"app", 8, 3}, 1, LaneClaim::Kind::split);
  const auto acquire = store.acquire({"app", 64, 26});
  BOOST_TEST((acquire->outcome() == Outcome::acquired));
  for (const auto& [key, row] : acquire->table()) BOOST_TEST(lane_part(key, 64) == 26);
  BOOST_TEST((store.acquire({"app", 64, 8 * 3 + 8})->outcome() == Outcome::failed));
}

BOOST_AUTO_TEST_CASE(a_part_of_what_was_not_split_is_never_acquired) {
  for (const auto kind : {LaneClaim::Kind::own, LaneClaim::Kind::none}) {
    Claims store;
    store.write({"app", 1, 0}, 1, kind);
    BOOST_TEST((store.acquire({"app", 8, 3})->outcome() == Outcome::failed));
    BOOST_TEST(!store.claimed({"app", 8, 3}));
  }
  Claims store;
  BOOST_TEST((store.acquire({"app", 8, 3})->outcome() == Outcome::failed));
  BOOST_TEST(!store.claimed({"app", 8, 3}));
}

BOOST_AUTO_TEST_CASE(who_only_looks_takes_nothing) {
  Claims store;
  const Lane lane{"app", 1, 0};
  BOOST_TEST((store.acquire(lane, true)->outcome() == Outcome::looked));
  store.write(lane, 1, LaneClaim::Kind::none);
  BOOST_TEST((store.acquire(lane, true)->outcome() == Outcome::looked));
  BOOST_TEST(!store.call(ReadRequest{store.me.names.claim(lane, 2)}).record);
  store.write(lane, 2, LaneClaim::Kind::split);
  BOOST_TEST((store.acquire(lane, true)->outcome() == Outcome::split));
}

// The answer to its claim was lost, and the claim could not be read then: all others send Locals to
// the owner, who would send them on.
BOOST_AUTO_TEST_CASE(who_looks_and_finds_his_own_claim_takes_the_lane) {
  Claims store;
  const Lane lane{"app", 1, 0};
  store.write(lane, 1, LaneClaim::Kind::own);
  const auto look = store.acquire(lane, true);
  BOOST_TEST((look->outcome() == Outcome::acquired));
  BOOST_TEST(look->epoch() == 2u);
  BOOST_TEST(look->table().size() == Claims::kLocals);
  store.me.incarnation = "1700000000000-00000000000000bb";
  BOOST_TEST((store.acquire(lane, true)->outcome() == Outcome::looked));
}

BOOST_AUTO_TEST_CASE(a_person_sees_the_parts_and_counts_no_line_twice) {
  Claims store;
  store.call(CasRequest{std::string(kSinkIdentityName), SinkIdentity{2, 1, "_tailrace"}.encode(),
                        Records::Parent::make});
  store.write({"app", 1, 0}, 1, LaneClaim::Kind::split);
  for (uint8_t part = 0; part < 8; ++part) store.write({"app", 8, part}, 1, LaneClaim::Kind::none);
  const auto survey = survey_store(*store.records);
  BOOST_REQUIRE(survey.ok());
  BOOST_REQUIRE_EQUAL(survey->lanes.size(), 9u);
  uint64_t lines = 0;
  for (const Survey::OwnedLane& lane : survey->lanes) {
    BOOST_TEST(lane.split == (lane.lane.parts == 1));
    lines += lane.lines;
  }
  BOOST_TEST(lines == 10 * Claims::kLocals * (Claims::kLocals + 1) / 2);
}

// --- what is cut out -----------------------------------------------------------------------------

struct Books {
  Books() {
    OpenFile file;
    file.id = 1;
    file.key = key;
    file.staged = "app/_stage/x/1";
    category.open(std::move(file));
  }
  // Ten lines in 100 bytes.
  void add(uint64_t tag, const Lane& lane, uint64_t local, int64_t time_ms) {
    BatchFields f;
    f.count = 10;
    f.first_seq = next[{lane, local}];
    f.raw_len = 1'000;
    f.first_read_ms = f.last_read_ms = time_ms;
    next[{lane, local}] += 10;
    bytes += 100;
    category.add(*category.find(key), tag, lane, {local, 0}, f, bytes, 0);
  }
  Closing close() {
    to_finish = category.close(INT64_MAX);
    BOOST_REQUIRE_EQUAL(to_finish.size(), 1u);
    useless = category.finished(1, 5, 6, to_finish[0].dropped.empty() ? "" : "app/_stage/x/2");
    return category.take_ready().value();
  }

  const FileKey key;
  const Lane one{"app", 8, 1}, other{"app", 8, 2};
  Category category{"app"};
  uint64_t bytes = 0;
  std::map<std::pair<Lane, uint64_t>, uint64_t> next;
  std::vector<FileToFinish> to_finish;
  std::string useless;
};

BOOST_AUTO_TEST_CASE(what_is_dropped_leaves_books_and_counts_at_once) {
  Books b;
  b.add(11, b.one, 1, 100);
  b.add(12, b.other, 2, 200);
  b.add(11, b.one, 3, 300);
  BOOST_TEST(b.category.drop(b.one, 11).empty());
  BOOST_TEST(!b.category.holds_open(b.one));
  BOOST_TEST(b.category.holds_open(b.other));
  BOOST_TEST(b.category.largest_bytes() == 100u);
  const Closing closing = b.close();
  BOOST_TEST(b.to_finish[0].dropped == std::vector<uint64_t>{11});
  BOOST_TEST(b.useless == "app/_stage/x/1");
  BOOST_REQUIRE_EQUAL(closing.lanes.size(), 1u);
  BOOST_TEST((closing.lanes[0].lane == b.other));
  const CommittedFile& file = closing.files[0].file;
  BOOST_TEST(file.stage == "app/_stage/x/2");
  BOOST_TEST(file.lines == 10u);
  BOOST_TEST(file.raw_bytes == 1'000u);
  BOOST_TEST(file.hosts == 1u);
  BOOST_TEST(file.least_ms == 200);
  BOOST_TEST(file.greatest_ms == 200);
}

BOOST_AUTO_TEST_CASE(a_lane_that_comes_back_keeps_what_is_new) {
  Books b;
  b.add(11, b.one, 1, 100);
  b.add(12, b.other, 2, 200);
  BOOST_TEST(b.category.drop(b.one, 11).empty());
  b.next.clear();
  b.add(13, b.one, 1, 400);
  const Closing closing = b.close();
  BOOST_TEST(b.to_finish[0].dropped == std::vector<uint64_t>{11});
  BOOST_TEST(closing.lanes.size() == 2u);
  BOOST_TEST(closing.files[0].file.lines == 20u);
  BOOST_TEST(closing.files[0].file.greatest_ms == 400);
}

BOOST_AUTO_TEST_CASE(a_file_of_which_nothing_is_kept_is_dropped) {
  Books b;
  b.add(11, b.one, 1, 100);
  b.add(12, b.other, 2, 200);
  BOOST_TEST(b.category.drop(b.other, 12).empty());
  const auto files = b.category.drop(b.one, 11);
  BOOST_REQUIRE_EQUAL(files.size(), 1u);
  BOOST_TEST(files[0].staged == "app/_stage/x/1");
  BOOST_TEST(!b.category.anything_open());
  BOOST_TEST(b.category.close(INT64_MAX).empty());
}

BOOST_AUTO_TEST_CASE(absent_hosts_are_seen_by_lane) {
  Books b;
  b.add(11, b.one, 1, 100);
  b.add(12, b.other, 2, 200);
  BOOST_TEST(!b.category.holds_other_than({1, 2}));
  BOOST_TEST(b.category.holds_other_than({1}));
  BOOST_TEST(!b.category.holds_other_than({1}, 11));
  BOOST_TEST(b.category.holds_other_than({1}, 12));
}

// Those that end with this, in order.
std::vector<std::string> lines_of(const std::string& text, const std::string& end) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t newline = text.find('\n', at);
    const std::string line = text.substr(at, newline - at);
    if (line.ends_with(" " + end)) lines.push_back(line);
    at = newline + 1;
  }
  return lines;
}

// Whatever the store refuses: each try goes to a path of its own, and what is kept stands in the
// last.
BOOST_AUTO_TEST_CASE(a_cut_is_tried_until_it_succeeds) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto store = MemoryStore::make();
    const auto files = store->files();
    auto file = std::make_shared<LineFile>(std::move(*files->stage("s/0")), Codec::none);
    for (int i = 0; i < 4; ++i) {
      const std::string text = std::string(i % 2 ? "cut" : "kept") + std::to_string(i) + "\n";
      BatchFields f;
      f.count = 1;
      f.file_codec = Codec::none;
      f.raw_len = f.payload_len = static_cast<uint32_t>(text.size());
      BOOST_REQUIRE(file->append(i % 2 ? 7 : 8, {1, 0}, f, text).ok());
    }
    store->set_faults(MemoryStore::random_faults(seed, 0.4));
    Finishing finishing(file, "s/0", {7});
    int tries = 0;
    for (bool done = false; !done;) {
      Result<void> tried;
      if (finishing.cuts()) tried = finishing.stage(*files, "s/" + std::to_string(++tries));
      if (tried) tried = finishing.run();
      if (!tried) BOOST_REQUIRE((tried.error().kind == Error::Kind::retry_later));
      done = tried.ok();
    }
    BOOST_TEST(finishing.staged() == "s/" + std::to_string(tries));
    BOOST_TEST(store->content()[finishing.staged()] == "kept0\nkept2\n");
    BOOST_TEST(finishing.file().lines() == 2u);
  }
}

// The directory store reads back what it staged.
BOOST_AUTO_TEST_CASE(a_file_in_a_directory_is_cut) {
  const ScratchDirectory directory;
  auto store = open_directory_store(directory.path());
  BOOST_REQUIRE(store.ok());
  auto file =
      std::make_shared<LineFile>(std::move(*store->files->stage("app/_stage/x/1")), Codec::gzip);
  std::string kept;
  for (uint32_t i = 0; i < 3'000; ++i) {
    std::string text;
    for (uint32_t line = 0; line < 40; ++line)
      text += hex16(mix64(i * 40 + line)) + " of " + std::to_string(i % 3) + "\n";
    if (i % 3 != 1) kept += text;
    BatchFields f;
    f.count = 40;
    f.file_codec = Codec::gzip;
    f.raw_len = f.payload_len = static_cast<uint32_t>(text.size());
    const auto added = file->append(i % 3, {i % 3, 0}, f, text);
    BOOST_REQUIRE_EQUAL(added ? "" : added.error().text, "");
  }
  Finishing finishing(file, "app/_stage/x/1", {1});
  BOOST_REQUIRE(finishing.stage(*store->files, "app/_stage/x/2").ok());
  BOOST_REQUIRE(finishing.run().ok());
  BOOST_TEST(finishing.staged() == "app/_stage/x/2");
  const auto bytes = read_file(directory.path() + "/app/_stage/x/2", 64u << 20);
  BOOST_REQUIRE(bytes.ok());
  BOOST_TEST(xxh3(*bytes) == finishing.file().xxh3());
  std::string text;
  const auto inflater = make_file_inflater(Codec::gzip);
  BOOST_REQUIRE(inflater->feed(*bytes, text).ok());
  BOOST_REQUIRE(inflater->finish().ok());
  BOOST_TEST(text.size() == kept.size());
  for (const char* lane : {"0", "2"}) BOOST_TEST((lines_of(text, lane) == lines_of(kept, lane)));
  BOOST_TEST(lines_of(text, "1").empty());
}

}  // namespace
}  // namespace tailrace::testing
