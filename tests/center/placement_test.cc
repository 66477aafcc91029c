#include "center/placement.h"

#include <rapidcheck.h>

#include <algorithm>
#include <array>
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

constexpr std::array<uint8_t, 3> kParts{1, 8, 64};
using Owners = std::map<Lane, uint64_t>;
Owners owners(const std::string& category, uint8_t parts, const std::vector<uint64_t>& centers) {
  Owners out;
  for (unsigned i = 0; i < parts; ++i) {
    const Lane lane{category, parts, static_cast<uint8_t>(i)};
    out[lane] = center_of(lane, centers);
  }
  return out;
}

// Whatever the Centers: each computes the same, and nobody holds more than ceil(parts / n).
BOOST_AUTO_TEST_CASE(nobody_holds_more_than_his_share_and_each_computes_the_same) {
  const bool holds = rc::check([](uint64_t category, std::set<uint64_t> names) {
    RC_PRE(!names.empty());
    const std::vector<uint64_t> centers(names.begin(), names.end());
    const std::vector<uint64_t> other(names.rbegin(), names.rend());
    for (const uint8_t parts : kParts) {
      const Owners mine = owners(hex16(category), parts, centers);
      RC_ASSERT(mine == owners(hex16(category), parts, other));
      std::map<uint64_t, size_t> count;
      for (const auto& [lane, center] : mine)
        RC_ASSERT(++count[center] <= (parts + centers.size() - 1) / centers.size());
    }
  });
  BOOST_TEST(holds);
}

// Whole categories: its share, and nothing else. Of parts more: one that finds its place taken
// pushes on, at worst where there are as many parts as Centers.
BOOST_AUTO_TEST_CASE(a_center_that_goes_moves_about_its_share) {
  Rng rng(os_random());
  for (const size_t count : {3u, 8u, 30u, 100u})
    for (const uint8_t parts : kParts) {
      const std::vector<uint64_t> centers = some_centers(count, rng);
      const std::vector<uint64_t> fewer(centers.begin() + 1, centers.end());
      size_t all = 0, moved = 0, its_own = 0;
      for (size_t i = 0; i < 6'400u / parts; ++i) {
        const std::string category = "category-" + std::to_string(i);
        const Owners before = owners(category, parts, centers);
        const Owners after = owners(category, parts, fewer);
        for (const auto& [lane, center] : before) {
          ++all;
          its_own += center == centers[0];
          moved += center != after.at(lane);
        }
      }
      BOOST_TEST_CONTEXT(count << " Centers, " << unsigned{parts} << " parts") {
        BOOST_TEST(moved >= its_own);
        BOOST_TEST(2 * its_own * count < 3 * all);
        BOOST_TEST(moved * count < (parts == 1 ? 3 * all / 2 : 4 * all));
      }
    }
}

}  // namespace
}  // namespace tailrace::testing
