#include "base/rate_track.h"

#include <boost/test/unit_test.hpp>

using tailrace::RateTrack;

BOOST_AUTO_TEST_SUITE(rate_track)

BOOST_AUTO_TEST_CASE(it_needs_two_looks_a_second_apart) {
  RateTrack track(3);
  BOOST_TEST(track.per_second() == 0);
  track.seen(1'000, 0);
  track.seen(5'000, 500);
  BOOST_TEST(track.per_second() == 0);
  track.seen(3'000, 1'000);
  BOOST_TEST(track.per_second() == 2'000);
}

BOOST_AUTO_TEST_CASE(what_is_long_ago_does_not_count_and_what_shrinks_is_below_0) {
  RateTrack track(2);
  track.seen(0, 0);
  track.seen(10'000, 1'000);
  track.seen(8'000, 3'000);
  BOOST_TEST(track.per_second() == -1'000);
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_set_back_starts_it_anew) {
  RateTrack track(3);
  track.seen(0, 3'600'000);
  track.seen(1'000, 3'601'000);
  track.seen(2'000, 1'000);
  BOOST_TEST(track.per_second() == 0);
  track.seen(2'500, 2'000);
  BOOST_TEST(track.per_second() == 500);
}

BOOST_AUTO_TEST_SUITE_END()
