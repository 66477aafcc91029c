#include <boost/test/unit_test.hpp>

#include "local/uplink.h"
#include "tests/local/uplink_hands.h"

namespace tailrace {
namespace {

using test::Data;
using test::Filled;
using test::kSinkName;
using test::UplinkHop;

BOOST_AUTO_TEST_SUITE(uplink_connection)

BOOST_AUTO_TEST_CASE(rejects_hold_a_stream_or_everything) {
  for (const auto code : {proto::Reject::CHAIN, proto::Reject::CATEGORY, proto::Reject::RETIRED}) {
    Filled paper;
    paper.add(1);
    paper.add(2);
    UplinkHop hop(paper);
    hop.connect();
    hop.welcome({UplinkHop::at(1, {}), UplinkHop::at(2, {})});
    hop.reject(code, 1);
    hop.credit("web", 1u << 20);
    hop.credit("db", 1u << 20);
    BOOST_TEST((hop.data() == Data{{2, 0}}));
    BOOST_TEST(!hop.all.held().empty());
    BOOST_TEST(hop.all.refused == 1u);
  }
  for (const auto code : {proto::Reject::DUPLICATE, proto::Reject::CLUSTER}) {
    Filled paper;
    paper.add(1);
    UplinkHop hop(paper);
    hop.connect();
    hop.reject(code);
    BOOST_TEST(hop.closed);
    hop.uplink.disconnected("closed", 0, paper.now_ms);
    BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms + 1'000'000) == -1);
    BOOST_TEST(!hop.all.held().empty());
  }
  for (const auto code : {proto::Reject::OTHER, proto::Reject::PROTOCOL, proto::Reject::CORRUPT,
                          proto::Reject::VERSION}) {
    Filled paper;
    UplinkHop hop(paper);
    hop.connect();
    hop.reject(code);
    BOOST_TEST(hop.closed);
    hop.uplink.disconnected("closed", 0, paper.now_ms);
    const int64_t due = hop.uplink.connect_due_ms(paper.now_ms);
    BOOST_TEST(due >= (code == proto::Reject::VERSION ? 60'000 : 50));
    BOOST_TEST(hop.all.held().empty());
  }
}

BOOST_AUTO_TEST_CASE(a_center_of_another_version_is_tried_again_in_a_minute) {
  Filled paper;
  UplinkHop hop(paper);
  hop.connect();
  hop.uplink.other_version();
  hop.uplink.disconnected("it speaks version 2", 0, paper.now_ms);
  BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms) >= 60'000);
}

// Three times the same batch, in a row.
BOOST_AUTO_TEST_CASE(a_batch_that_is_refused_three_times_is_given_up) {
  Filled paper;
  paper.add(1);
  UplinkHop hop(paper);
  const auto refuse = [&](uint64_t seq, bool batch) {
    hop.connect();
    hop.welcome({UplinkHop::at(1, {})});
    proto::Reject r;
    r.set_code(proto::Reject::CORRUPT);
    r.set_stream(1);
    r.set_batch(batch);
    r.set_first_seq(seq);
    hop.say(FrameType::reject, r);
    BOOST_TEST(hop.closed);
    hop.uplink.disconnected("closed", 0, paper.now_ms);
    return hop.got.quarantines;
  };
  for (const uint64_t seq : {0, 0, 4, 0, 0}) BOOST_TEST(refuse(seq, true).empty());
  BOOST_TEST(refuse(0, false).empty());
  const auto given_up = refuse(0, true);
  BOOST_REQUIRE_EQUAL(given_up.size(), 1u);
  BOOST_TEST(given_up[0].stream == 1u);
  BOOST_TEST(given_up[0].first_seq == 0u);
  BOOST_TEST(given_up[0].name == "web-0-0.batch");
  BOOST_TEST(refuse(0, true).empty());  // it begins anew
}

BOOST_AUTO_TEST_CASE(another_cluster_gets_nothing) {
  Filled paper;
  const Position p = paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  auto w = hop.welcome_message({UplinkHop::at(1, p)});
  w.set_cluster("c2");
  hop.say(FrameType::welcome, w);
  BOOST_TEST(hop.closed);
  BOOST_TEST(!hop.all.held().empty());
  BOOST_TEST(paper.spool.tables().cursors.empty());
}

BOOST_AUTO_TEST_CASE(what_is_no_protocol_ends_the_connection) {
  for (int kind = 0; kind < 6; ++kind) {
    Filled paper;
    paper.add(1);
    UplinkHop hop(paper);
    hop.connect();
    if (kind > 0) hop.welcome({UplinkHop::at(1, {})});
    Frame frame{FrameType::committed, 0, {}, {}};
    switch (kind) {
      case 0: break;  // before WELCOME
      case 1: frame.header = "\xff\xff"; break;
      case 2: frame.payload = "x"; break;
      case 3: frame.flags = 4; break;
      case 4: frame.type = FrameType::append; break;
      case 5: {  // a stream that was not declared
        proto::Committed c;
        *c.add_positions() = UplinkHop::at(2, {});
        frame.header = c.SerializeAsString();
        break;
      }
    }
    hop.uplink.frame(frame, paper.now_ms);
    hop.pump();
    BOOST_TEST_CONTEXT("kind " << kind) {
      BOOST_TEST(hop.closed);
      BOOST_TEST(hop.count(FrameType::reject) == 1u);
    }
  }
  Filled paper;
  UplinkHop hop(paper);
  hop.connect();
  Frame unknown{static_cast<FrameType>(200), 0, "?", {}};
  hop.uplink.frame(unknown, paper.now_ms);  // 128 and above may be ignored
  hop.pump();
  BOOST_TEST(!hop.closed);
}

BOOST_AUTO_TEST_CASE(attempts_spread_and_grow_and_a_lasting_connection_resets_them) {
  Filled paper;
  UplinkHop hop(paper);
  BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms) == 0);
  int64_t expected = 100;
  for (int i = 0; i < 9; ++i) {
    const uint64_t random = i % 2 ? UINT64_MAX / 3 : 0;
    hop.uplink.disconnected("refused", random, paper.now_ms);
    const int64_t due = hop.uplink.connect_due_ms(paper.now_ms);
    BOOST_TEST(due >= expected / 2);
    BOOST_TEST(due <= expected);
    paper.now_ms += due;
    BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms) == 0);
    expected = std::min<int64_t>(5'000, expected * 2);
  }
  hop.pump();
  BOOST_TEST(hop.alarms.size() == 1u);  // one outage is said once
  hop.connect();
  BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms) == -1);
  hop.welcome();
  paper.now_ms += 10'000;
  hop.uplink.disconnected("gone", UINT64_MAX, paper.now_ms);
  BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms) <= 100);
  paper.now_ms += 100;
  hop.connect();
  proto::Busy busy;
  busy.set_retry_ms(7'000);
  hop.say(FrameType::busy, busy);
  BOOST_TEST(hop.closed);
  hop.uplink.disconnected("", 0, paper.now_ms);
  BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms) == 7'000);
}

