// What is said of many peers, once in a while for each.
#include "base/sparingly.h"

#include <boost/test/unit_test.hpp>

using tailrace::Sparingly;

BOOST_AUTO_TEST_SUITE(sparingly)

BOOST_AUTO_TEST_CASE(once_in_a_while_for_each_and_the_rest_is_counted) {
  Sparingly said(10'000, 2);
  BOOST_TEST(said.text("a", "x", 0) == "x");
  BOOST_TEST(said.text("a", "x", 9'999) == "");
  BOOST_TEST(said.text("b", "y", 9'999) == "y");
  BOOST_TEST(said.text("a", "x", 10'000) == "x (and 1 more since it was last said)");
  BOOST_TEST(said.text("a", "x", 10'001) == "");
}

BOOST_AUTO_TEST_CASE(more_peers_than_it_remembers_share_one_turn) {
  Sparingly said(10'000, 2);
  BOOST_TEST(said.text("a", "x", 0) == "x");
  BOOST_TEST(said.text("b", "x", 1) == "x");
  BOOST_TEST(said.text("c", "x", 2) == "x");  // as one of the others
  BOOST_TEST(said.text("d", "x", 3) == "");
  BOOST_TEST(said.text("e", "x", 20'000) == "x");  // a and b are forgotten
}

BOOST_AUTO_TEST_SUITE_END()
