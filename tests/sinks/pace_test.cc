#include "sinks/store/pace.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(pace)

BOOST_AUTO_TEST_CASE(all_together_stay_below_it) {
  Pace pace(1'000'000);
  int64_t now = 5'000;
  for (int i = 0; i <= 100; ++i) now += pace.wait_ms(100'000, now);  // one after the other
  BOOST_TEST(now == 15'000);
  Pace shared(1'000'000);  // four ask at the same moment
  int64_t longest = 0;
  for (int i = 0; i < 4; ++i) longest = std::max(longest, shared.wait_ms(500'000, 0));
  BOOST_TEST(longest == 1'500);
}

BOOST_AUTO_TEST_CASE(a_pause_is_followed_by_no_burst) {
  Pace pace(1'000);
  BOOST_TEST(pace.wait_ms(1'000, 0) == 0);
  BOOST_TEST(pace.wait_ms(1'000, 60'000) == 0);
  BOOST_TEST(pace.wait_ms(1'000, 60'000) == 1'000);
}

BOOST_AUTO_TEST_CASE(small_pieces_count_too) {
  Pace pace(1'000'000'000);
  int64_t waited = 0;
  for (int i = 0; i <= 10'000; ++i) waited = pace.wait_ms(100'000, 0);
  BOOST_TEST(waited == 1'000);
}

BOOST_AUTO_TEST_SUITE_END()