BOOST_AUTO_TEST_CASE(after_a_lost_connection_all_uncommitted_is_sent_again) {
  Filled paper;
  const Position p1 = paper.add(1);
  paper.add(1);
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  hop.commit(1, p1);
  BOOST_TEST(hop.data().size() == 3u);
  hop.uplink.disconnected("gone", 0, paper.now_ms);
  hop.pump();
  hop.connect();
  BOOST_TEST(hop.said<proto::Hello>(FrameType::hello).size() == 1u);
  hop.welcome({UplinkHop::at(1, p1)});
  BOOST_TEST(hop.data().empty());  // credit counts from the connection's beginning
  hop.credit("web", 1u << 20);
  BOOST_TEST((hop.data() == Data{{1, 1}, {1, 2}}));
}

BOOST_AUTO_TEST_CASE(silence_ends_a_connection_and_pings_carry_the_fill) {
  Filled paper;
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  paper.now_ms += 5'000;
  hop.uplink.tick(paper.now_ms);
  hop.pump();
  const auto pings = hop.said<proto::Ping>(FrameType::ping);
  BOOST_REQUIRE_EQUAL(pings.size(), 1u);
  BOOST_REQUIRE_EQUAL(pings[0].held_back_size(), 1);
  BOOST_TEST(pings[0].held_back(0).sink() == kSinkName);
  BOOST_TEST(pings[0].held_back(0).percent() < 5u);
  hop.say(FrameType::ping);
  BOOST_TEST(hop.count(FrameType::pong) == 1u);
  paper.now_ms += 14'999;
  hop.uplink.tick(paper.now_ms);
  hop.pump();
  BOOST_TEST(!hop.closed);
  paper.now_ms += 1;
  hop.uplink.tick(paper.now_ms);
  hop.pump();
  BOOST_TEST(hop.closed);
}

BOOST_AUTO_TEST_CASE(a_category_that_may_not_go_on_is_told_at_once) {
  SpoolOptions small;
  small.segment_bytes = 64u << 10;
  small.quota_bytes = 32 * small.segment_bytes;
  Filled paper(small);
  const std::string line = std::string(29'999, 'x') + "\n";
  paper.add(1, line.size());
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  const auto tell = [&] {
    hop.uplink.tick(paper.now_ms);
    hop.pump();
    return hop.said<proto::Ping>(FrameType::ping);
  };
  for (uint64_t n = 1; paper.spool.category_has_room("web"); ++n) {
    BOOST_TEST(tell().empty());
    (void)paper.spool.append(test::make_batch(1, n, 1, 1, n * line.size(), line), paper.now_ms);
    paper.commit_all();
  }
  BOOST_REQUIRE_EQUAL(tell().size(), 1u);
  BOOST_TEST(hop.said<proto::Ping>(FrameType::ping)[0].held_back(0).percent() == 100u);
  BOOST_TEST(tell().size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
