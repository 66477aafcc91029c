#include "center/placement.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>

#include "base/random.h"

namespace tailrace::testing {
namespace {

std::vector<uint64_t> some_centers(size_t count, Rng& rng) {
  std::vector<uint64_t> centers;
  for (size_t i = 0; i < count; ++i) centers.push_back(rng.next() | 1);
  return centers;
}

BOOST_AUTO_TEST_CASE(everybody_agrees_whatever_the_order_of_the_list) {
  Rng rng(os_random());
  for (int round = 0; round < 200; ++round) {
    std::vector<uint64_t> centers = some_centers(1 + rng.below(9), rng);
    const uint8_t parts = round % 3 == 0 ? 1 : round % 3 == 1 ? 8 : 64;
    const Lane lane{"c" + std::to_string(rng.below(50)), parts,
                    static_cast<uint8_t>(rng.below(parts))};
    const uint64_t whose = center_of(lane, centers);
    BOOST_TEST(std::count(centers.begin(), centers.end(), whose) == 1);
    for (size_t i = centers.size(); i > 1; --i) std::swap(centers[i - 1], centers[rng.below(i)]);
    BOOST_TEST(center_of(lane, centers) == whose);
  }
}

BOOST_AUTO_TEST_CASE(parts_of_a_category_are_spread_evenly) {
  Rng rng(os_random());
  for (const size_t count : {2u, 3u, 5u, 7u, 64u}) {
    const std::vector<uint64_t> centers = some_centers(count, rng);
    std::map<uint64_t, size_t> holds;
    for (uint8_t part = 0; part < 64; ++part) ++holds[center_of({"big", 64, part}, centers)];
    for (const auto& [center, parts] : holds) BOOST_TEST(parts <= (64 + count - 1) / count);
  }
}

// Whole categories: about a share of them goes to a Center that comes, and all of them from others.
BOOST_AUTO_TEST_CASE(a_center_that_comes_moves_only_what_it_gets) {
  Rng rng(os_random());
  std::vector<uint64_t> centers = some_centers(4, rng);
  std::vector<uint64_t> more = centers;
  more.push_back(rng.next() | 1);
  size_t moved = 0;
  constexpr size_t kLanes = 2'000;
  for (size_t i = 0; i < kLanes; ++i) {
    const Lane lane{"category-" + std::to_string(i), 1, 0};
    const uint64_t now = center_of(lane, more);
    if (now == center_of(lane, centers)) continue;
    ++moved;
    BOOST_TEST(now == more.back());
  }
  BOOST_TEST(moved > kLanes / 5 - kLanes / 10);
  BOOST_TEST(moved < kLanes / 5 + kLanes / 10);
}

}  // namespace
}  // namespace tailrace::testing
