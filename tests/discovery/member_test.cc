#include "discovery/member.h"

#include <boost/test/unit_test.hpp>

#include "base/file.h"
#include "discovery/servers.h"

namespace tailrace {

namespace {
Member center() {
  Member out;
  out.cluster = "main";
  out.name = "center1.example";
  out.address = "center1.example.com:17410";
  out.version = "0.1.0";
  out.state_uuid = 0x1234;
  out.started_ms = 1'764'000'000'123;
  out.incarnations[7] = "1764000000000-0123456789abcdef";
  return out;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(member)

BOOST_AUTO_TEST_CASE(it_comes_back_as_it_was_and_a_person_can_read_it) {
  const std::string text = *center().encode();
  BOOST_TEST(text ==
             "tailrace-center 1\ncluster main\nname center1.example\n"
             "address center1.example.com:17410\nversion 0.1.0\nstate running\n"
             "uuid 0000000000001234\nstarted 1764000000123\n"
             "sink 0000000000000007 1764000000000-0123456789abcdef\n");
  BOOST_TEST((*Member::decode(text) == center()));
  BOOST_TEST((*Member::decode(text + "later words\n") == center()));
}

BOOST_AUTO_TEST_CASE(the_form_is_as_it_was) {
  BOOST_TEST(*center().encode() == *read_file(TAILRACE_GOLDEN_DIR "/member_v1.txt", 4'096));
}

BOOST_AUTO_TEST_CASE(the_most_that_a_center_says_fits) {
  Member large = center();
  large.name = std::string(250, 'n');
  large.cluster = std::string(250, 'c');
  large.address = std::string(240, 'a') + ":17410";
  for (uint64_t sink = 1; sink <= 31; ++sink)
    large.incarnations[sink << 32] = "1764000000000-0123456789abcdef";
  BOOST_TEST(large.encode().ok());
  large.cluster = std::string(3'000, 'c');
  BOOST_TEST(!large.encode().ok());
}

BOOST_AUTO_TEST_CASE(each_mistake_is_found) {
  const std::string good = *center().encode();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  BOOST_TEST(Member::decode(with("state running", "state draining")).ok());
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string(5'000, 'x'), good.substr(0, good.size() - 1),
        with("tailrace-center 1", "tailrace-center 2"), with("cluster main\n", ""),
        with("uuid 0000000000001234", "uuid 0000000000000000"), with("uuid 00", "uuid 0"),
        with("state running", "state walking"), with("started 1", "started x"),
        with("address center1.example.com:17410", "address a b:1"),
        with("address center1.example.com:17410", "address center1:99999999"),
        with("name center1.example", std::string("name a\0b", 8)),
        with("name center1.example", "name " + std::string(300, 'a')),
        with("name center1.example\n", "name center1.example\nname center2\n"),
        with("sink 0000000000000007", "sink 7"), with("1764000000000-0123", "../64000000000-0123"),
        good + "sink 0000000000000007 1764000000000-0123456789abcdef\n", good + "word\n"})
    BOOST_TEST(!Member::decode(bad).ok(), bad);
}

BOOST_AUTO_TEST_CASE(addresses_outside_are_not_believed) {
  const auto rules = AddressRules::parse({"10.0.0.0/8", ".example.com"});
  BOOST_REQUIRE(rules.ok());
  Member outside = center();
  outside.address = "11.0.0.1:17410";
  const std::string node = member_node_name(outside.name, 5);
  BOOST_TEST(!believe_member(node, *outside.encode(), "main", *rules).ok());
  BOOST_TEST(believe_member(node, *center().encode(), "main", *rules).ok());
  BOOST_TEST(!believe_member(node, *center().encode(), "other", *rules).ok());
  BOOST_TEST(!believe_member("other-0000000000000005", *center().encode(), "main", *rules).ok());
}

BOOST_AUTO_TEST_CASE(names_of_nodes) {
  BOOST_TEST(member_node_name("a.b", 0xabc) == "a.b-0000000000000abc");
  BOOST_TEST(center_of_node("a.b-0000000000000abc") == "a.b");
  for (const char* const bad :
       {"", "a", "-0000000000000abc", "a-0000000000000ab", "a-0000000000000ABC"})
    BOOST_TEST(center_of_node(bad).empty(), bad);
}

BOOST_AUTO_TEST_CASE(servers_and_their_chroot) {
  const auto one = parse_zookeeper("zoo1,zoo2:2182,[::1]:2183/prod/logs");
  BOOST_REQUIRE(one.ok());
  BOOST_TEST(one->hosts == "zoo1:2181,zoo2:2182,[::1]:2183");
  BOOST_TEST(one->chroot == "/prod/logs");
  BOOST_TEST(parse_zookeeper("zoo")->chroot.empty());
  BOOST_TEST(parse_zookeeper("zoo/")->chroot.empty());
  for (const char* const bad :
       {"", "/x", "zoo,", ",zoo", "zoo:x", "zoo/a/", "zoo//a", "zoo/a/../b", "zoo/a b"})
    BOOST_TEST(!parse_zookeeper(bad).ok(), bad);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
