#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>
#include <deque>

#include "local/uplink.h"
#include "tests/local/uplink_hands.h"

namespace tailrace {
namespace {

using test::Data;
using test::Filled;
using test::kSink;
using test::kSinkName;
using test::make_batch;
using test::UplinkHop;

BOOST_AUTO_TEST_SUITE(uplink_sending)

BOOST_AUTO_TEST_CASE(flush_follows_the_lines_and_is_repeated_until_they_are_committed) {
  Filled paper;
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  const auto more = make_batch(1, 1, 1, 1, 10, "abc\n");
  BOOST_TEST((paper.spool.append(more, paper.now_ms) == Spool::Taken::appended));
  hop.uplink.flush({1, 2});
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.data().size() == 1u);
  BOOST_TEST(hop.count(FrameType::flush) == 0u);  // the second is not durable, so not sent
  paper.commit_all();
  hop.pump();
  BOOST_TEST(hop.data().size() == 2u);
  BOOST_REQUIRE_EQUAL(hop.count(FrameType::flush), 1u);
  BOOST_TEST((hop.sent.back().type == FrameType::flush));
  BOOST_TEST(hop.said<proto::Flush>(FrameType::flush)[0].streams_size() == 1);
  hop.pump();
  BOOST_TEST(hop.count(FrameType::flush) == 1u);
  hop.uplink.disconnected("gone", 0, paper.now_ms);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  BOOST_TEST(hop.count(FrameType::flush) == 0u);
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.count(FrameType::flush) == 1u);
  hop.commit(1, paper.spool.durable(1));
  hop.uplink.disconnected("gone", 0, paper.now_ms);
  hop.connect();
  hop.welcome({UplinkHop::at(1, paper.spool.durable(1))});
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.count(FrameType::flush) == 0u);
  hop.uplink.flush({1});  // all is committed: nothing to ask for
  hop.pump();
  BOOST_TEST(hop.count(FrameType::flush) == 0u);
}

BOOST_AUTO_TEST_CASE(flush_is_said_again_behind_what_a_rewind_had_sent_again) {
  Filled paper;
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.uplink.flush({1});
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.data().size() == 1u);
  BOOST_TEST(hop.count(FrameType::flush) == 1u);
  hop.rewind(1, {});  // it was dropped there, and with it what the FLUSH was about
  hop.say(FrameType::pong);
  BOOST_TEST(hop.data().size() == 2u);
  BOOST_TEST(hop.count(FrameType::flush) == 2u);
  BOOST_TEST((hop.sent.back().type == FrameType::flush));
  hop.pump();
  BOOST_TEST(hop.count(FrameType::flush) == 2u);
}

SpoolOptions without_cache() {
  SpoolOptions options;
  options.cache_bytes = 0;
  options.segment_bytes = 64u << 10;
  options.quota_bytes = 1u << 20;
  return options;
}

