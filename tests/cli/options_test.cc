#include "cli/options.h"

#include <boost/test/unit_test.hpp>

#include "base/nearest.h"
#include "cli/cat_command.h"
#include "cli/run_command.h"
#include "cli/run_settings.h"

namespace tailrace {
namespace {

constexpr Option kOptions[] = {
    {"from", "GLOB", "", "which", true},
    {"codec", "NAME", "gzip", "how"},
    {"once", "", "", "end"},
};
const Command kWithOperands{.name = "demo",
                            .summary = "shows",
                            .synopsis = "WORDS",
                            .examples = "  tailrace demo\n",
                            .operands = "WORD...",
                            .options = kOptions};
const Command kWithout{.name = "demo",
                       .summary = "shows",
                       .synopsis = "",
                       .examples = "  tailrace demo\n",
                       .options = kOptions};

Result<Arguments> parse(const Command& command, std::vector<std::string> words) {
  return parse_arguments(command, words);
}
std::string refusal(const Command& command, std::vector<std::string> words) {
  const auto parsed = parse(command, std::move(words));
  BOOST_REQUIRE(!parsed);
  return parsed.error().text;
}

BOOST_AUTO_TEST_SUITE(options)

BOOST_AUTO_TEST_CASE(values_stand_behind_or_attached) {
  const auto parsed =
      parse(kWithOperands, {"--from", "a=b", "--from=c=d", "x", "--once", "--", "--codec"});
  BOOST_REQUIRE(parsed);
  BOOST_TEST(parsed->values("from") == (std::vector<std::string>{"a=b", "c=d"}),
             boost::test_tools::per_element());
  BOOST_TEST(parsed->operands() == (std::vector<std::string>{"x", "--codec"}),
             boost::test_tools::per_element());
  BOOST_TEST(parsed->given("once"));
  BOOST_TEST(!parsed->given("codec"));
  BOOST_TEST(parsed->value("codec") == "gzip");
  BOOST_TEST(parsed->value("from") == "c=d");
}

BOOST_AUTO_TEST_CASE(an_empty_value_is_a_value) {
  const auto parsed = parse(kWithOperands, {"--codec=", "--from", ""});
  BOOST_REQUIRE(parsed);
  BOOST_TEST(parsed->value("codec") == "");
  BOOST_TEST(parsed->values("from").size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_typing_error_is_answered_with_what_was_meant) {
  BOOST_TEST(refusal(kWithout, {"--form", "x"}) ==
             "there is no option '--form'; did you mean '--from'?");
  BOOST_TEST(refusal(kWithout, {"--codek=x"}) ==
             "there is no option '--codek'; did you mean '--codec'?");
  BOOST_TEST(refusal(kWithout, {"--zzzzzz"}) == "there is no option '--zzzzzz'");
  BOOST_TEST(refusal(kWithout, {"-once"}) == "there is no option '--once'; did you mean '--once'?");
}

BOOST_AUTO_TEST_CASE(what_is_incomplete_or_too_much_is_refused) {
  BOOST_TEST(refusal(kWithout, {"--from"}) == "--from needs a value: --from GLOB");
  BOOST_TEST(refusal(kWithout, {"--once=1"}) == "--once takes no value");
  BOOST_TEST(refusal(kWithout, {"--codec", "a", "--codec", "b"}) == "--codec is given twice");
  BOOST_TEST(refusal(kWithout, {"word"}) == "'word' is not expected here");
}

BOOST_AUTO_TEST_CASE(an_expanded_pattern_is_recognised) {
  const std::string text = refusal(kWithout, {"--from", "/var/log/a.log", "/var/log/b.log"});
  BOOST_TEST(text.find("/var/log/b.log") != std::string::npos);
  BOOST_TEST(text.find("quotes") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(nearest_counts_swapped_letters_once_and_knows_its_limit) {
  constexpr std::string_view kNames[] = {"run", "cat", "roll-size"};
  BOOST_TEST(nearest("rnu", kNames) == "run");
  BOOST_TEST(nearest("rol-sise", kNames) == "roll-size");
  BOOST_TEST(nearest("xyz", kNames) == "");
  BOOST_TEST(nearest("", kNames) == "");
}

BOOST_AUTO_TEST_CASE(help_names_every_option_with_its_fallback_in_narrow_lines) {
  for (const Command* command : {&run_command(), &cat_command()}) {
    const std::string help = help_text(*command);
    for (const Option& option : command->options) {
      BOOST_TEST(help.find("--" + std::string(option.name)) != std::string::npos, option.name);
      if (!option.fallback.empty())
        BOOST_TEST(help.find("(" + std::string(option.fallback) + ")") != std::string::npos);
    }
    BOOST_TEST(help.find(command->examples) != std::string::npos);
    size_t start = 0;
    while (start < help.size()) {
      const size_t end = help.find('\n', start);
      BOOST_TEST(end - start <= 104u, help.substr(start, end - start));
      start = end + 1;
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
