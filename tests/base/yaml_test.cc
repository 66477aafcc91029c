#include "base/yaml.h"

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "base/config.h"
#include "base/random.h"

namespace tailrace {

namespace {
struct Parsed {
  explicit Parsed(std::string bytes) : text("a.yaml", std::move(bytes)) {
    root = parse_yaml(text, problems);
  }
  [[nodiscard]] std::string shown() const {
    std::string out;
    for (const ConfigProblem& p : problems) out += p.show();
    return out;
  }
  ConfigText text;
  std::vector<ConfigProblem> problems;
  YamlNode root;
};

// The first line of what is said about a file with this text; "" if nothing is.
std::string said(const std::string& bytes) {
  const Parsed parsed(bytes);
  return parsed.problems.empty() ? "" : parsed.shown().substr(0, parsed.shown().find('\n'));
}
}  // namespace

BOOST_AUTO_TEST_SUITE(yaml)

BOOST_AUTO_TEST_CASE(values_know_their_places) {
  const Parsed p("# comment\nrole: agent\nlist: [a, \"b c\"]\nmap:\n  key: 'it''s'\n");
  BOOST_TEST(p.shown() == "");
  BOOST_REQUIRE(p.root.entries.size() == 3u);
  BOOST_TEST(p.root.entries[0].value.text == "agent");
  BOOST_TEST(p.root.entries[0].value.line == 2u);
  BOOST_TEST(p.root.entries[0].value.column == 7u);
  BOOST_TEST(p.root.entries[1].value.items[1].text == "b c");
  BOOST_TEST(p.root.entries[2].value.entries[0].value.text == "it's");
  BOOST_TEST((Parsed("").root.kind == YamlNode::Kind::map));
}

BOOST_AUTO_TEST_CASE(what_people_get_wrong_is_refused_with_its_place) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: 1\nb: 2\na: 3\n", "a.yaml:3:1: error: duplicate key 'a'"},
      {"a: \"open\nb: 2\n",
       "a.yaml:1:4: error: a quote is opened here and not closed on this line"},
      {"a: 'open\nb: it's\n",
       "a.yaml:1:4: error: a quote is opened here and not closed on this line"},
      {"  a: 1\nb: 2\n", "a.yaml:2:1: error: this does not belong to what stands above it"},
      {"a: 1\n---\nb: 2\n", "a.yaml:2:1: error: a second document begins here"},
      {"a: &x 1\n", "a.yaml:1:4: error: anchors (&name) are not supported"},
      {"a: !!int 1\n", "a.yaml:1:4: error: tags are not supported: tag:yaml.org,2002:int"},
      {"<<: {a: 1}\n", "a.yaml:1:1: error: merge keys (<<) are not supported"},
      {"[a]: 1\n", "a.yaml:1:1: error: a key must be a plain word"},
      {"a: 1\nb: \x01\n", "a.yaml:2:4: error: a byte that is no text"},
      {"a: [1, 2\n", "a.yaml:2:1: error: end of sequence flow not found"},
  };
  for (const auto& [text, expected] : cases) {
    BOOST_TEST_CONTEXT(text) { BOOST_TEST(said(text) == expected); }
  }
}

BOOST_AUTO_TEST_CASE(bombs_are_refused) {
  BOOST_TEST(said(std::string(5000, '[')) != "");
  BOOST_TEST(said("a: " + std::string(2u << 20, 'x')) ==
             "a.yaml: error: the file is larger than 1.0 MiB");
  BOOST_TEST(said("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n") != "");
}

// Whatever stands in a file: a tree or problems, each with a place in the file.
BOOST_AUTO_TEST_CASE(any_mutant_is_taken_or_refused) {
  const std::string good =
      "role: agent\ncluster: main\npipelines:\n  nginx.access:\n    files: [\"/a/*.log\"]\n"
      "    exclude: ['*.gz']\n    codec: gzip  # or zstd\n";
  const uint64_t seed = os_random();
  Rng rng(seed);
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (int i = 0; i < 5000; ++i) {
      std::string text = good;
      for (uint64_t n = 1 + rng.below(4); n > 0; --n) {
        const size_t at = rng.below(text.size());
        const char odd[] = "\"'[]{}:,-#&*!|>%@`\n\t \\$<0a";
        if (rng.chance(0.3))
          text.erase(at, 1 + rng.below(8));
        else
          text.insert(at, 1, odd[rng.below(sizeof odd - 1)]);
        if (text.empty()) text = "a";
      }
      const Parsed p(text);
      for (const ConfigProblem& problem : p.problems) {
        BOOST_REQUIRE(!problem.text.empty());
        BOOST_REQUIRE(!problem.show().empty());
      }
      BOOST_REQUIRE(p.problems.empty() != (p.root.kind == YamlNode::Kind::nothing));
    }
  }
}

