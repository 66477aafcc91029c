#include "local/uplink.h"

#include <boost/test/unit_test.hpp>

#include "tests/local/uplink_hands.h"

namespace tailrace {
namespace {

using test::Data;
using test::Filled;
using test::kSink;
using test::kSinkName;
using test::make_batch;
using test::UplinkHop;

BOOST_AUTO_TEST_SUITE(uplink)

BOOST_AUTO_TEST_CASE(hello_says_who_and_what_is_durable) {
  Filled paper;
  paper.add(1);
  paper.add(1);
  const auto more = make_batch(1, 2, 1, 1, 20, "not durable\n");
  BOOST_TEST((paper.spool.append(more, paper.now_ms) == Spool::Taken::appended));
  UplinkHop hop(paper);
  hop.connect();
  const auto hello = hop.said<proto::Hello>(FrameType::hello).at(0);
  BOOST_TEST(hello.role() == proto::ROLE_LOCAL);
  BOOST_TEST(hello.cluster() == "c1");
  BOOST_TEST(hello.local_id() == paper.spool.local_id());
  BOOST_TEST(hello.start() == paper.spool.start());
  BOOST_REQUIRE_EQUAL(hello.streams_size(), 1);  // the other has no line yet
  BOOST_TEST(hello.streams(0).stream() == 1u);
  BOOST_TEST(hello.streams(0).category() == "web");
  BOOST_TEST(hello.streams(0).next_seq() == 2u);
  BOOST_TEST(hop.data().empty());
}

BOOST_AUTO_TEST_CASE(files_are_named_where_they_are_wanted_once_and_before_their_lines) {
  for (const bool wanted : {false, true}) {
    Filled paper;
    paper.add(1);
    paper.add(1);
    UplinkHop hop(paper);
    for (int connection = 0; connection < 2; ++connection) {
      hop.connect();
      proto::Welcome welcome = hop.welcome_message({});
      welcome.set_paths(wanted);
      hop.say(FrameType::welcome, welcome);
      hop.credit("web", 1u << 20);
      hop.commit(1, {});
      BOOST_TEST(hop.data().size() == 2u);
      const auto files = hop.said<proto::FileDef>(FrameType::file_def);
      BOOST_REQUIRE(files.size() == (wanted ? 1u : 0u));
      if (wanted) BOOST_TEST(files[0].file().file() == 1u);
      if (wanted) BOOST_TEST(files[0].file().path() == "/web");
      hop.uplink.disconnected("", 0, paper.now_ms);
    }
  }
}

BOOST_AUTO_TEST_CASE(nothing_is_sent_before_position_credit_and_fsync) {
  Filled paper;
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome();
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.data().empty());  // where it stands is not known
  hop.commit(1, {});
  BOOST_TEST((hop.data() == Data{{1, 0}}));
  paper.add(2);
  hop.pump();
  BOOST_TEST(hop.count(FrameType::stream_def) == 1u);
  hop.rewind(2, {});
  BOOST_TEST((hop.data() == Data{{1, 0}}));  // no credit for "db"
  hop.credit("db", 1);
  BOOST_TEST((hop.data() == Data{{1, 0}, {2, 0}}));
  const auto next = make_batch(1, 1, 1, 1, 10, "abc\n");
  BOOST_TEST((paper.spool.append(next, paper.now_ms) == Spool::Taken::appended));
  hop.pump();
  BOOST_TEST(hop.data().size() == 2u);  // not durable
  paper.commit_all();
  hop.pump();
  BOOST_TEST((hop.data() == Data{{1, 0}, {2, 0}, {1, 1}}));
}

BOOST_AUTO_TEST_CASE(data_names_its_sinks_and_carries_the_head_with_chains) {
  Filled paper;
  paper.add(1);
  const Position end = paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  BOOST_REQUIRE_EQUAL(hop.data().size(), 2u);
  const Outgoing& last = hop.sent.back();
  BOOST_TEST(last.before == std::string("\1\0\0\0", 4));
  const Result<BatchHead> head = BatchHead::parse(last.batch->head);
  BOOST_REQUIRE(head);
  BOOST_TEST(head->fields().chain_after == end.chain);
  BOOST_TEST(head->fields().first_seq == 1u);
}

BOOST_AUTO_TEST_CASE(credit_is_a_total_and_one_batch_may_overdraw_it) {
  Filled paper;
  for (int i = 0; i < 10; ++i) paper.add(1, 1000);
  const size_t one = paper.spool.find(1, 0)->batch->bytes();
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  BOOST_TEST(hop.data().empty());
  hop.credit("web", one + 1);
  BOOST_TEST(hop.data().size() == 2u);
  hop.credit("web", 2 * one);
  BOOST_TEST(hop.data().size() == 2u);
  hop.credit("web", one);  // less than before: no change
  BOOST_TEST(hop.data().size() == 2u);
  hop.credit("web", 5 * one);
  BOOST_TEST(hop.data().size() == 5u);
}

BOOST_AUTO_TEST_CASE(streams_take_turns_and_the_window_bounds_what_is_queued) {
  Filled paper;
  for (int i = 0; i < 5; ++i) {
    paper.add(1, 1000);
    paper.add(2, 1000);
  }
  UplinkHop hop(paper, {"c1", "h", "1", 4000, 1u << 30});
  hop.connect();
  Frame welcome{FrameType::welcome, 0, {}, {}};
  welcome.header =
      hop.welcome_message({UplinkHop::at(1, {}), UplinkHop::at(2, {})}).SerializeAsString();
  hop.uplink.frame(welcome, paper.now_ms);
  hop.pump(4000);
  hop.credit("web", 1u << 20);  // sends what the window lets through
  const size_t first = hop.data().size();
  BOOST_TEST(first >= 3u);
  BOOST_TEST(first <= 5u);
  hop.pump(4000);
  BOOST_TEST(hop.data().size() == first);
  hop.sent.clear();
  Frame credit{FrameType::credit, 0, {}, {}};
  proto::Credit c;
  c.set_sink(kSinkName);
  c.set_category("db");
  c.set_bytes(1u << 20);
  credit.header = c.SerializeAsString();
  hop.uplink.frame(credit, paper.now_ms);
  hop.pump(1000);
  const Data data = hop.data();
  size_t of_db = 0;
  for (const auto& d : data) of_db += d.first == 2;
  BOOST_TEST(of_db >= 1u);
  for (int i = 0; i < 10; ++i) hop.pump(0);
  BOOST_TEST(hop.data().size() + first == 10u);
}

BOOST_AUTO_TEST_CASE(a_commit_moves_the_cursor_and_is_told_to_the_agent) {
  Filled paper;
  const Position p1 = paper.add(1);
  const Position p2 = paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  hop.commit(1, p1);
  BOOST_TEST((paper.spool.cursor(kSink, 1) == p1));
  BOOST_REQUIRE_EQUAL(hop.committed.size(), 1u);
  BOOST_TEST(hop.committed[0].sink == kSink);
  BOOST_TEST((hop.committed[0].at == p1));
  hop.commit(1, p1);  // repeated: no news
  BOOST_TEST(hop.committed.size() == 1u);
  hop.commit(1, p2);
  BOOST_TEST(hop.all.lines_committed == 2u);
  BOOST_TEST(hop.all.held().empty());
  BOOST_TEST(hop.data().size() == 2u);  // nothing again
}

BOOST_AUTO_TEST_CASE(a_welcome_commits_and_sends_from_there) {
  Filled paper;
  const Position p1 = paper.add(1);
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, p1)});
  hop.credit("web", 1u << 20);
  BOOST_TEST((hop.data() == Data{{1, 1}}));
  BOOST_TEST((paper.spool.cursor(kSink, 1) == p1));
}

