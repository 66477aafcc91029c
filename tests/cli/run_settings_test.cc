#include "cli/run_settings.h"

#include <boost/test/unit_test.hpp>

#include "cli/run_command.h"

namespace tailrace {
namespace {

Result<RunSettings> settings_of(std::vector<std::string> words) {
  auto arguments = parse_arguments(run_command(), words);
  if (!arguments) return arguments.error();
  return run_settings(*arguments, "/home/me");
}
std::string refusal(std::vector<std::string> words) {
  const auto settings = settings_of(std::move(words));
  BOOST_REQUIRE(!settings);
  return settings.error().text;
}
bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(run_settings_suite)

BOOST_AUTO_TEST_CASE(what_is_not_said_has_the_documented_value) {
  const auto settings = settings_of({"--from", "/srv/web/*.log", "--to", "out/"});
  BOOST_REQUIRE(settings);
  BOOST_TEST(settings->output == "/home/me/out");
  BOOST_TEST(settings->state == "/home/me/out/_state");
  BOOST_TEST(settings->control == "");
  BOOST_TEST(settings->layout == "{category}/dt={date}/hr={hour}");
  BOOST_TEST(settings->timezone == "UTC");
  BOOST_TEST(settings->roll_bytes == 128u << 20);
  BOOST_TEST((settings->format == FileFormat::lines));
  BOOST_TEST(settings->roll_age_ms == 600'000);
  BOOST_TEST(settings->roll_idle_ms == 60'000);
  BOOST_TEST(settings->max_record_bytes == 1u << 20);
  BOOST_TEST(!settings->once);
  BOOST_REQUIRE(settings->sources.size() == 1u);
  BOOST_TEST(settings->sources[0].category == "web");
  BOOST_TEST((settings->sources[0].codec == Codec::gzip));
  BOOST_REQUIRE(settings->chosen.size() == 1u);
  BOOST_TEST(has(settings->chosen[0], "category web"));
}

BOOST_AUTO_TEST_CASE(patterns_of_one_category_are_one_source_in_the_order_given) {
  const auto settings =
      settings_of({"--from", "b=/1/*.log", "--from", "a=/2/*.log", "--from", "b=/3/*.log", "--to",
                   "/out", "--exclude", "*.tmp", "--exclude", "old/*.log", "--codec", "zstd"});
  BOOST_REQUIRE(settings);
  BOOST_REQUIRE(settings->sources.size() == 2u);
  BOOST_TEST(settings->sources[0].category == "b");
  BOOST_TEST(settings->sources[0].globs == (std::vector<std::string>{"/1/*.log", "/3/*.log"}),
             boost::test_tools::per_element());
  BOOST_TEST(
      settings->sources[1].exclude == (std::vector<std::string>{"*.tmp", "/home/me/old/*.log"}),
      boost::test_tools::per_element());
  BOOST_TEST((settings->sources[1].codec == Codec::zstd));
  BOOST_TEST(settings->chosen.empty());
}

BOOST_AUTO_TEST_CASE(a_sequence_file_is_larger_unless_told) {
  const std::vector<std::string> words = {"--from", "/srv/web/*.log", "--to",
                                          "/out",   "--format",       "sequence_file"};
  const auto settings = settings_of(words);
  BOOST_REQUIRE(settings);
  BOOST_TEST((settings->format == FileFormat::sequence));
  BOOST_TEST(settings->roll_bytes == 512u << 20);
  auto small = words;
  small.insert(small.end(), {"--roll-size", "64MiB"});
  BOOST_TEST(settings_of(small)->roll_bytes == 64u << 20);
}

BOOST_AUTO_TEST_CASE(every_option_that_is_wrong_is_named) {
  const std::vector<std::string> good = {"--from", "/srv/web/*.log", "--to", "/out"};
  const auto with = [&](std::string option, std::string value) {
    auto words = good;
    words.push_back(std::move(option));
    words.push_back(std::move(value));
    return refusal(words);
  };
  BOOST_TEST(has(refusal({"--to", "/out"}), "--from"));
  BOOST_TEST(has(refusal({"--from", "/srv/web/*.log"}), "--to"));
  BOOST_TEST(has(with("--codec", "lzma"), "gzip, zstd, snappy or none"));
  BOOST_TEST(has(with("--format", "avro"), "text or sequence_file"));
  BOOST_TEST(has(with("--roll-size", "128"), "--roll-size"));
  BOOST_TEST(has(with("--roll-size", "1B"), "at least 1"));
  BOOST_TEST(has(with("--roll-age", "0s"), "--roll-age"));
  BOOST_TEST(has(with("--roll-idle", "soon"), "--roll-idle"));
  BOOST_TEST(has(with("--max-record", "4MiB"), "at most 3"));
  BOOST_TEST(has(with("--layout", "{nonsense}"), "--layout"));
  BOOST_TEST(has(with("--timezone", "Mars/Olympus"), "--timezone"));
  BOOST_TEST(has(with("--exclude", ""), "--exclude"));
}

BOOST_AUTO_TEST_CASE(an_output_in_hdfs) {
  const std::vector<std::string> good = {"--from", "/logs/*.log", "--state", "state"};
  const auto to = [&](std::string url) {
    auto words = good;
    words.insert(words.end(), {"--to", std::move(url)});
    return words;
  };
  const auto settings = settings_of(to("webhdfs://alice@nn1:9870,nn2:9870/logs/"));
  BOOST_REQUIRE(settings);  // its /logs is not the /logs that is watched
  BOOST_TEST(settings->output == "/logs");
  BOOST_REQUIRE(settings->hdfs.size() == 2u);
  BOOST_TEST(settings->hdfs[1].server() == "webhdfs://nn2:9870");
  BOOST_TEST(settings->hdfs_user == "alice");
  BOOST_TEST(settings->state == "/home/me/state");
  BOOST_TEST(!settings_of(to("httpfs://h:14000/logs"))->hdfs_user.empty());
  BOOST_TEST(has(refusal(to("hdfs://nn1:8020/logs")), "webhdfs://"));
  BOOST_TEST(has(refusal(to("s3://bucket/logs")), "webhdfs://"));
  BOOST_TEST(has(refusal(to("webhdfs://nn1:9870")), "name a directory"));
  BOOST_TEST(has(refusal({"--from", "/logs/*.log", "--to", "webhdfs://nn1/logs"}), "--state"));
}

BOOST_AUTO_TEST_CASE(a_pattern_that_looks_into_our_own_folders_is_refused) {
  BOOST_TEST(has(refusal({"--from", "*.log", "--to", "."}), "--to"));
  BOOST_TEST(has(refusal({"--from", "/out/x/**", "--to", "/out"}), "never watched"));
  BOOST_TEST(has(refusal({"--from", "/s/a.log", "--to", "/out", "--state", "/s"}), "--state"));
  BOOST_TEST(has(refusal({"--from", "/s/a.log", "--to", "/out", "--control", "/s"}), "--control"));
  for (const char* control : {"/a//b", "../a", "/"})
    BOOST_TEST(has(refusal({"--from", "/s/a.log", "--to", "webhdfs://nn1/logs", "--state", "/s2",
                            "--control", control}),
                   "--control"));
  BOOST_TEST(
      has(refusal({"--from", "/s/a.log", "--to", "webhdfs://nn1/logs/../x", "--state", "/s2"}),
          "--to"));
  BOOST_TEST(has(refusal({"--from", "/x/a.log", "--to", "/"}), "--to"));
  // An output below what is watched is fine: it is left out.
  BOOST_TEST(settings_of({"--from", "x=/data/**/*.log", "--to", "/data/collected"}).ok());
  BOOST_TEST(settings_of({"--from", "/outer/*.log", "--to", "/out"}).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
