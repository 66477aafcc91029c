#include "sinks/kafka/kafka_window.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <numeric>

#include "base/random.h"

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(kafka_window)

BOOST_AUTO_TEST_CASE(what_fills_no_batch_may_all_be_held_back) {
  KafkaWindow window(1'000);
  for (int i = 0; i < 9; ++i) window.add(0, 100);
  BOOST_TEST(window.held() == 9u);
  window.sent();
  BOOST_TEST(window.held() == 0u);
  window.add(0, 100);
  BOOST_TEST(window.held() == 1u);
}

BOOST_AUTO_TEST_CASE(of_many_only_the_newest) {
  KafkaWindow window(1'000);
  for (int i = 0; i < 10'000; ++i) window.add(0, 10);
  BOOST_TEST(window.held() >= 100u);
  BOOST_TEST(window.held() <= 120u);
  window.add(0, 1'000'000);  // which is sent at once
  for (int i = 0; i < 9; ++i) window.add(0, 1'000);
  BOOST_TEST(window.held() == 9u);
}

BOOST_AUTO_TEST_CASE(each_partition_has_its_own) {
  KafkaWindow window(1'000);
  for (int i = 0; i < 9; ++i) window.add(7, 100);
  for (int i = 0; i < 9; ++i) window.add(2, 100);
  BOOST_TEST(window.held() == 18u);
  for (int i = 0; i < 1'000; ++i) window.add(2, 1'000);
  BOOST_TEST(window.held() == 18u);
}

// Else whoever waits for it waits for ever.
BOOST_AUTO_TEST_CASE(it_is_never_less_than_what_fills_no_batch) {
  Rng rng(1);
  KafkaWindow window(1'000);
  std::deque<size_t> newest;
  for (int i = 0; i < 100'000; ++i) {
    const size_t bytes = rng.below(rng.below(2) ? 20 : 600);
    window.add(0, bytes);
    newest.push_back(bytes);
    while (std::accumulate(newest.begin(), newest.end(), size_t{0}) >= 1'000) newest.pop_front();
    BOOST_REQUIRE_GE(window.held(), newest.size());
  }
}

BOOST_AUTO_TEST_SUITE_END()