// What the Center says that cannot be true, in each of the messages that carry a position.
BOOST_AUTO_TEST_CASE(a_position_that_cannot_be_true_holds_the_stream_and_moves_nothing) {
  for (int how = 0; how < 3; ++how)
    for (int what = 0; what < 3; ++what) {
      Filled paper;
      Position p1 = paper.add(1);
      const auto two = make_batch(1, 1, 2, 1, 10, "a\nb\n");
      paper.put(two);
      const Position end = paper.spool.durable(1);
      const Position other = paper.add(2);
      UplinkHop hop(paper);
      hop.connect();
      Position bad;
      switch (what) {
        case 0: bad = {p1.seq, p1.chain + 1}; break;    // other bytes
        case 1: bad = {p1.seq + 1, p1.chain}; break;    // inside a batch
        case 2: bad = {end.seq + 1, end.chain}; break;  // above
      }
      if (how == 0) {
        hop.welcome({UplinkHop::at(1, bad), UplinkHop::at(2, {})});
      } else {
        hop.welcome({UplinkHop::at(1, {}), UplinkHop::at(2, {})});
        if (how == 1) hop.commit(1, bad);
        if (how == 2) hop.rewind(1, bad);
      }
      hop.sent.clear();
      hop.credit("web", 1u << 20);
      hop.credit("db", 1u << 20);
      BOOST_TEST_CONTEXT("how " << how << " what " << what) {
        BOOST_TEST(hop.data().size() == 1u);  // the other stream goes on
        BOOST_TEST(hop.data().at(0).first == 2u);
        BOOST_TEST((paper.spool.cursor(kSink, 1) == Position{}));
        BOOST_TEST(!hop.all.held().empty());
        BOOST_TEST(hop.alarms.size() == 1u);
        BOOST_TEST(!hop.closed);
        // Neither a good position nor a new connection ends it.
        hop.commit(1, p1);
        BOOST_TEST((paper.spool.cursor(kSink, 1) == Position{}));
        hop.uplink.disconnected("", 0, paper.now_ms);
        hop.connect();
        hop.welcome({UplinkHop::at(1, {}), UplinkHop::at(2, other)});
        hop.credit("web", 1u << 20);
        BOOST_TEST(hop.data().empty());
        BOOST_TEST(!hop.all.held().empty());
        BOOST_TEST(hop.alarms.size() == 1u);
      }
    }
}