BOOST_AUTO_TEST_CASE(what_left_the_cache_is_read_and_sent_in_order) {
  Filled paper(without_cache());
  for (int i = 0; i < 30; ++i) paper.add(1, 2'000);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  const Data data = hop.data();
  BOOST_REQUIRE_EQUAL(data.size(), 30u);
  for (uint64_t i = 0; i < 30; ++i) BOOST_TEST(data[i].second == i);
  BOOST_TEST(hop.cold_reads > 20u);
}

BOOST_AUTO_TEST_CASE(a_read_that_is_overtaken_sends_nothing) {
  Filled paper(without_cache());
  Position p3;
  for (int i = 0; i < 6; ++i) {
    const Position p = paper.add(1, 2'000);
    if (i == 2) p3 = p;
  }
  UplinkHop hop(paper);
  hop.read_cold = false;
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  BOOST_REQUIRE_EQUAL(hop.got.reads.size(), 1u);
  const ColdRead read = hop.got.reads[0];
  hop.uplink.disconnected("gone", 0, paper.now_ms);
  hop.connect();
  hop.welcome({UplinkHop::at(1, p3)});
  hop.read_cold = true;
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.data().empty());  // one read of a stream at a time
  hop.uplink.cold(read, paper.spool.decode_record(read.place, paper.read(read.place)));
  hop.pump();
  BOOST_TEST((hop.data() == Data{{1, 3}, {1, 4}, {1, 5}}));
}

BOOST_AUTO_TEST_CASE(a_damaged_record_becomes_a_gap_and_the_rest_goes_on) {
  Filled paper(without_cache());
  for (int i = 0; i < 6; ++i) paper.add(1, 2'000);
  const auto place = paper.spool.find(1, 2);
  BOOST_REQUIRE(place && !place->batch);
  paper.files.at(place->segment)[place->offset + place->bytes - 100] ^= 1;
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  for (int i = 0; i < 10; ++i) {
    paper.now_ms += 1'000;
    paper.commit_all();
    hop.pump();
  }
  BOOST_TEST((hop.data() == Data{{1, 0}, {1, 1}, {1, 3}, {1, 4}, {1, 5}}));
  const auto gaps = hop.said<proto::Gap>(FrameType::gap);
  BOOST_REQUIRE_EQUAL(gaps.size(), 1u);
  BOOST_TEST(gaps[0].first_seq() == 2u);
  BOOST_TEST(gaps[0].count() == 1u);
  BOOST_TEST(gaps[0].sinks(0) == kSinkName);
  BOOST_TEST(!gaps[0].reason().empty());
  BOOST_REQUIRE_EQUAL(hop.alarms.size(), 1u);
  BOOST_TEST(hop.alarms[0].find("LOST") == 0u);
}

BOOST_AUTO_TEST_CASE(a_disk_that_cannot_be_read_holds_and_gives_nothing_up) {
  Filled paper(without_cache());
  for (int i = 0; i < 6; ++i) paper.add(1, 2'000);
  UplinkHop hop(paper);
  hop.read_cold = false;
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  hop.credit("web", 1u << 20);
  for (int i = 0; i < 5; ++i) {
    for (const ColdRead& read : std::vector<ColdRead>(hop.got.reads))
      hop.uplink.cold(read, Error{Error::Kind::fatal, "input/output error"});
    paper.now_ms += 1'000;
    hop.pump();
  }
  BOOST_TEST(hop.all.held().find("input/output error") != std::string::npos);
  BOOST_TEST(paper.spool.tables().gaps.empty());
}

// A Center with a second sink, 0xBEEF; both give credit before anything is sent.
void welcome_two(UplinkHop& hop, Position first, Position second, uint64_t second_credit) {
  const auto hear = [&hop](FrameType type, const google::protobuf::MessageLite& message) {
    Frame frame{type, 0, message.SerializeAsString(), {}};
    hop.uplink.frame(frame, hop.paper.now_ms);
  };
  auto w = hop.welcome_message({UplinkHop::at(1, first)});
  test::name_sink(w, hex16(0xBEEF));
  auto& p = *w.add_positions();
  p = UplinkHop::at(1, second);
  p.set_sink(hex16(0xBEEF));
  hear(FrameType::welcome, w);
  proto::Credit c;
  c.set_category("web");
  c.set_sink(hex16(0xBEEF));
  c.set_bytes(second_credit);
  hear(FrameType::credit, c);
  c.set_sink(kSinkName);
  c.set_bytes(1u << 20);
  hear(FrameType::credit, c);
  hop.pump();
}

std::map<uint32_t, Data> data_by_sink(const UplinkHop& hop) {
  std::map<uint32_t, Data> by_sink;
  for (const Outgoing& out : hop.sent) {
    if (out.type != FrameType::data) continue;
    const uint32_t sinks = ByteReader(out.before).u32();
    for (uint32_t bit : {1u, 2u})
      if (sinks & bit) by_sink[bit].emplace_back(1, out.batch->fields.first_seq);
  }
  return by_sink;
}

BOOST_AUTO_TEST_CASE(sinks_that_are_level_share_a_frame_and_an_empty_credit_is_ones_own) {
  Filled paper;
  for (int i = 0; i < 3; ++i) paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  welcome_two(hop, {}, {}, 1);  // one batch may overdraw it
  BOOST_TEST((hop.data() == Data{{1, 0}, {1, 1}, {1, 2}}));
  BOOST_TEST((data_by_sink(hop)[1] == Data{{1, 0}, {1, 1}, {1, 2}}));
  BOOST_TEST((data_by_sink(hop)[2] == Data{{1, 0}}));
}

// Of a spool that is gone the other sink has what is read again, up to an origin.
BOOST_AUTO_TEST_CASE(a_sink_that_waits_gets_what_follows_its_origin) {
  Filled paper;
  BOOST_REQUIRE(paper.spool.await_origins(1, {0xBEEF}, paper.now_ms));
  for (int i = 0; i < 3; ++i) paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  welcome_two(hop, {}, {}, 1u << 20);
  BOOST_TEST((data_by_sink(hop)[1] == Data{{1, 0}, {1, 1}, {1, 2}}));
  BOOST_TEST(data_by_sink(hop)[2].empty());
  BOOST_TEST(hop.alarms.empty());
  BOOST_TEST(!hop.uplink.lacks_owner());  // nobody is asked for it
  const Position origin = paper.spool.durable(1);
  hop.commit(1, origin);
  BOOST_TEST(hop.all.lines_committed == 3u);  // the other one has them
  BOOST_REQUIRE(paper.spool.set_origin(0xBEEF, 1, origin.seq, paper.now_ms));
  hop.uplink.begin_at(0xBEEF);
  paper.commit_all();
  hop.pump();
  BOOST_TEST(hop.closed);  // the Center is told in a HELLO
  hop.uplink.disconnected("closed", 0, paper.now_ms);
  paper.add(1);
  hop.connect();
  const auto hello = hop.said<proto::Hello>(FrameType::hello).at(0);
  BOOST_REQUIRE_EQUAL(hello.streams(0).origins_size(), 1);
  BOOST_TEST(hello.streams(0).origins(0).sink() == hex16(0xBEEF));
  BOOST_TEST(hello.streams(0).origins(0).seq() == origin.seq);
  BOOST_TEST(hello.streams(0).origins(0).chain() == origin.chain);
  welcome_two(hop, origin, origin, 1u << 20);
  BOOST_TEST((data_by_sink(hop)[1] == Data{{1, 3}}));
  BOOST_TEST((data_by_sink(hop)[2] == Data{{1, 3}}));
  BOOST_TEST(hop.all.held() == "");
}

// The agent said where it begins before any Center named it.
BOOST_AUTO_TEST_CASE(a_sink_that_has_an_origin_and_was_never_met) {
  Filled paper;
  BOOST_REQUIRE(paper.spool.await_origins(1, {kSink}, paper.now_ms));
  const Position origin = paper.add(1);
  BOOST_REQUIRE(paper.spool.set_origin(kSink, 1, origin.seq, paper.now_ms));
  paper.add(1);
  const Position db = paper.add(2);
  UplinkHop hop(paper);
  hop.connect();
  BOOST_TEST(hop.said<proto::Hello>(FrameType::hello).at(0).streams(0).origins_size() == 1);
  hop.welcome({UplinkHop::at(1, origin), UplinkHop::at(2, {})});
  BOOST_TEST(!hop.closed);  // it is told already
  hop.credit("web", 1'000);
  hop.credit("db", 1'000);
  BOOST_TEST((hop.data() == Data{{1, 1}, {2, 0}}));
  hop.commit(2, db);
  BOOST_TEST((paper.spool.cursor(kSink, 2) == db));
  BOOST_TEST(hop.all.held() == "");
}

// This spool was lost, and turned up again: the sink knows of it that it ends at 0.
BOOST_AUTO_TEST_CASE(an_origin_that_a_sink_does_not_take_up_is_no_hole) {
  Filled paper;
  BOOST_REQUIRE(paper.spool.await_origins(1, {kSink}, paper.now_ms));
  const Position origin = paper.add(1);
  BOOST_REQUIRE(paper.spool.set_origin(kSink, 1, origin.seq, paper.now_ms));
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  hop.welcome({UplinkHop::at(1, {})});
  BOOST_TEST(hop.count(FrameType::stale) == 1u);
  BOOST_TEST(hop.all.held() == "");
  hop.say(FrameType::pong);
  hop.commit(1, {});
  BOOST_TEST(hop.all.held().find("was retired") != std::string::npos);
  BOOST_TEST(hop.all.holes().empty());
  BOOST_TEST(hop.data().empty());
}

BOOST_AUTO_TEST_CASE(a_sink_that_lags_does_not_keep_the_other_waiting) {
  Filled paper;
  Position behind;
  std::vector<Position> at;
  for (int i = 0; i < 20; ++i) at.push_back(paper.add(1));
  UplinkHop hop(paper);
  hop.connect();
  welcome_two(hop, at[9], behind, 1u << 20);
  const Data sent = hop.data();
  const auto first_of_both =
      std::find(sent.begin(), sent.end(), std::pair<StreamId, uint64_t>{1, 10});
  BOOST_TEST(std::distance(sent.begin(), first_of_both) < 3);
}

BOOST_AUTO_TEST_CASE(what_one_sink_refuses_or_releases_the_other_gets) {
  Filled paper;
  paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  welcome_two(hop, {}, {}, 1u << 20);
  proto::Reject r;
  r.set_code(proto::Reject::CHAIN);
  r.set_stream(1);
  r.set_sink(hex16(0xBEEF));
  hop.say(FrameType::reject, r);
  BOOST_TEST(!hop.all.held().empty());
  hop.sent.clear();
  paper.add(1);
  hop.pump();
  BOOST_TEST((data_by_sink(hop)[1] == Data{{1, 1}}));
  BOOST_TEST(data_by_sink(hop)[2].empty());

  proto::Released released;
  released.set_sink(kSinkName);
  released.set_category("web");
  released.set_parts(1);
  hop.say(FrameType::released, released);
  paper.now_ms += 5'000;
  hop.uplink.ask_again(paper.now_ms);
  hop.pump();
  const auto asked = hop.said<proto::StreamDef>(FrameType::stream_def);
  BOOST_REQUIRE_EQUAL(asked.size(), 1u);
  BOOST_REQUIRE_EQUAL(asked[0].sinks_size(), 1);
  BOOST_TEST(asked[0].sinks(0) == kSinkName);
}

// Two sinks keep apart: each has its own place, and one batch goes once to both where they agree.
BOOST_AUTO_TEST_CASE(two_sinks_have_cursors_of_their_own) {
  Filled paper;
  const Position p1 = paper.add(1);
  const Position p2 = paper.add(1);
  UplinkHop hop(paper);
  hop.connect();
  welcome_two(hop, p1, {}, 1u << 20);
  BOOST_TEST((data_by_sink(hop)[1] == Data{{1, 1}}));
  BOOST_TEST((data_by_sink(hop)[2] == Data{{1, 0}, {1, 1}}));
  hop.commit(1, p2);
  BOOST_TEST(hop.all.lines_committed == 0u);  // the slowest counts
  BOOST_TEST((paper.spool.cursor(0xBEEF, 1) == Position{}));
}

// A Center of few lines that keeps the protocol but loses connections, drops what it held, answers
// late: whatever it does, each line arrives once and in order, and nothing is held.
BOOST_AUTO_TEST_CASE(whatever_a_true_center_does_each_line_is_committed_once) {
  const bool good = rc::check([](uint64_t seed) {
    Rng rng(seed);
    SpoolOptions options;
    options.cache_bytes = rng.chance(0.5) ? 0 : 8u << 20;
    Filled paper(options);
    UplinkHop hop(paper);
    Position next, committed;
    uint64_t granted = 0;
    bool connected = false;
    std::deque<std::function<void()>> late;  // answers on their way
    const auto answer = [&] {
      for (const Outgoing& out : std::exchange(hop.sent, {})) {
        if (out.type == FrameType::ping) late.push_back([&hop] { hop.say(FrameType::pong); });
        if (out.type == FrameType::stream_def)
          late.push_back([&hop, committed] { hop.rewind(1, committed); });
        if (out.type == FrameType::hello) {
          const bool has = dynamic_cast<const proto::Hello&>(*out.message).streams_size() > 0;
          late.push_back([&, has] {
            hop.welcome(has ? std::vector{UplinkHop::at(1, committed)}
                            : std::vector<proto::SinkStreamPosition>{});
          });
          late.push_back([&] { hop.credit("web", granted += 500); });
        }
        if (out.type != FrameType::data) continue;
        const BatchFields f = BatchHead::parse(out.batch->head)->fields();
        const uint64_t used = out.batch->bytes();
        late.push_back([&, used] { hop.credit("web", granted += used); });
        if (f.first_seq == next.seq) {
          RC_ASSERT(f.chain_before == next.chain);
          next = {f.end_seq(), f.chain_after};
        } else if (f.first_seq < next.seq) {
          late.push_back([&hop, committed] { hop.commit(1, committed); });
        } else {
          late.push_back([&hop, next] { hop.rewind(1, next); });
        }
      }
    };
    const auto step = [&](uint64_t what) {
      if (!connected) {
        paper.now_ms += 5'000;
        connected = true;
        granted = 0;
        next = committed;
        hop.connect();
        return;
      }
      if (what < 3) {
        paper.add(1, 10 + rng.below(200));
        hop.pump();
      } else if (what < 7) {
        answer();
        if (late.empty()) return;
        const auto call = std::move(late.front());
        late.pop_front();
        call();
      } else if (what == 7) {  // a commit
        committed = next;
        const Position now = committed;
        late.push_back([&hop, now] {
          if (now.seq > 0) hop.commit(1, now);
        });
      } else if (what == 8) {  // what it held is lost
        next = committed;
      } else if (rng.chance(0.2)) {
        connected = false;
        late.clear();
        hop.sent.clear();
        hop.uplink.disconnected("gone", rng.next(), paper.now_ms);
      }
      if (hop.closed) {
        connected = false;
        late.clear();
        hop.uplink.disconnected("closed", rng.next(), paper.now_ms);
      }
    };
    for (int i = 0; i < 300; ++i) step(rng.below(10));
    for (int i = 0; i < 20'000 && next.seq < paper.spool.durable(1).seq; ++i) step(4);
    paper.add(1);
    hop.pump();
    for (int i = 0; i < 20'000 && next.seq < paper.spool.durable(1).seq; ++i) step(4);
    RC_ASSERT(hop.all.held() == "");
    RC_ASSERT(next.seq == paper.spool.durable(1).seq);
    RC_ASSERT(next.chain == paper.spool.durable(1).chain);
  });
  BOOST_TEST(good);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
