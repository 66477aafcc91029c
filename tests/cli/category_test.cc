#include "cli/category.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>

#include "flow/stream.h"

namespace tailrace {
namespace {

BOOST_AUTO_TEST_SUITE(category)

BOOST_AUTO_TEST_CASE(the_last_telling_folder_names_the_category) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"/var/log/nginx/*.log", "nginx"},
      {"/var/log/nginx/access.log", "nginx"},
      {"/srv/shop/logs/current/*.log", "shop"},
      {"/srv/shop/data/tmp/var/log/logs/current/app.log", "shop"},
      {"/srv/Shop API/logs/*.log", "shop-api"},
      {"/srv/*/logs/access.log", "srv"},
      {"/srv/app-*/logs/access.log", "srv"},
      {"/var/log/*/audit/*.log", "audit"},
      {"/var/log/apps/**/*.log", "apps"},
      {"/opt/_cache_/x.log", "cache"},
      {"/LOG/Current/web.log", "web"},
  };
  for (const auto& [glob, category] : cases) BOOST_TEST(derive_category(glob) == category, glob);
}

BOOST_AUTO_TEST_CASE(without_a_telling_folder_the_files_stem_does) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"/var/log/syslog", "syslog"},
      {"/var/log/dpkg.log", "dpkg"},
      {"/var/log/dpkg.log*", "dpkg"},
      {"/var/log/app*.log", "app"},
      {"/var/log/my app.access.log", "my-app.access"},
      {"/var/log/.hidden", "hidden"},
      {"/tmp/[ab]*.log", "ab"},
      {"/x.log", "x"},
  };
  for (const auto& [glob, category] : cases) BOOST_TEST(derive_category(glob) == category, glob);
}

BOOST_AUTO_TEST_CASE(where_all_is_wildcards_a_folder_after_all) {
  BOOST_TEST(derive_category("/var/log/*.log") == "log");
  BOOST_TEST(derive_category("/tmp/*") == "tmp");
  BOOST_TEST(derive_category("/*") == "logs");
  BOOST_TEST(derive_category("/var/log/**/*.log") == "log");
}

BOOST_AUTO_TEST_CASE(a_named_category_is_taken_and_checked) {
  const auto from = parse_from("web=/srv/x/*.log", "/home");
  BOOST_REQUIRE(from);
  BOOST_TEST(from->category == "web");
  BOOST_TEST(from->glob == "/srv/x/*.log");
  BOOST_TEST(!from->derived);
  for (const std::string_view bad : {"Web=/x/*.log", "=/x/*.log", "_a=/x", "a b=/x", "..=/x"})
    BOOST_TEST(!parse_from(bad, "/home"), bad);
  for (const std::string_view bad : {"", "web=", "/var/log/", "web=/var/log/"})
    BOOST_TEST(!parse_from(bad, "/home"), bad);
}

BOOST_AUTO_TEST_CASE(an_equals_sign_of_the_path_belongs_to_the_path) {
  const auto from = parse_from("/data/dt=2026/*.log", "/home");
  BOOST_REQUIRE(from);
  BOOST_TEST(from->glob == "/data/dt=2026/*.log");
  BOOST_TEST(from->category == "dt-2026");
  const auto relative = parse_from("./dt=2026/*.log", "/home/me");
  BOOST_REQUIRE(relative);
  BOOST_TEST(relative->glob == "/home/me/dt=2026/*.log");
}

BOOST_AUTO_TEST_CASE(relative_patterns_start_where_the_operator_stands) {
  const auto from = parse_from("*.log", "/srv/shop");
  BOOST_REQUIRE(from);
  BOOST_TEST(from->glob == "/srv/shop/*.log");
  BOOST_TEST(from->category == "shop");
  BOOST_TEST(from->derived);
  const auto root = parse_from("./a//b/./c.log", "/");
  BOOST_REQUIRE(root);
  BOOST_TEST(root->glob == "/a/b/c.log");
}

BOOST_AUTO_TEST_CASE(whatever_the_path_the_category_is_one) {
  BOOST_TEST(rc::check("derive_category gives valid categories", [](const std::string& path) {
    RC_ASSERT(valid_category(derive_category("/" + path)));
  }));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
