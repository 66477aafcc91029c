// RETIRE: where a stream ends for ever, and when that is said.
#include <boost/test/unit_test.hpp>

#include "center/incarnation.h"
#include "tests/center/center_rig.h"

namespace tailrace::testing {
namespace {

constexpr int64_t kStart = 1'795'528'800'000;

IncarnationOptions options() {
  IncarnationOptions o;
  o.center = "c1";
  o.version = "test";
  o.roll.age_ms = 60'000;  // nothing closes of itself
  o.roll.jitter_ms = 0;
  o.reclaim_entries = 3;
  return o;
}

struct Retire {
  Retire() {
    for (const uint64_t local : {1, 2}) {
      SentStream s;
      s.category = "app";
      s.key = StreamKey{local, 0};
      streams.push_back(std::move(s));
    }
    begin();
  }
  void begin() {
    const int64_t now = rig ? rig->now_ms() : kStart;
    rig.reset();
    rig = std::make_unique<CenterRig>(store, streams, options(), 99, ++seed, now);
  }
  void write(size_t stream, uint32_t lines) {
    streams[stream].write(lines, bucket_of(rig->now_ms()));
    for (int i = 0; i < 5'000 && streams[stream].next < streams[stream].batches.size(); ++i)
      rig->step();
    BOOST_REQUIRE_EQUAL(streams[stream].next, streams[stream].batches.size());
  }
  std::optional<Position> ask(uint64_t local) {
    const StreamKey key{local, 0};
    BOOST_REQUIRE(rig->incarnation().wish("app", key, rig->now()));
    return rig->incarnation().retire("app", key, rig->now());
  }
  Position ask_on(uint64_t local) {
    for (int i = 0; i < 50'000; ++i) {
      if (const auto at = ask(local)) return *at;
      rig->step();
    }
    BOOST_FAIL("no answer");
    return {};
  }
  // The flags of that stream in all commit records and in the newest claim of its lane.
  std::pair<uint8_t, uint8_t> written(uint64_t local) const {
    std::pair<uint8_t, uint8_t> out;
    uint64_t newest = 0;
    for (const auto& [path, bytes] : store->content()) {
      if (const auto record = CommitRecord::decode(bytes)) {
        for (const LaneRanges& lane : record->lanes)
          for (const StreamRange& range : lane.ranges)
            if (range.key.local_id == local) out.first |= range.flags;
      } else if (const auto claim = LaneClaim::decode(bytes);
                 claim && claim->lane.category == "app" && claim->epoch > newest) {
        newest = claim->epoch;
        out.second = 0;
        for (const TableRow& row : claim->table)
          if (row.key.local_id == local) out.second = row.flags;
      }
    }
    return out;
  }

  std::shared_ptr<MemoryStore> store = MemoryStore::make();
  std::vector<SentStream> streams;
  std::unique_ptr<CenterRig> rig;
  uint64_t seed = 0;
};

BOOST_AUTO_TEST_SUITE(retire)

BOOST_AUTO_TEST_CASE(what_is_held_is_committed_with_the_mark_before_it_is_said) {
  Retire r;
  r.write(0, 3);
  r.write(1, 2);
  BOOST_TEST(!r.ask(1).has_value());
  BOOST_TEST(r.written(1).first == 0);
  const Position at = r.ask_on(1);
  BOOST_TEST(at.seq == 3u);
  BOOST_TEST((at == r.streams[0].committed));
  BOOST_TEST(r.written(1).first == kFinal);
  BOOST_TEST(r.written(2).first == 0);  // only who was named
  // Nothing more is taken of it, and of the others it is.
  r.streams[0].write(1, bucket_of(r.rig->now_ms()));
  r.write(1, 4);
  for (int i = 0; i < 2'000; ++i) r.rig->step();
  BOOST_TEST(r.streams[0].refused > 0u);
  BOOST_TEST(r.ask_on(1).seq == 3u);
}

BOOST_AUTO_TEST_CASE(the_mark_outlives_the_center_and_stands_in_every_later_claim) {
  Retire r;
  r.write(0, 3);
  BOOST_TEST(r.ask_on(1).seq == 3u);
  r.begin();  // kill -9
  BOOST_TEST(r.ask_on(1).seq == 3u);
  for (int i = 0; i < 12; ++i) {  // the entries are folded, the lane claimed again
    r.write(1, 1);
    r.rig->flush_all();
    r.rig->run_for(500);
  }
  BOOST_TEST(r.written(1).second == kFinal);
  r.begin();
  BOOST_TEST(r.ask_on(1).seq == 3u);
}

BOOST_AUTO_TEST_CASE(a_stream_of_which_nothing_is_known_ends_at_0) {
  Retire r;
  r.write(1, 1);
  BOOST_TEST(r.ask_on(7).seq == 0u);
  BOOST_TEST(r.written(7).first == kFinal);
  r.begin();
  BOOST_TEST(r.ask_on(7).seq == 0u);
  r.rig->incarnation().begin_at("app", {7, 0}, {100, 5});  // it does not come back by an origin
  BOOST_TEST(r.ask_on(7).seq == 0u);
}

BOOST_AUTO_TEST_CASE(the_same_answer_whatever_the_store_does_and_whoever_dies) {
  for (uint64_t round = 0; round < 20; ++round) {
    Retire r;
    r.seed = 1'000 * round;
    r.store->set_faults(MemoryStore::random_faults(round, 0.2));
    r.write(0, 5);
    Rng rng(round);
    std::optional<Position> said;
    for (int life = 0; life < 4; ++life) {
      for (uint64_t i = rng.below(400); i > 0; --i) {
        if (const auto at = r.ask(1)) {
          BOOST_REQUIRE(!said || *said == *at);
          said = at;
        }
        r.rig->step();
      }
      r.begin();
    }
    r.store->set_faults(nullptr);
    const Position at = r.ask_on(1);
    BOOST_REQUIRE(!said || *said == at);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace::testing
