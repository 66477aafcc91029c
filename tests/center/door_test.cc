// Who may come in at a Center's door, and who waits outside.
#include "center/door.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(door)

BOOST_AUTO_TEST_CASE(one_address_has_its_limit_and_this_machine_has_none) {
  Door door(DoorLimits{.most = 100, .most_of_address = 2, .most_strangers = 50});
  BOOST_TEST(door.knock("10.0.0.7", 0).empty());
  BOOST_TEST(door.knock("10.0.0.7", 0).empty());
  BOOST_TEST(!door.knock("10.0.0.7", 0).empty());
  BOOST_TEST(door.knock("10.0.0.8", 0).empty());
  for (int i = 0; i < 10; ++i) BOOST_TEST(door.knock("", 0).empty());
  door.left("10.0.0.7", false);
  BOOST_TEST(door.knock("10.0.0.7", 0).empty());
  BOOST_TEST(!door.knock("10.0.0.7", 0).empty());
}

BOOST_AUTO_TEST_CASE(strangers_have_a_limit_of_their_own) {
  Door door(DoorLimits{.most = 5, .most_strangers = 2});
  BOOST_TEST(door.knock("", 0).empty());
  BOOST_TEST(door.knock("", 0).empty());
  BOOST_TEST(!door.knock("", 0).empty());
  door.greeted();
  BOOST_TEST(door.knock("", 0).empty());
  door.left("", false);
  door.greeted();
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST(door.knock("", 0).empty());
    door.greeted();
  }
  BOOST_TEST(door.inside() == 5u);
  BOOST_TEST(!door.knock("", 0).empty());  // all in all
  door.left("", true);
  BOOST_TEST(door.knock("", 0).empty());
}

BOOST_AUTO_TEST_CASE(they_come_no_faster_than_they_may) {
  Door door(DoorLimits{.most_strangers = 10'000, .most_a_second = 10});
  int in = 0;
  for (int ms = 0; ms < 2'000; ++ms) in += door.knock("", ms).empty();
  BOOST_TEST(in >= 28);
  BOOST_TEST(in <= 30);
}

BOOST_AUTO_TEST_CASE(an_offender_waits_longer_each_time_and_is_forgiven) {
  PenaltyBox box;
  BOOST_TEST(box.left_ms("x", 0) == 0);
  int64_t now = 1'000'000;
  const int64_t expected[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
  for (const int64_t seconds : expected) {
    box.offend("x", now);
    BOOST_TEST(box.left_ms("x", now) == seconds * 1'000);
    BOOST_TEST(box.left_ms("y", now) == 0);
    now += seconds * 1'000;
    BOOST_TEST(box.left_ms("x", now) == 0);
  }
  now += 300'000;
  box.offend("x", now);
  BOOST_TEST(box.left_ms("x", now) == 1'000);
}

BOOST_AUTO_TEST_CASE(ten_within_a_minute_are_too_many) {
  Strikes fast;
  for (int i = 0; i < 9; ++i) BOOST_TEST(!fast.add(i));
  BOOST_TEST(fast.add(9));
  Strikes slow;
  for (int i = 0; i < 100; ++i) BOOST_TEST(!slow.add(i * 7'000));
}

BOOST_AUTO_TEST_SUITE_END()
