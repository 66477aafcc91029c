// A part of the enumeration of crash states, with the sanitizers on (all of it: spool_crash), and
// whether it would find mistakes at all.
#include "tests/local/spool_crash.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;
using namespace tailrace::test;

BOOST_AUTO_TEST_SUITE(spool_crash)

BOOST_AUTO_TEST_CASE(every_state_after_a_power_cut_keeps_the_promises) {
  CrashCount count;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const std::string wrong = enumerate_crashes({seed, 70, seed == 1 ? 512u : 4096u, 40}, count);
    BOOST_TEST(wrong == "");
  }
  BOOST_TEST(count.distinct.size() > 300);
  BOOST_TEST(count.second_cuts > 0);
}

BOOST_AUTO_TEST_CASE(an_error_at_any_operation_ends_it_and_nothing_is_lost) {
  using Kind = VirtualDisk::Fault::Kind;
  for (const Kind kind : {Kind::error, Kind::short_write, Kind::no_space}) {
    CrashCount count;
    BOOST_TEST(enumerate_faults({3, 25, 512, 10}, kind, count) == "");
    BOOST_TEST(count.faults > 20);
    if (kind == Kind::no_space) BOOST_TEST(count.seen.contains("no space"));
  }
}

namespace {
// Whether the enumeration notices within a few traces.
bool caught(const std::function<bool(const SpoolOp&)>& forgets) {
  CrashCount count;
  for (uint64_t seed = 1; seed <= 4; ++seed)
    if (!enumerate_crashes({seed, 70, 512, 40, forgets}, count).empty()) return true;
  return false;
}
}  // namespace

BOOST_AUTO_TEST_CASE(a_write_that_is_not_synced_is_noticed) {
  BOOST_TEST(caught([](const SpoolOp& op) { return op.kind == SpoolOp::Kind::sync; }));
}

BOOST_AUTO_TEST_CASE(a_segment_that_is_not_synced_before_the_next_is_noticed) {
  // Only every second sync is done: where a group goes on in a new segment, one of the two is not.
  uint64_t n = 0;
  BOOST_TEST(
      caught([&n](const SpoolOp& op) { return op.kind == SpoolOp::Kind::sync && ++n % 2 == 0; }));
}

BOOST_AUTO_TEST_CASE(names_that_are_not_synced_are_noticed) {
  BOOST_TEST(caught([](const SpoolOp& op) { return op.kind == SpoolOp::Kind::sync_names; }));
}

BOOST_AUTO_TEST_CASE(a_write_that_never_happened_is_noticed) {
  uint64_t n = 0;
  BOOST_TEST(
      caught([&n](const SpoolOp& op) { return op.kind == SpoolOp::Kind::write && ++n == 9; }));
}

// The judge itself: of each batch that a sink still lacks, one byte is another, or its file is
// gone.
BOOST_AUTO_TEST_CASE(the_judge_sees_one_flipped_byte_and_a_missing_file) {
  SpoolWorld world(5, {});
  BOOST_REQUIRE(world.start());
  for (int i = 0; i < 60; ++i) BOOST_REQUIRE(world.step());
  BOOST_REQUIRE(world.run_groups(true));
  const SpoolImage good = world.disk.durable();
  BOOST_TEST(world.judge_and_serve(good) == "");
  Rng rng(5);
  size_t judged = 0;
  const Spool& spool = *world.spool();
  for (const auto& [stream, info] : spool.tables().streams) {
    for (uint64_t seq = spool.cursor(0xA11CE, stream).seq; seq < info.next.seq;) {
      const auto place = spool.find(stream, seq);
      BOOST_REQUIRE(place.has_value());
      SpoolImage flipped = good;
      char& byte = flipped.content.at(place->segment)[place->offset + rng.below(place->bytes)];
      byte = static_cast<char>(byte ^ (1 << rng.below(8)));
      BOOST_TEST(world.judge_and_serve(flipped) != "", "a flipped byte at line " << seq);
      SpoolImage gone = good;
      gone.content.erase(place->segment);
      BOOST_TEST(world.judge_and_serve(gone) != "", "without " << place->segment);
      seq = place->end_seq;
      ++judged;
    }
  }
  BOOST_TEST(judged > 3);
}

BOOST_AUTO_TEST_SUITE_END()
