#include "center/store_trouble.h"

#include <boost/test/unit_test.hpp>

namespace tailrace {

BOOST_AUTO_TEST_SUITE(store_trouble)

BOOST_AUTO_TEST_CASE(it_is_said_once_and_so_is_its_end) {
  StoreTrouble trouble(1'000);
  const auto look = [&](const char* text, int64_t ms) { return trouble.look(text, "it", ms); };
  BOOST_TEST(look("", 5'000) == "");
  BOOST_TEST(look("full", 6'000) == "");
  BOOST_TEST(look("full", 14'999) == "");
  BOOST_TEST(look("full", 15'000) ==
             "it has not done for 10.0 s what it was asked for: full; it is asked again until it "
             "does");
  BOOST_TEST(look("full", 60'000) == "");
  BOOST_TEST(look("", 61'000) == "it does again what it is asked for");
  BOOST_TEST(look("", 62'000) == "");
}

BOOST_AUTO_TEST_CASE(what_is_over_soon_is_not_said) {
  StoreTrouble trouble(0);
  for (int64_t ms = 0; ms < 100'000; ms += 8'000) {
    BOOST_TEST(trouble.look("away", "it", ms) == "");
    BOOST_TEST(trouble.look("", "it", ms + 4'000) == "");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
