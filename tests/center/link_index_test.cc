#include "center/link_index.h"

#include <boost/test/unit_test.hpp>

namespace tailrace::testing {
namespace {

LocalLink link_of(uint64_t id, uint64_t local_id) {
  LocalLink link(id, PeerAddress{}, 1, 0);
  link.local_id = local_id;
  return link;
}

BOOST_AUTO_TEST_CASE(a_connection_is_found_by_its_local_and_its_categories_until_it_is_gone) {
  LinkIndex index;
  LocalLink one = link_of(1, 7);
  LocalLink again = link_of(2, 7);  // the same Local come back, before the first is gone
  for (LocalLink* link : {&one, &again}) {
    index.greeted(7, link->id);
    link->categories["web"] = {{0, 4}, {1, 5}};
    for (const uint32_t number : {4u, 5u}) index.named("web", link->id, number);
  }
  BOOST_TEST((index.of_local(7) == std::set<uint64_t>{1, 2}));
  BOOST_TEST((index.of_category("web").at(2) == LinkIndex::Numbers{4, 5}));
  BOOST_TEST(index.of_category("db").empty());
  uint32_t number = 0;
  BOOST_TEST(one.number_of("web", {7, 1}, &number));
  BOOST_TEST(number == 5u);
  BOOST_TEST(!one.number_of("web", {8, 1}, &number));
  BOOST_TEST(!one.number_of("web", {7, 2}, &number));
  index.gone(one);
  BOOST_TEST((index.of_local(7) == std::set<uint64_t>{2}));
  BOOST_TEST(index.of_category("web").size() == 1u);
  index.gone(again);
  BOOST_TEST(index.of_local(7).empty());
  BOOST_TEST(index.of_category("web").empty());
  index.gone(link_of(3, 0));  // it never said who it is
}

}  // namespace
}  // namespace tailrace::testing
