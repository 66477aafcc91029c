// How few files could hold what was published.
#include "center/fewest_files.h"

#include <boost/test/unit_test.hpp>

namespace tailrace {

BOOST_AUTO_TEST_SUITE(fewest_files)

BOOST_AUTO_TEST_CASE(bytes_of_a_directory_are_rounded_up_together) {
  FewestFiles fewest;
  BOOST_TEST(fewest.add("web", "web/hr=1", 30, 100) == 1u);
  BOOST_TEST(fewest.add("web", "web/hr=1", 70, 100) == 0u);
  BOOST_TEST(fewest.add("web", "web/hr=1", 1, 100) == 1u);
  BOOST_TEST(fewest.add("web", "web/hr=1", 250, 100) == 2u);  // 351 bytes: 4
  BOOST_TEST(fewest.add("web", "web/hr=2", 1, 100) == 1u);
  BOOST_TEST(fewest.add("app", "app/hr=1", 1, 100) == 1u);
  BOOST_TEST(fewest.add("web", "web/hr=1", 49, 100) == 0u);  // the hour before goes on
  BOOST_TEST(fewest.add("web", "web/hr=1", 0, 100) == 0u);
}

BOOST_AUTO_TEST_CASE(of_old_directories_nothing_is_kept) {
  FewestFiles fewest;
  BOOST_TEST(fewest.add("web", "web/hr=1", 30, 100) == 1u);
  for (const char* hour : {"web/hr=2", "web/hr=3", "web/hr=4", "web/hr=5"})
    BOOST_TEST(fewest.add("web", hour, 1, 100) == 1u);
  BOOST_TEST(fewest.add("web", "web/hr=1", 30, 100) == 1u);  // as if it began
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
