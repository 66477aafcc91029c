// The Center's machines together, over a store that loses, repeats and delays; killed at any step.
#include "center/incarnation.h"

#include <boost/test/unit_test.hpp>

#include "tests/center/center_rig.h"

namespace tailrace::testing {
namespace {

constexpr int64_t kStart = 1'795'528'800'000;  // 2026-11-24T14:00Z or so

IncarnationOptions small_options(Rng& rng) {
  IncarnationOptions options;
  options.center = "c1";
  options.version = "test";
  options.roll.bytes = 200 + rng.below(2000);
  options.roll.age_ms = 500;
  options.roll.idle_ms = rng.chance(0.5) ? 200 : -1;
  options.roll.jitter_ms = 0;
  options.reclaim_entries = 3 + rng.below(20);
  options.collect_ms = 2'000;
  options.log.pending_files = 3;
  return options;
}

std::vector<SentStream> some_streams(Rng& rng) {
  std::vector<SentStream> streams;
  for (uint64_t local = 1; local <= 3; ++local)
    for (const char* category : {"app", "nginx.access"}) {
      SentStream s;
      s.category = category;
      s.key = StreamKey{local, static_cast<uint8_t>(rng.below(2))};
      streams.push_back(std::move(s));
    }
  return streams;
}

bool all_committed(const std::vector<SentStream>& streams) {
  return std::all_of(streams.begin(), streams.end(), [](const SentStream& s) {
    return s.batches.empty() || s.committed.seq == s.batches.back().end_seq();
  });
}

struct Totals {
  uint64_t kills = 0, fences = 0, lines = 0, lost = 0;
};

// `kills` deaths at random steps, each followed by a new Center with the same state.
void life_with_deaths(uint64_t seed, double faults, int kills, Totals& totals) {
  Rng rng(seed);
  auto store = MemoryStore::make();
  std::vector<SentStream> streams = some_streams(rng);
  streams[0].committed = streams[0].origin = {1000, 77};
  if (faults > 0) store->set_faults(MemoryStore::random_faults(seed, faults));
  int64_t now = kStart;
  const IncarnationOptions options = small_options(rng);
  for (int life = 0; life <= kills; ++life) {
    CenterRig rig(store, streams, options, 99, rng.next(), now);
    const uint64_t steps = 50 + rng.below(600);
    for (uint64_t i = 0; i < steps; ++i) {
      SentStream& s = streams[rng.below(streams.size())];
      if (rng.chance(0.15)) {
        s.write(1 + static_cast<uint32_t>(rng.below(5)), bucket_of(rig.now_ms()));
        // Once it was received it can't be lost any more: the Local would have to take it back.
        if (s.next + 1 < s.batches.size() && rng.chance(0.05)) s.lost.insert(s.batches.size() - 1);
      }
      rig.step();
      if (rng.chance(0.02)) store->run_late(1 + rng.below(3));
    }
    now = rig.now_ms();
    totals.fences += rig.fences;
    ++totals.kills;
  }
  store->set_faults(nullptr);
  store->run_late();
  CenterRig rig(store, streams, options, 99, rng.next(), now);
  for (int i = 0; i < 200'000 && !all_committed(streams); ++i) rig.step();
  BOOST_REQUIRE(all_committed(streams));
  rig.stop(true);
  for (int i = 0; i < 200'000 && !rig.stopped; ++i) rig.step();
  BOOST_REQUIRE(rig.stopped);
  check_published(*store, streams);
  for (const auto& [path, bytes] : store->content()) {
    BOOST_TEST(path.find("_stage/") == std::string::npos, "left in a stage: " << path);
    BOOST_TEST(path.find("/live/") == std::string::npos, "announced for ever: " << path);
  }
  for (const SentStream& s : streams)
    if (!s.batches.empty()) {
      totals.lines += s.batches.back().end_seq();
      totals.lost += s.lost.size();
    }
}

BOOST_AUTO_TEST_SUITE(incarnation)

BOOST_AUTO_TEST_CASE(a_quiet_life_publishes_everything_once) {
  Totals totals;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { life_with_deaths(seed, 0, 0, totals); }
  }
  BOOST_TEST(totals.fences == 0u);
  BOOST_TEST(totals.lines > 1000u);
}

BOOST_AUTO_TEST_CASE(killed_at_any_step_over_a_good_store) {
  Totals totals;
  for (uint64_t seed = 100; seed < 160; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { life_with_deaths(seed, 0, 6, totals); }
  }
  BOOST_TEST(totals.kills > 400u);
}

BOOST_AUTO_TEST_CASE(killed_at_any_step_over_a_store_that_loses_and_repeats) {
  Totals totals;
  for (uint64_t seed = 1000; seed < 1060; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { life_with_deaths(seed, 0.1, 6, totals); }
  }
  BOOST_TEST(totals.lines > 1000u);
  BOOST_TEST(totals.lost > 20u);
}

// The store makes few calls at a time: some that are never answered must not become all of them.
BOOST_AUTO_TEST_CASE(what_is_never_published_holds_up_no_other_category) {
  Rng rng(7);
  auto store = MemoryStore::make();
  std::vector<SentStream> streams = some_streams(rng);
  IncarnationOptions options = small_options(rng);
  options.roll = {.bytes = 1'000'000, .age_ms = 1'500, .idle_ms = -1, .jitter_ms = 0};
  options.log.pending_files = 16;
  CenterRig rig(store, streams, options, 99, 8, kStart);
  rig.silent = {"app"};
  for (int i = 0; i < 5'000; ++i) {
    rig.step();
    if (i % 20 == 0)
      for (SentStream& s : streams) s.write(1, bucket_of(rig.now_ms()));
  }
  const auto waiting = rig.incarnation().waiting();
  BOOST_TEST(rig.asked["app"] == 2u);
  BOOST_TEST(waiting.at("app").unpublished > 100u);
  BOOST_TEST(waiting.at("nginx.access").unpublished < 50u);
}

// Two Centers that want the same lanes, stopped (SIGSTOP) and woken in turn, each time for longer
// than a take-over: the other seals its log; woken, it is fenced and goes on as a new incarnation.
BOOST_AUTO_TEST_CASE(two_centers_fence_each_other_and_lose_nothing) {
  uint64_t fences = 0;
  for (uint64_t seed = 5000; seed < 5015; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Rng rng(seed);
      auto store = MemoryStore::make();
      std::vector<SentStream> one = some_streams(rng);
      std::vector<SentStream> two = some_streams(rng);
      for (SentStream& s : two) s.key.local_id += 100;
      const IncarnationOptions options = small_options(rng);
      CenterRig first(store, one, options, 1, rng.next(), kStart);
      CenterRig second(store, two, options, 2, rng.next(), kStart);
      const auto done = [&] { return all_committed(one) && all_committed(two); };
      for (int turn = 0; turn < 40 && (turn < 6 || !done()); ++turn) {
        for (int i = 0; i < 4'000; ++i) {
          auto& streams = rng.chance(0.5) ? one : two;
          if (turn < 6 && rng.chance(0.01))
            streams[rng.below(streams.size())].write(2, bucket_of(kStart));
          (turn % 2 == 0 ? first : second).step();
        }
      }
      BOOST_REQUIRE(all_committed(one));
      BOOST_REQUIRE(all_committed(two));
      first.stop(true);
      for (int i = 0; i < 200'000 && !first.stopped; ++i) first.step();
      second.stop(true);
      for (int i = 0; i < 200'000 && !second.stopped; ++i) second.step();
      fences += first.fences + second.fences;
      std::vector<SentStream> all = one;
      all.insert(all.end(), two.begin(), two.end());
      check_published(*store, all);
    }
  }
  BOOST_TEST(fences > 10u);
}

// Lanes are taken, then each of the streams' batches judged once more: what it is refused for.
BOOST_AUTO_TEST_CASE(categories_and_a_lanes_streams_have_their_most) {
  Rng rng(1);
  auto store = MemoryStore::make();
  std::vector<SentStream> streams;
  for (uint64_t local = 1; local <= 3; ++local) {
    SentStream s;
    s.category = "app";
    s.key = StreamKey{local, 0};
    s.write(1, bucket_of(kStart));
    streams.push_back(std::move(s));
  }
  IncarnationOptions options;
  options.center = "c1";
  options.most_categories = 2;
  options.most_streams = 3;
  CenterRig rig(store, streams, options, 1, 1, kStart);
  Incarnation& me = rig.incarnation();
  for (int i = 0; i < 10'000; ++i) rig.step();
  BOOST_TEST(me.wish("other", {1, 0}, rig.now()));
  BOOST_TEST(!me.wish("third", {1, 0}, rig.now()));
  BOOST_TEST(me.wish("app", {9, 0}, rig.now()));  // it is there already
  using Kind = Incarnation::Verdict::Kind;
  const BatchFields& first = streams[0].batches[0];
  BOOST_TEST((me.judge("app", {3, 0}, first, rig.now()).kind == Kind::known));
  BOOST_TEST((me.judge("app", {4, 0}, first, rig.now()).kind == Kind::too_many));
  me.begin_at("app", {4, 0}, {7, 7});
  BOOST_TEST(me.standing("app", {4, 0})->committed.seq == 0u);
}

// --- whether it is over -----------------------------------------------------------------------

struct OneStream {
  OneStream(uint64_t local, uint64_t state_uuid, std::shared_ptr<MemoryStore> store) {
    SentStream s;
    s.category = "app";
    s.key = StreamKey{local, 0};
    s.write(2, bucket_of(kStart));
    streams.push_back(std::move(s));
    IncarnationOptions options;
    options.center = "c" + std::to_string(state_uuid);
    options.roll.age_ms = 100;
    rig.emplace(std::move(store), streams, options, state_uuid, local, kStart);
  }
  std::vector<SentStream> streams;
  std::optional<CenterRig> rig;
};

BOOST_AUTO_TEST_CASE(who_doubts_is_told_once_more_where_the_stream_stands) {
  OneStream world(1, 1, MemoryStore::make());
  CenterRig& rig = *world.rig;
  rig.incarnation().doubt("app", {1, 0});  // nobody owns that lane yet: nothing to say
  rig.run_for(10'000);
  BOOST_REQUIRE(all_committed(world.streams));
  BOOST_TEST(rig.told_again == 0u);
  rig.incarnation().doubt("app", {1, 0});
  rig.incarnation().doubt("app", {1, 0});
  rig.run_for(5'000);
  BOOST_TEST(rig.told_again == 1u);
  rig.run_for(120'000);  // it proves itself again and again
  BOOST_TEST(rig.told_again == 1u);
  BOOST_TEST(rig.fences == 0u);
}

// Another Center takes the lane of one that has nothing to commit, and so would not notice.
BOOST_AUTO_TEST_CASE(an_idle_Center_learns_that_it_is_over) {
  for (const bool doubted : {false, true}) {
    auto store = MemoryStore::make();
    OneStream idle(1, 1, store);
    idle.rig->run_for(10'000);
    BOOST_REQUIRE(all_committed(idle.streams));
    OneStream other(2, 2, store);
    other.rig->run_for(30'000);
    BOOST_REQUIRE(all_committed(other.streams));
    BOOST_REQUIRE_EQUAL(idle.rig->fences, 0u);
    if (doubted) idle.rig->incarnation().doubt("app", {1, 0});
    idle.rig->run_for(doubted ? 3'000 : 60'000);
    BOOST_TEST(idle.rig->fences == 1u);
    BOOST_TEST(idle.rig->told_again == 0u);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace::testing
