// A hole adopted: the store stands below the cursor, and a person says that it shall go on.
#include "local/spool_holes.h"

#include <boost/test/unit_test.hpp>

#include "base/file.h"
#include "tests/local/local_hands.h"
#include "tests/local/spool_on_paper.h"

namespace tailrace::test {

BOOST_AUTO_TEST_SUITE(spool_holes_suite)

BOOST_AUTO_TEST_CASE(the_list_is_read_back_and_an_empty_one_is_no_file) {
  const TempDirectory scratch;
  const std::vector<SpoolHole> holes = {{0xABCD, 1, {17, 0x1122334455667788}}, {7, 900, {0, 0}}};
  BOOST_REQUIRE(spool_holes(scratch.path)->empty());
  BOOST_REQUIRE(keep_spool_holes(scratch.path, holes));
  BOOST_TEST((*spool_holes(scratch.path) == holes));
  BOOST_REQUIRE(keep_spool_holes(scratch.path, {}));
  BOOST_TEST(spool_holes(scratch.path)->empty());
}

BOOST_AUTO_TEST_CASE(a_list_of_something_else_is_refused) {
  const TempDirectory scratch;
  for (const std::string text : {"", "x\n", "tailrace holes 2\n"}) {
    BOOST_REQUIRE(replace_file(scratch.path + "/holes", text));
    BOOST_TEST(!spool_holes(scratch.path).ok());
  }
}

// A spool with three batches of two lines in stream 1; sink A has committed the first two.
struct Forgotten : SpoolOnPaper {
  Forgotten() {
    stream(1, "web");
    spool->add_sink(kSinkA, now_ms);
    for (int i = 0; i < 3; ++i) {
      BOOST_REQUIRE(append(1) == Spool::Taken::appended);
      commit();
      ends.push_back(at(1));
    }
    advance(kSinkA, ends[1]);
  }
  void advance(uint64_t sink, Position to) {
    BOOST_REQUIRE(spool->advance_cursor(sink, 1, to, now_ms));
    commit();
  }
  // As the command does it: recovered, changed, written with the START that it had.
  HoleVerdict adopt(uint64_t sink, Position store) {
    SpoolImage image = disk.cached();
    auto recovered = recover_spool(image, 1);
    BOOST_REQUIRE(recovered.ok());
    const HoleVerdict verdict = adopt_hole({sink, 1, store}, *recovered);
    const uint64_t same = recovered->tables.start;
    spool = std::make_unique<Spool>(options, std::move(*recovered), same);
    commit();
    return verdict;
  }
  std::vector<Position> ends;
};

BOOST_AUTO_TEST_CASE(what_the_store_forgot_becomes_a_gap_and_the_rest_stays) {
  for (const bool all : {false, true}) {
    Forgotten world;
    const Position store = all ? Position{} : world.ends[0];
    const HoleVerdict verdict = world.adopt(kSinkA, store);
    BOOST_TEST(verdict.why_not == "");
    BOOST_TEST(verdict.category == "web");
    BOOST_TEST(verdict.lines == world.ends[1].seq - store.seq);
    for (int starts = 0; starts < 3; ++starts) {
      world.start();
      BOOST_TEST(!world.damaged);
      BOOST_TEST((world.spool->cursor(kSinkA, 1) == store));
      const auto gap = world.spool->find(1, store.seq);
      BOOST_REQUIRE(gap);
      BOOST_REQUIRE(gap->gap != nullptr);
      BOOST_TEST(gap->gap->end_seq() == world.ends[1].seq);
      BOOST_TEST(gap->gap->chain_after == world.ends[1].chain);
      const auto rest = world.spool->find(1, world.ends[1].seq);
      BOOST_REQUIRE(rest);
      BOOST_TEST(rest->gap == nullptr);
      BOOST_TEST(rest->end_seq == world.ends[2].seq);
    }
    world.advance(kSinkA, world.ends[1]);
    world.advance(kSinkA, world.ends[2]);
    world.start();
    BOOST_TEST((world.spool->cursor(kSinkA, 1) == world.ends[2]));
  }
}

BOOST_AUTO_TEST_CASE(a_Center_of_the_last_life_knows_the_next_start) {
  Forgotten world;
  const uint64_t last = world.spool->start();
  world.adopt(kSinkA, {});
  world.start();
  BOOST_TEST(world.spool->start_before() == last);
}

BOOST_AUTO_TEST_CASE(a_store_that_stands_where_it_should_is_no_hole) {
  Forgotten world;
  BOOST_TEST(world.adopt(kSinkA, world.ends[1]).why_not.find("mended") != std::string::npos);
  world.start();
  BOOST_TEST((world.spool->cursor(kSinkA, 1) == world.ends[1]));
  BOOST_TEST(world.spool->tables().gaps.empty());
}

BOOST_AUTO_TEST_CASE(lines_that_another_sink_waits_for_are_not_given_up) {
  Forgotten world;
  world.spool->add_sink(kSinkB, world.now_ms);
  world.commit();
  BOOST_TEST(world.adopt(kSinkA, {}).why_not.find("another sink") != std::string::npos);
  world.start();
  BOOST_TEST((world.spool->cursor(kSinkA, 1) == world.ends[1]));
  world.advance(kSinkB, world.ends[2]);
  BOOST_TEST(world.adopt(kSinkA, {}).why_not == "");
  world.start();
  BOOST_TEST((world.spool->cursor(kSinkA, 1) == Position{}));
  BOOST_TEST((world.spool->cursor(kSinkB, 1) == world.ends[2]));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace::test
