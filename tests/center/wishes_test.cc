#include "center/wishes.h"

#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

namespace tailrace::testing {
namespace {

Lane lane(const std::string& name) { return {name, 1, 0}; }

BOOST_AUTO_TEST_CASE(who_wishes_for_thousands_keeps_no_other_waiting) {
  Wishes wishes;
  for (int i = 0; i < 3'000; ++i) wishes.add(lane("a" + std::to_string(i)), 7, 0);
  wishes.add(lane("z"), 9, 0);
  wishes.add(lane("y"), 5, 0);
  wishes.add(lane("y"), 7, 0);  // it is wished for already
  std::set<Lane> taken;
  for (int i = 0; i < 3; ++i) {
    const auto next = wishes.next(0, [&](const Lane& l) { return taken.contains(l); });
    BOOST_REQUIRE(next.has_value());
    taken.insert(*next);
  }
  BOOST_TEST((taken == std::set<Lane>{lane("a0"), lane("y"), lane("z")}));
}

BOOST_AUTO_TEST_CASE(all_come_and_none_before_its_time) {
  Wishes wishes;
  wishes.add(lane("a"), 1, 100);
  wishes.add(lane("b"), 1, 0);
  wishes.add(lane("c"), UINT64_MAX, 0);
  wishes.erase(lane("c"));
  const auto none = [](const Lane&) { return false; };
  BOOST_TEST((wishes.next(50, none) == lane("b")));
  BOOST_TEST((wishes.next(50, none) == lane("b")));  // until it is erased, or put off
  wishes.again(lane("b"), 200);
  BOOST_TEST(!wishes.next(50, none).has_value());
  BOOST_TEST((wishes.next(100, none) == lane("a")));
  wishes.erase_if([](const Lane& l) { return l == lane("a"); });
  BOOST_TEST((wishes.next(300, none) == lane("b")));
}

}  // namespace
}  // namespace tailrace::testing