constexpr ConfigKey kKeys[] = {
    {1, "role", ConfigKey::Type::word, "", "", "agent|local"},
    {1, "size", ConfigKey::Type::size, "20GiB", "", "", 1u << 20, 1u << 30},
    {1, "wait", ConfigKey::Type::duration, "10s"},
    {1, "files", ConfigKey::Type::list},
    {1, "flush_interval", ConfigKey::Type::duration},
    {1, "state", ConfigKey::Type::path, "/var/lib"},
    {1, "cluster", ConfigKey::Type::text, "", "", "", 0, 0, "name it"},
    {1, "sinks", ConfigKey::Type::map},
    {1, "sinks.*", ConfigKey::Type::map},
    {1, "sinks.*.root", ConfigKey::Type::path, "", "", "", 0, 0, "a directory"},
    {2, "other", ConfigKey::Type::text},
};
constexpr ConfigKeys kTable = {kKeys, 1};

BOOST_AUTO_TEST_CASE(what_is_said_of_wrong_values) {
  Parsed p(
      "role: agnet\nsize: 12\nwait: 5 parsecs\nfiles: /a\nflush_intervall: 10s\nodd: 1\n"
      "state: here\nsinks:\n  hdfs: {roott: /x}\n  kafka: 3\nother: 1\n");
  BOOST_REQUIRE(p.problems.empty());
  ConfigMap(p.text, p.root, kTable, p.problems).check();
  const std::string shown = p.shown();
  for (const char* part : {
           "a.yaml:1:7: error: 'role' is one of: agent, local\n    1 | role: agnet\n"
           "      |       ^~~~~ did you mean 'agent'?\n",
           "a.yaml:2:7: error: expected a size such as 128MiB, got '12'\n",
           "a.yaml:3:7: error: expected a duration such as 10s or 5m, got '5 parsecs'\n",
           "a.yaml:4:8: error: 'files' is a list\n",
           "a.yaml:5:1: error: unknown key 'flush_intervall'\n    5 | flush_intervall: 10s\n"
           "      | ^~~~~~~~~~~~~~~ did you mean 'flush_interval'?\n",
           "a.yaml:6:1: error: unknown key 'odd'\n",
           "a.yaml:7:8: error: the path must begin with '/'\n",
           "a.yaml:9:10: error: unknown key 'sinks.hdfs.roott'\n",
           "a.yaml:9:9: error: the key 'sinks.hdfs.root' is missing\n",
           "a.yaml:10:10: error: 'sinks.kafka' is a map of keys\n",
           "a.yaml:11:1: error: unknown key 'other'\n",
           "a.yaml:1:1: error: the key 'cluster' is missing\n",
       })
    BOOST_TEST(shown.find(part) != std::string::npos, "missing: " << part << "in\n" << shown);
  BOOST_TEST(p.problems.size() == 12u, shown);
}

BOOST_AUTO_TEST_CASE(values_and_their_defaults) {
  Parsed p("cluster: a\nsize: 256MiB\nfiles: [/a, /b]\nsinks: {hdfs: {root: /x}}\n");
  ConfigMap map(p.text, p.root, kTable, p.problems);
  map.check();
  BOOST_TEST(p.shown() == "");
  BOOST_TEST(map.number("size") == 256u << 20);
  BOOST_TEST(map.number("wait") == 10'000u);
  BOOST_TEST(map.text("state") == "/var/lib");
  BOOST_TEST(!map.known("flush_interval"));
  BOOST_TEST(!map.has("wait"));
  BOOST_TEST(map.texts("files").size() == 2u);
  BOOST_TEST(map.map("sinks").map("hdfs").text("root") == "/x");
  BOOST_TEST(map.map("sinks").map("none").text("root") == "");
  std::string names;
  map.map("sinks").each([&names](const std::string& name, const ConfigMap&) { names += name; });
  BOOST_TEST(names == "hdfs");
}

BOOST_AUTO_TEST_CASE(a_value_outside_its_limits_is_refused) {
  Parsed p("cluster: a\nsize: 2GiB\n");
  ConfigMap(p.text, p.root, kTable, p.problems).check();
  BOOST_TEST(p.shown().find("a.yaml:2:7: error: '2GiB' is not between 1.0 MiB and 1.0 GiB") == 0u,
             p.shown());
}

BOOST_AUTO_TEST_CASE(references) {
  ::setenv("TAILRACE_TEST_NAME", "value", 1);
  ::unsetenv("TAILRACE_TEST_NONE");
  BOOST_TEST(*expand_references("a ${env:TAILRACE_TEST_NAME} $$ $x ${y}") == "a value $ $x ${y}");
  BOOST_TEST(*expand_references("${env:TAILRACE_TEST_NONE:-else}") == "else");
  BOOST_TEST(!expand_references("${env:TAILRACE_TEST_NONE}").ok());
  BOOST_TEST(!expand_references("${file:/no/such/file}").ok());
  BOOST_TEST(!expand_references("${env:OPEN").ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
