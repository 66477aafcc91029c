#include "sinks/store/server_choice.h"

#include <boost/test/unit_test.hpp>

namespace tailrace {
namespace {

using Order = std::vector<size_t>;
constexpr int64_t kFull = ServerChoice::kPatienceMs, kLittle = ServerChoice::kLittleMs;

BOOST_AUTO_TEST_SUITE(server_choice)

BOOST_AUTO_TEST_CASE(the_one_that_served_last_comes_first) {
  ServerChoice choice(3);
  BOOST_TEST(choice.order(0) == (Order{0, 1, 2}));
  choice.served(1);
  choice.answered(2);  // on standby
  BOOST_TEST(choice.order(0) == (Order{1, 2, 0}));
}

BOOST_AUTO_TEST_CASE(one_that_is_silent_comes_last_and_gets_little_time_for_a_while) {
  ServerChoice choice(2);
  BOOST_TEST(choice.patience_ms(0, 1'000) == kFull);
  choice.silent(0, 1'000, 11'000);
  BOOST_TEST(choice.order(11'000) == (Order{1, 0}));
  BOOST_TEST(choice.patience_ms(0, 11'000) == kLittle);
  BOOST_TEST(choice.patience_ms(1, 11'000) == kFull);
  // The little time that it gets proves nothing more: it may be slow.
  choice.silent(0, 39'000, 41'000);
  BOOST_TEST(choice.patience_ms(0, 40'999) == kLittle);
  BOOST_TEST(choice.patience_ms(0, 41'000) == kFull);
  BOOST_TEST(choice.order(41'000) == (Order{0, 1}));
  choice.silent(0, 41'000, 51'000);
  BOOST_TEST(choice.patience_ms(0, 51'000) == kLittle);
}

BOOST_AUTO_TEST_CASE(whatever_it_says_ends_the_doubt) {
  ServerChoice choice(2);
  choice.silent(0, 0, 10'000);
  choice.answered(0);
  BOOST_TEST(choice.patience_ms(0, 10'000) == kFull);
  BOOST_TEST(choice.order(10'000) == (Order{0, 1}));
}

BOOST_AUTO_TEST_CASE(the_only_one_is_always_given_its_time) {
  ServerChoice choice(1);
  choice.silent(0, 0, 10'000);
  BOOST_TEST(choice.patience_ms(0, 10'000) == kFull);
  BOOST_TEST(choice.order(10'000) == (Order{0}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
