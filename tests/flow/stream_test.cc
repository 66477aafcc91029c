// Categories, lanes, buckets and chains, with the vectors of docs/formats/batch.md.
#include "flow/stream.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(stream)

BOOST_AUTO_TEST_CASE(categories) {
  for (const char* good : {"a", "0", "nginx.access", "app-1_x", "a..b"})
    BOOST_TEST(valid_category(good), good);
  BOOST_TEST(valid_category(std::string(64, 'a')));
  for (const char* bad :
       {"", ".", "..", ".a", "_a", "-a", "A", "a/b", "../a", "a b", "a%2e", "~", "a\n", "\xC3\xBC"})
    BOOST_TEST(!valid_category(bad), bad);
  BOOST_TEST(!valid_category(std::string(65, 'a')));
  BOOST_TEST(!valid_category(std::string_view("a\0b", 3)));
}

BOOST_AUTO_TEST_CASE(chain_vectors) {
  BOOST_TEST(next_chain(0, 0, 0) == 0xA706DD2F4D197E6Full);
  BOOST_TEST(next_chain(0, 0xE3069283, 5) == 0x0B37AB9067B69A2Full);
  BOOST_TEST(next_chain(0x0B37AB9067B69A2Full, 0xE3069283, 5) == 0x1FF3B0886B99ADFEull);
}

BOOST_AUTO_TEST_CASE(a_chain_tells_apart_what_differs) {
  BOOST_TEST(rc::check("each part counts", [](uint64_t before, uint32_t crc, uint32_t count) {
    const uint64_t chain = next_chain(before, crc, count);
    RC_ASSERT(next_chain(before + 1, crc, count) != chain);
    RC_ASSERT(next_chain(before, crc + 1, count) != chain);
    RC_ASSERT(next_chain(before, crc, count + 1) != chain);
    RC_ASSERT(next_chain(next_chain(before, crc, count), crc + 1, count) !=
              next_chain(next_chain(before, crc + 1, count), crc, count));
  }));
}

BOOST_AUTO_TEST_CASE(lane_vectors) {
  BOOST_TEST(lane_part({1, 0}, 1) == 0);
  BOOST_TEST(lane_part({1, 0}, 8) == 0);
  BOOST_TEST(lane_part({1, 0}, 64) == 2);
  BOOST_TEST(lane_part({1, 1}, 64) == 58);
  BOOST_TEST(lane_part({0x0123456789ABCDEFull, 0}, 8) == 0);
  BOOST_TEST(lane_part({0x0123456789ABCDEFull, 0}, 64) == 4);
  BOOST_TEST(lane_name({"nginx.access", 8, 3}) == "nginx.access/8-3");
  BOOST_TEST(lane_name({"app", 1, 0}) == "app/1-0");
}

BOOST_AUTO_TEST_CASE(sixty_four_parts_refine_eight) {
  std::set<uint8_t> seen;
  BOOST_TEST(rc::check("refined", [&](uint64_t id, uint8_t sub) {
    const uint8_t fine = lane_part({id, sub}, 64);
    RC_ASSERT(fine < 64);
    RC_ASSERT(lane_part({id, sub}, 8) == fine / 8);
    RC_ASSERT(lane_part({id, sub}, 1) == 0);
  }));
  for (uint64_t id = 0; id < 1000; ++id) seen.insert(lane_part({id, 0}, 64));
  BOOST_TEST(seen.size() == 64u);
}

BOOST_AUTO_TEST_CASE(buckets) {
  BOOST_TEST(bucket_of(0) == 0u);
  BOOST_TEST(bucket_of(-1) == 0u);
  BOOST_TEST(bucket_of(899'999) == 0u);
  BOOST_TEST(bucket_of(900'000) == 1u);
  BOOST_TEST(bucket_of(1'795'528'800'000) == 1'995'032u);  // 2026-11-24 14:00 UTC
  BOOST_TEST(bucket_start_ms(1'995'032u) == 1'795'528'800'000);
}

BOOST_AUTO_TEST_CASE(a_bucket_of_a_clock_that_is_off_is_ours) {
  const int64_t now = 1'795'528'800'000 + 60'000;
  const Bucket ours = bucket_of(now);
  BOOST_TEST(sane_bucket(ours, now) == ours);
  BOOST_TEST(sane_bucket(ours + 1, now) == ours + 1);  // starts 14 minutes ahead
  BOOST_TEST(sane_bucket(ours + 2, now) == ours);      // 29 minutes ahead
  BOOST_TEST(sane_bucket(UINT32_MAX, now) == ours);
  BOOST_TEST(sane_bucket(ours - 96 * 365, now) == ours - 96 * 365);  // old is just old
  BOOST_TEST(sane_bucket(0, now) == ours);
  const Bucket year_2000 = bucket_of(946'684'800'000);
  BOOST_TEST(sane_bucket(year_2000, now) == year_2000);
  BOOST_TEST(sane_bucket(year_2000 - 1, now) == ours);
}

BOOST_AUTO_TEST_SUITE_END()
