#include "cli/progress.h"

#include <boost/test/unit_test.hpp>

namespace tailrace {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

RoadStatus complete() {
  RoadStatus status;
  status.agent.files_seen = 2;
  status.agent.bytes_read = 10'000'000;
  status.agent.lines_read = 1000;
  status.agent.idle = true;
  SinkStatus& sink = status.center.sinks.emplace_back();
  sink.lines_published = 1000;
  sink.raw_bytes_published = 10'000'000;
  sink.file_bytes_published = 2'500'000;
  sink.files_published = 1;
  return status;
}

BOOST_AUTO_TEST_SUITE(progress)

BOOST_AUTO_TEST_CASE(rates_are_of_the_time_since_the_last_line) {
  Progress progress(1'000, "./collected");
  RoadStatus status = complete();
  const std::string first = progress.line(status, 3'000, 0);
  BOOST_TEST(has(first, "5.0 MB/s, 500 lines/s, lag 0,"));
  BOOST_TEST(has(first, "1 file published"));
  BOOST_TEST(has(first, "in ./collected"));
  status.agent.bytes_read += 1'000'000;
  status.agent.oldest_unread_ms = 90'000;
  const std::string second = progress.line(status, 4'000, 95'000);
  BOOST_TEST(has(second, "1.0 MB/s, 0 lines/s, lag 5"));
  BOOST_TEST(!has(second, "waiting"));
  status.center.sinks.front().trouble = "no space left";
  BOOST_TEST(has(progress.line(status, 5'000, 95'000), "waiting: no space left"));
}

BOOST_AUTO_TEST_CASE(the_summary_names_all_that_was_promised) {
  const Progress progress(0, "/out");
  const std::string text = progress.summary(complete(), 2'000);
  for (const std::string_view row :
       {"files read        2\n", "lines read        1,000\n", "bytes in          10,000,000",
        "lines published   1,000\n", "bytes published   2,500,000", "files published   1 in /out\n",
        "ratio             4.0\n", "seconds           2.0\n", "MB/s              5.0\n"})
    BOOST_TEST(has(text, row), row << text);
}

BOOST_AUTO_TEST_CASE(nothing_is_short_when_all_is_published) {
  BOOST_TEST(shortcomings(complete(), Shown::all).empty());
  RoadStatus more = complete();  // what an earlier run had left in the spool came along
  more.center.sinks.front().lines_published += 10;
  BOOST_TEST(shortcomings(more, Shown::all).empty());
}

BOOST_AUTO_TEST_CASE(each_shortcoming_is_a_reason_of_its_own) {
  RoadStatus status = complete();
  status.agent.unreadable = {{"/x/secret.log", "permission denied"}};
  status.agent.unreadable_count = 3;
  status.agent.gaps = 1;
  const auto reasons = shortcomings(status, Shown::all);
  BOOST_REQUIRE(reasons.size() == 3u);
  BOOST_TEST(reasons[0] == "could not read /x/secret.log: permission denied");
  BOOST_TEST(has(reasons[1], "2 files more"));
  BOOST_TEST(has(reasons[2], "1 gap"));
  BOOST_TEST(shortcomings(status, Shown::unpublished).empty());

  RoadStatus unpublished = complete();
  unpublished.center.sinks.front().lines_published = 990;
  BOOST_TEST(has(shortcomings(unpublished, Shown::unpublished).at(0), "10 lines"));
  RoadStatus pending = complete();
  pending.center.sinks.front().files_pending = 1;
  BOOST_TEST(shortcomings(pending, Shown::unpublished).size() == 1u);
  RoadStatus busy = complete();
  busy.agent.idle = false;
  BOOST_TEST(shortcomings(busy, Shown::unpublished).size() == 1u);
}

BOOST_AUTO_TEST_CASE(trouble_is_told_from_the_source_on) {
  RoadStatus status = complete();
  BOOST_TEST(trouble_of(status) == "");
  status.local.full = true;
  BOOST_TEST(has(trouble_of(status), "spool is full"));
  status.center.sinks.front().trouble = "store gone";
  BOOST_TEST(trouble_of(status) == "store gone");
  status.local.held = "a chain differs";
  BOOST_TEST(has(trouble_of(status), "a chain differs"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
