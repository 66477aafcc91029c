// Where a Local looks for Centers when none answers, and when.
#include "local/center_search.h"

#include <boost/test/unit_test.hpp>

#include "base/file.h"
#include "local/center_list.h"
#include "tests/sinks/scratch_directory.h"

namespace tailrace::test {
namespace {

// When it first looks, given that nobody answers from 0 on.
int64_t first_look(uint64_t seed, size_t known) {
  CenterSearch search{Rng(seed)};
  for (int64_t now_ms = 0;; now_ms += 100)
    if (search.due(false, known, now_ms)) return now_ms;
}

BOOST_AUTO_TEST_CASE(while_a_center_answers_nobody_is_asked) {
  CenterSearch search{Rng(1)};
  for (int64_t now_ms = 0; now_ms < 600'000; now_ms += 1'000)
    BOOST_TEST(!search.due(true, 3, now_ms));
  BOOST_TEST(!search.due(false, 3, 600'000));
  BOOST_TEST(!search.due(false, 3, 604'000));
  BOOST_TEST(!search.due(true, 3, 604'500));  // it was away for a moment
  BOOST_TEST(!search.due(false, 3, 700'000));
}

BOOST_AUTO_TEST_CASE(a_fleet_does_not_look_at_once) {
  int64_t least = INT64_MAX, most = 0;
  for (uint64_t seed = 1; seed <= 1'000; ++seed) {
    const int64_t at = first_look(seed, 3);
    least = std::min(least, at);
    most = std::max(most, at);
    BOOST_TEST(first_look(seed, 0) <= 2'000);  // who knows nobody has nothing to wait for
  }
  BOOST_TEST(least >= 5'000);
  BOOST_TEST(most <= 15'000);
  BOOST_TEST(most - least > 8'000);
}

BOOST_AUTO_TEST_CASE(one_look_at_a_time_and_ever_rarer) {
  CenterSearch search{Rng(7)};
  int looks = 0;
  int64_t under_way_until = -1;
  for (int64_t now_ms = 0; now_ms < 3'600'000; now_ms += 500) {
    if (under_way_until >= 0 && now_ms >= under_way_until) {
      search.ended(now_ms);
      under_way_until = -1;
    }
    if (!search.due(false, 3, now_ms)) continue;
    BOOST_TEST(under_way_until == -1);
    under_way_until = now_ms + 15'000;
    ++looks;
  }
  BOOST_TEST(looks < 70);
  BOOST_TEST(looks > 40);
}

BOOST_AUTO_TEST_CASE(the_list_comes_back_from_the_disk) {
  const testing::ScratchDirectory folder;
  const std::string path = folder.path() + "/centers";
  BOOST_TEST(read_center_list(path).empty());
  const std::vector<std::string> list = {"a:1", "[::1]:2", "c.example:17410"};
  BOOST_REQUIRE(keep_center_list(path, list).ok());
  BOOST_TEST((read_center_list(path) == list));
  BOOST_REQUIRE(keep_center_list(path, {"b:3"}).ok());
  BOOST_TEST((read_center_list(path) == std::vector<std::string>{"b:3"}));
  BOOST_REQUIRE(replace_file(path, "a:1\n\xff\nno port\nb:99999\n:1\nc:2").ok());
  BOOST_TEST((read_center_list(path) == std::vector<std::string>{"a:1", "c:2"}));
}

}  // namespace
}  // namespace tailrace::test
