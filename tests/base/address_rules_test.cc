#include "base/address_rules.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;

BOOST_AUTO_TEST_CASE(address_rules_take_networks_names_and_domains) {
  const auto rules = AddressRules::parse(
      {"10.0.0.0/8", "192.168.7.4", "fd00::/9", ".example.com", "DN1.other.org"});
  BOOST_REQUIRE(rules.ok());
  for (const char* const in : {"10.255.1.2:1", "192.168.7.4:17410", "[fd7f::1]:17410",
                               "a.example.com:17410", "A.EXAMPLE.com:1", "dn1.other.org:9864"})
    BOOST_TEST(rules->allow(in), in);
  for (const char* const out :
       {"11.0.0.1:1", "192.168.7.5:17410", "[fd80::1]:17410", "example.com:1",
        "a.example.com.evil.org:1", "localhost:17410", "xdn1.other.org:1", ""})
    BOOST_TEST(!rules->allow(out), out);
  BOOST_TEST(AddressRules().allow("anything:1"));
  for (const char* const bad :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "", ".", "a b", "10.0.0", "a/8"})
    BOOST_TEST(!AddressRules::parse({bad}).ok(), bad);
}
