#include "agent/glob.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>

#include "agent/source_rules.h"

namespace tailrace {

namespace {
bool matches(const char* pattern, const char* path) {
  const auto glob = Glob::parse(pattern);
  BOOST_REQUIRE_MESSAGE(glob.ok(), pattern);
  return glob->matches(path);
}

// The definition, as slow as it is plain: `*` and `?` only.
bool slow_match(std::string_view p, std::string_view n) {
  if (p.empty()) return n.empty();
  if (p[0] == '*') {
    for (size_t i = 0; i <= n.size(); ++i)
      if (slow_match(p.substr(1), n.substr(i))) return true;
    return false;
  }
  return !n.empty() && (p[0] == '?' || p[0] == n[0]) && slow_match(p.substr(1), n.substr(1));
}
}  // namespace

BOOST_AUTO_TEST_SUITE(glob)

BOOST_AUTO_TEST_CASE(names) {
  BOOST_TEST(glob_matches_name("*.log", "a.log"));
  BOOST_TEST(!glob_matches_name("*.log", "a.log.1"));
  BOOST_TEST(glob_matches_name("a?c", "abc"));
  BOOST_TEST(!glob_matches_name("a?c", "ac"));
  BOOST_TEST(glob_matches_name("x[0-9]y", "x5y"));
  BOOST_TEST(!glob_matches_name("x[!0-9]y", "x5y"));
  BOOST_TEST(glob_matches_name("x[^0-9]y", "x.y"));
  BOOST_TEST(glob_matches_name("[]a]", "]"));
  BOOST_TEST(glob_matches_name("[a-]", "-"));
  BOOST_TEST(glob_matches_name("a\\*b", "a*b"));
  BOOST_TEST(!glob_matches_name("a\\*b", "axb"));
  BOOST_TEST(!glob_matches_name("*", ".hidden"));
  BOOST_TEST(glob_matches_name(".*", ".hidden"));
  BOOST_TEST(glob_matches_name("*", ".hidden", true));
}

BOOST_AUTO_TEST_CASE(paths) {
  BOOST_TEST(matches("/var/log/*.log", "/var/log/a.log"));
  BOOST_TEST(!matches("/var/log/*.log", "/var/log/x/a.log"));
  BOOST_TEST(!matches("/var/log/*.log", "/var/log"));
  BOOST_TEST(matches("/var/log/**/*.log", "/var/log/a.log"));
  BOOST_TEST(matches("/var/log/**/*.log", "/var/log/x/y/z/a.log"));
  BOOST_TEST(!matches("/var/log/**/*.log", "/var/log/x/.y/a.log"));
  BOOST_TEST(matches("/var/log/**", "/var/log/x/a"));
  BOOST_TEST(matches("/a/**/b/**/c", "/a/b/x/b/c"));
  BOOST_TEST(matches("/a/**/**/c", "/a/c"));
  BOOST_TEST(!matches("/a/**/b/c", "/a/b/x/c"));
  BOOST_TEST(matches("/a b/\xff*", "/a b/\xff\xfe"));
  BOOST_TEST(matches("/srv/*/app[12].log", "/srv/x/app2.log"));
  BOOST_TEST(!matches("/srv/*/app[12].log", "/srv/x/app3.log"));
}

BOOST_AUTO_TEST_CASE(what_is_no_glob) {
  for (const char* bad : {"var/log/*", "", "/", "/a/[b", "/a/../b"})
    BOOST_TEST(!Glob::parse(bad).ok());
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "/a";
  BOOST_TEST(!Glob::parse(deep).ok());
}

BOOST_AUTO_TEST_CASE(agrees_with_the_definition) {
  BOOST_TEST(rc::check("a name matches as the definition says", [] {
    const auto alphabet = rc::gen::element('a', 'b', '*', '?');
    // Short: the definition takes exponential time.
    const auto pattern = *rc::gen::resize(12, rc::gen::container<std::string>(alphabet));
    const auto name =
        *rc::gen::resize(12, rc::gen::container<std::string>(rc::gen::element('a', 'b')));
    RC_ASSERT(glob_matches_name(pattern, name) == slow_match(pattern, name));
  }));
}

BOOST_AUTO_TEST_CASE(sources) {
  AgentSource web{"web", {"/l/web/*", "/l/one.gz"}, {"*.tmp", "/l/web/no/**"}, Codec::gzip};
  AgentSource all{"all", {"/l/**"}, {}, Codec::gzip};
  const auto rules = SourceRules::compile({web, all}, {"/l/state/"});
  BOOST_REQUIRE(rules.ok());
  BOOST_TEST((rules->source_of("/l/web/a") == size_t{0}));
  BOOST_TEST((rules->source_of("/l/other/a") == size_t{1}));
  BOOST_TEST((rules->source_of("/l/web/a.tmp") == size_t{1}));
  BOOST_TEST(!rules->source_of("/l/other/a.gz"));
  BOOST_TEST(!rules->source_of("/l/wtmp"));
  BOOST_TEST(!rules->source_of("/l/system.journal"));
  BOOST_TEST((rules->source_of("/l/one.gz") == size_t{0}));  // asked for by name
  BOOST_TEST(!rules->source_of("/l/state/spool"));
  BOOST_TEST((rules->source_of("/l/state2") == size_t{1}));
  BOOST_TEST(!SourceRules::compile({{"x", {"relative"}, {}, Codec::gzip}}, {}).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
