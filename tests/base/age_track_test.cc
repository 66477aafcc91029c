#include "base/age_track.h"

#include <boost/test/unit_test.hpp>

#include "base/address.h"

namespace tailrace {

BOOST_AUTO_TEST_SUITE(age_track)

BOOST_AUTO_TEST_CASE(the_oldest_that_waits) {
  AgeTrack track;
  track.seen(0, 0, 5);
  BOOST_TEST(track.oldest_ms() == -1);
  track.seen(10, 0, 100);
  track.seen(20, 0, 200);
  BOOST_TEST(track.oldest_ms() == 100);
  track.seen(20, 9, 300);
  BOOST_TEST(track.oldest_ms() == 100);
  track.seen(20, 10, 400);
  BOOST_TEST(track.oldest_ms() == 200);
  track.seen(20, 20, 500);
  BOOST_TEST(track.oldest_ms() == -1);
}

// Marks are few; an age may come out too high then, never too low.
BOOST_AUTO_TEST_CASE(a_long_wait_is_never_told_too_short) {
  AgeTrack track;
  for (int64_t i = 1; i <= 10'000; ++i) track.seen(static_cast<uint64_t>(i), 0, i);
  for (int64_t i = 1; i < 10'000; i += 7) {
    track.seen(10'000, static_cast<uint64_t>(i), 10'001);
    BOOST_TEST_REQUIRE(track.oldest_ms() <= i + 1);
    BOOST_TEST_REQUIRE(track.oldest_ms() > 0);
  }
}

BOOST_AUTO_TEST_CASE(hosts_and_ports) {
  BOOST_TEST(parse_host_port("center1", 17410)->show() == "center1:17410");
  BOOST_TEST(parse_host_port("127.0.0.1:0", 1)->show() == "127.0.0.1:0");
  BOOST_TEST(parse_host_port("[::1]:99", 1)->show() == "[::1]:99");
  BOOST_TEST(parse_host_port("[::1]", 7)->show() == "[::1]:7");
  for (const char* bad :
       {"", ":1", "a:b", "a:65536", "a:1:2", "::1", "[::1]x", "a b:1", "http://a:1"})
    BOOST_TEST(!parse_host_port(bad, 1).ok(), bad);
  BOOST_TEST(is_ip_address("0.0.0.0"));
  BOOST_TEST(is_ip_address("::"));
  BOOST_TEST(!is_ip_address("localhost"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