BOOST_AUTO_TEST_CASE(a_position_below_the_cursor_is_never_followed) {
  Filled paper;
  const Position p1 = paper.add(1);
  const Position p2 = paper.add(1);
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, p2)});
  hop.credit("web", 1u << 20);
  BOOST_TEST((hop.data() == Data{{1, 2}}));
  hop.rewind(1, p1);
  hop.rewind(1, p1);  // the same answer to a frame sent before: not yet a repetition
  const auto stales = hop.said<proto::Stale>(FrameType::stale);
  BOOST_REQUIRE_EQUAL(stales.size(), 1u);
  BOOST_TEST(stales[0].position().seq() == p2.seq);
  BOOST_TEST(stales[0].position().chain() == p2.chain);
  BOOST_TEST(hop.all.held().empty());
  BOOST_TEST((paper.spool.cursor(kSink, 1) == p2));
  hop.say(FrameType::pong);
  BOOST_TEST(hop.data().size() == 1u);  // and nothing is sent to who stands behind
  hop.rewind(1, p1);
  BOOST_TEST(hop.all.held().find("HOLE") != std::string::npos);
  BOOST_TEST((hop.all.holes() == std::vector<SpoolHole>{{kSink, 1, p1}}));
  BOOST_TEST(hop.holes_changes == 1u);
  BOOST_TEST(hop.data().size() == 1u);
  // Another Center, or this one after it learnt better, stands where it should: it goes on.
  hop.commit(1, p2);
  BOOST_TEST(hop.all.held().empty());
  BOOST_TEST(hop.all.holes().empty());
  BOOST_TEST(hop.holes_changes == 2u);
  BOOST_TEST((hop.data() == Data{{1, 2}, {1, 2}}));
}

BOOST_AUTO_TEST_CASE(stale_is_said_again_until_it_is_answered) {
  Filled paper;
  const Position p1 = paper.add(1);
  const Position p2 = paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, p2)});
  hop.rewind(1, p1);
  hop.commit(1, p1);  // the answer, before the PONG: it may be of what was on its way
  hop.say(FrameType::pong);
  const auto tick = [&](int64_t ms) {
    paper.now_ms += ms;
    hop.uplink.tick(paper.now_ms);
    hop.say(FrameType::pong);
  };
  for (int i = 0; i < 7; ++i) tick(2'000);
  BOOST_TEST(hop.count(FrameType::stale) == 1u);
  tick(2'000);
  BOOST_TEST(hop.count(FrameType::stale) == 2u);
  BOOST_TEST(hop.all.held() == "");
  hop.commit(1, p1);
  BOOST_TEST(hop.all.held().find("HOLE") != std::string::npos);
  for (int i = 0; i < 20; ++i) tick(2'000);
  BOOST_TEST(hop.count(FrameType::stale) == 2u);
}

BOOST_AUTO_TEST_CASE(a_rewind_is_followed_once_however_often_it_is_said) {
  Filled paper;
  const Position p1 = paper.add(1);
  for (int i = 0; i < 4; ++i) paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.data().size() == 5u);
  hop.sent.clear();
  for (int i = 0; i < 4; ++i) hop.rewind(1, p1);  // an answer to each of what was on its way
  BOOST_TEST(hop.data().empty());
  BOOST_TEST(hop.count(FrameType::ping) == 1u);
  hop.say(FrameType::pong);
  BOOST_TEST((hop.data() == Data{{1, 1}, {1, 2}, {1, 3}, {1, 4}}));
  // Forward: what the Center has already need not be sent.
  Filled other;
  Position last;
  for (int i = 0; i < 5; ++i) last = other.add(1);
  UplinkHop ahead(other);
  ahead.connect();
  ahead.welcome({UplinkHop::at(1, {})});
  ahead.rewind(1, last);
  ahead.credit("web", 1u << 20);
  BOOST_TEST(ahead.data().empty());
  BOOST_TEST((other.spool.cursor(kSink, 1) == Position{}));  // a rewind commits nothing
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
