// What keeps a program from being ready, since when, and the balance: pure functions of a snapshot.
#include <boost/test/unit_test.hpp>

#include "cli/watch/snapshot.h"

namespace tailrace::test {

namespace {
constexpr int64_t kNow = 1'800'000'000'000;
constexpr int64_t kMinuteMs = 60'000;

Snapshot all_well(int64_t now_ms = kNow) {
  Snapshot s;
  s.now_ms = now_ms;
  s.agent.emplace();
  s.agent->connected = true;
  s.local.emplace();
  s.local->spool_quota_bytes = 1000;
  s.local->center = "c1";
  s.center.emplace().sinks.emplace_back().name = "files";
  return s;
}

// The words, each with since when, after looking at all of them in turn.
std::map<std::string, int64_t> obstacles_after(const std::vector<Snapshot>& seen) {
  Readiness readiness;
  for (const Snapshot& s : seen) readiness.look(s);
  std::map<std::string, int64_t> out;
  for (const Obstacle& o : readiness.obstacles()) {
    BOOST_TEST(!o.text.empty());
    out[o.what] = o.since_ms;
  }
  BOOST_TEST(readiness.ready() == out.empty());
  return out;
}
using Words = std::map<std::string, int64_t>;
}  // namespace

BOOST_AUTO_TEST_SUITE(readiness)

BOOST_AUTO_TEST_CASE(nothing_stands_in_the_way) {
  BOOST_TEST((obstacles_after({all_well()}) == Words{}));
}

BOOST_AUTO_TEST_CASE(each_obstacle_has_its_word) {
  Snapshot s = all_well();
  s.agent->held = "another spool";
  BOOST_TEST((obstacles_after({s}) == Words{{"agent-held", kNow}}));
  s = all_well();
  s.local->held = "HOLE";
  BOOST_TEST((obstacles_after({s}) == Words{{"spool-held", kNow}}));
  s = all_well();
  s.local->trouble = "no space";
  BOOST_TEST((obstacles_after({s}) == Words{{"spool-no-room", kNow}}));
  s = all_well();
  s.center->sinks.front().trouble = "cannot publish";
  BOOST_TEST((obstacles_after({s}) == Words{{"store", kNow}}));
  Readiness readiness;
  readiness.look(s);
  BOOST_REQUIRE(!readiness.obstacles().empty());
  BOOST_TEST(readiness.obstacles().front().text == "sink 'files': cannot publish");
  s = all_well();
  s.local->spool_bytes = 799;
  BOOST_TEST((obstacles_after({s}) == Words{}));
  s.local->spool_bytes = 800;
  BOOST_TEST((obstacles_after({s}) == Words{{"spool-full", kNow}}));
}

BOOST_AUTO_TEST_CASE(lines_that_wait_in_files_for_a_minute) {
  Snapshot s = all_well();
  s.agent->oldest_unread_ms = kNow - kMinuteMs + 1;
  BOOST_TEST((obstacles_after({s}) == Words{}));
  s.agent->oldest_unread_ms = kNow - kMinuteMs;
  BOOST_TEST((obstacles_after({s}) == Words{{"agent-behind", kNow - kMinuteMs}}));
  s.agent->oldest_unacked_ms = kNow - 2 * kMinuteMs;  // read and not taken: as bad
  BOOST_TEST((obstacles_after({s}) == Words{{"agent-behind", kNow - 2 * kMinuteMs}}));
}

// Neither an idle Local without a Center nor a backlog with one is an obstacle.
BOOST_AUTO_TEST_CASE(no_Center_for_a_minute_while_lines_wait) {
  Snapshot s = all_well();
  s.local->no_center_since_ms = kNow - 10 * kMinuteMs;
  BOOST_TEST((obstacles_after({s}) == Words{}));
  s.local->oldest_waiting_ms = kNow - kMinuteMs + 1;
  BOOST_TEST((obstacles_after({s}) == Words{}));
  s.local->oldest_waiting_ms = kNow - kMinuteMs;
  BOOST_TEST((obstacles_after({s}) == Words{{"no-center", kNow - kMinuteMs}}));
  s.local->no_center_since_ms = -1;
  BOOST_TEST((obstacles_after({s}) == Words{}));
}

BOOST_AUTO_TEST_CASE(since_when_is_kept_until_it_is_over) {
  Snapshot first = all_well(kNow);
  first.center->sinks.front().trouble = "one";
  Snapshot later = all_well(kNow + 5'000);
  later.center->sinks.front().trouble = "two";
  BOOST_TEST((obstacles_after({first, later}) == Words{{"store", kNow}}));
  BOOST_TEST(
      (obstacles_after({first, all_well(kNow + 1'000), later}) == Words{{"store", kNow + 5'000}}));
}

BOOST_AUTO_TEST_CASE(the_balance_needs_all_three_roles) {
  Snapshot s = all_well();
  s.agent->categories["web"].taken = 100;
  s.agent->categories["web"].waiting = 10;
  s.local->categories["web"].before = 5;
  s.local->categories["web"].waiting = 20;
  s.local->categories["web"].lost = 2;
  s.center->sinks.front().categories["web"].unpublished = 3;
  s.center->sinks.front().categories["web"].published = 70;
  const auto balance = balance_of(s);
  BOOST_REQUIRE_EQUAL(balance.size(), 1u);
  const Balance& web = balance.at("web");
  BOOST_TEST(web.read == 105u);
  BOOST_TEST(web.in_flight == 33u);
  BOOST_TEST(web.published == 70u);
  BOOST_TEST(web.lost == 2u);
  BOOST_TEST(web.read == web.in_flight + web.published + web.lost);
  s.center.reset();
  BOOST_TEST(balance_of(s).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace::test
