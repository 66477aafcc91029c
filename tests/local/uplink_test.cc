#include "local/uplink.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>
#include <deque>

#include "base/bytes.h"
#include "base/random.h"
#include "control.pb.h"
#include "flow/connection.h"
#include "tests/local/paper_spool.h"

namespace tailrace {
namespace {

using test::make_batch;
using test::PaperSpool;

constexpr uint64_t kSink = 0xABCD;
const std::string kSinkName = hex16(kSink);

// The uplink with a Center's hands: says frames, collects what is sent.
struct Hop {
  explicit Hop(PaperSpool& p, UplinkOptions options = {"c1", "h", "1", 4u << 20, 20ull << 30})
      : paper(p), uplink(p.spool, std::move(options)) {}

  void say(FrameType type, const google::protobuf::MessageLite& message) {
    Frame frame{type, 0, message.SerializeAsString(), {}};
    uplink.frame(frame, paper.now_ms);
    pump();
  }
  void say(FrameType type) {
    Frame frame{type, 0, {}, {}};
    uplink.frame(frame, paper.now_ms);
    pump();
  }
  // Pumps and carries cold reads out, until nothing moves.
  void pump(size_t queued = 0) {
    for (;;) {
      uplink.pump(queued, paper.now_ms);
      uplink.take(got);
      for (Outgoing& frame : got.frames) sent.push_back(std::move(frame));
      for (std::string& alarm : got.alarms) alarms.push_back(std::move(alarm));
      for (const SinkPlace& place : got.committed) committed.push_back(place);
      closed = closed || got.close;
      if (got.reads.empty() || !read_cold) return;
      const std::vector<ColdRead> reads = got.reads;
      for (const ColdRead& read : reads) {
        ++cold_reads;
        uplink.cold(read, paper.spool.decode_record(read.place, paper.read(read.place)));
      }
    }
  }
  void connect() {
    closed = false;
    sent.clear();
    uplink.connected(paper.now_ms);
    pump();
  }
  proto::Welcome welcome_message(std::vector<proto::SinkStreamPosition> positions = {}) {
    proto::Welcome w;
    w.set_center("center");
    w.set_cluster("c1");
    auto& sink = *w.add_sinks();
    sink.set_sink(kSinkName);
    sink.set_name("files");
    sink.set_required(true);
    for (auto& p : positions) *w.add_positions() = std::move(p);
    return w;
  }
  void welcome(std::vector<proto::SinkStreamPosition> positions = {}) {
    say(FrameType::welcome, welcome_message(std::move(positions)));
  }
  static proto::SinkStreamPosition at(StreamId stream, Position p) {
    proto::SinkStreamPosition out;
    out.set_sink(kSinkName);
    out.set_stream(stream);
    out.set_seq(p.seq);
    out.set_chain(p.chain);
    return out;
  }
  void commit(StreamId stream, Position p) {
    proto::Committed c;
    *c.add_positions() = at(stream, p);
    say(FrameType::committed, c);
  }
  void rewind(StreamId stream, Position p) {
    proto::Rewind r;
    *r.mutable_to() = at(stream, p);
    say(FrameType::rewind, r);
  }
  void credit(const std::string& category, uint64_t bytes) {
    proto::Credit c;
    c.set_sink(kSinkName);
    c.set_category(category);
    c.set_bytes(bytes);
    say(FrameType::credit, c);
  }
  void reject(proto::Reject::Code code, StreamId stream = 0) {
    proto::Reject r;
    r.set_code(code);
    r.set_text("no");
    r.set_stream(stream);
    say(FrameType::reject, r);
  }
  template <class Message>
  std::vector<Message> said(FrameType type) const {
    std::vector<Message> all;
    for (const Outgoing& out : sent)
      if (out.type == type) all.push_back(dynamic_cast<const Message&>(*out.message));
    return all;
  }
  size_t count(FrameType type) const {
    size_t n = 0;
    for (const Outgoing& out : sent) n += out.type == type;
    return n;
  }
  // (stream, first_seq) of the DATA frames since `sent` was cleared.
  std::vector<std::pair<StreamId, uint64_t>> data() const {
    std::vector<std::pair<StreamId, uint64_t>> all;
    for (const Outgoing& out : sent)
      if (out.type == FrameType::data)
        all.emplace_back(out.batch->fields.stream, out.batch->fields.first_seq);
    return all;
  }

  PaperSpool& paper;
  Uplink uplink;
  UplinkActions got;
  std::vector<Outgoing> sent;
  std::vector<std::string> alarms;
  std::vector<SinkPlace> committed;
  bool closed = false;
  bool read_cold = true;
  size_t cold_reads = 0;
};

using Data = std::vector<std::pair<StreamId, uint64_t>>;

// A spool with stream 1 ("web", file 7) and stream 2 ("db", file 8), and hands that fill it.
struct Filled : PaperSpool {
  explicit Filled(SpoolOptions options = {}) : PaperSpool(options) {
    define(1, "web");
    define(2, "db");
  }
  void define(StreamId stream, const std::string& category) {
    StreamInfo info;
    info.stream = stream;
    info.category = category;
    BOOST_REQUIRE(spool.define_stream(info, now_ms));
    FileInfo file;
    file.file = stream;
    file.path = "/" + category;
    BOOST_REQUIRE(spool.define_file(file, now_ms));
    commit_all();
  }
  // One batch of one line; returns the position behind it.
  Position add(StreamId stream, size_t bytes = 10) {
    const uint64_t seq = spool.tables().streams.at(stream).next.seq;
    const uint64_t offset = spool.tables().files.at(stream).next;
    put(make_batch(stream, seq, 1, stream, offset, std::string(bytes - 1, 'x') + "\n"));
    return spool.durable(stream);
  }
};

BOOST_AUTO_TEST_SUITE(uplink)

BOOST_AUTO_TEST_CASE(hello_says_who_and_what_is_durable) {
  Filled paper;
  paper.add(1);
  paper.add(1);
  const auto more = make_batch(1, 2, 1, 1, 20, "not durable\n");
  BOOST_TEST((paper.spool.append(more, paper.now_ms) == Spool::Taken::appended));
  Hop hop(paper);
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

BOOST_AUTO_TEST_CASE(nothing_is_sent_before_position_credit_and_fsync) {
  Filled paper;
  paper.add(1);
  Hop hop(paper);
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
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
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
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
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
  Hop hop(paper, {"c1", "h", "1", 4000, 1u << 30});
  hop.connect();
  Frame welcome{FrameType::welcome, 0, {}, {}};
  welcome.header = hop.welcome_message({Hop::at(1, {}), Hop::at(2, {})}).SerializeAsString();
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
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
  hop.credit("web", 1u << 20);
  hop.commit(1, p1);
  BOOST_TEST((paper.spool.cursor(kSink, 1) == p1));
  BOOST_REQUIRE_EQUAL(hop.committed.size(), 1u);
  BOOST_TEST(hop.committed[0].sink == kSink);
  BOOST_TEST((hop.committed[0].at == p1));
  hop.commit(1, p1);  // repeated: no news
  BOOST_TEST(hop.committed.size() == 1u);
  hop.commit(1, p2);
  BOOST_TEST(hop.uplink.lines_committed() == 2u);
  BOOST_TEST(hop.uplink.held().empty());
  BOOST_TEST(hop.data().size() == 2u);  // nothing again
}

BOOST_AUTO_TEST_CASE(a_welcome_commits_and_sends_from_there) {
  Filled paper;
  const Position p1 = paper.add(1);
  paper.add(1);
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, p1)});
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
      Hop hop(paper);
      hop.connect();
      Position bad;
      switch (what) {
        case 0: bad = {p1.seq, p1.chain + 1}; break;    // other bytes
        case 1: bad = {p1.seq + 1, p1.chain}; break;    // inside a batch
        case 2: bad = {end.seq + 1, end.chain}; break;  // above
      }
      if (how == 0) {
        hop.welcome({Hop::at(1, bad), Hop::at(2, {})});
      } else {
        hop.welcome({Hop::at(1, {}), Hop::at(2, {})});
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
        BOOST_TEST(!hop.uplink.held().empty());
        BOOST_TEST(hop.alarms.size() == 1u);
        BOOST_TEST(!hop.closed);
        // Neither a good position nor a new connection ends it.
        hop.commit(1, p1);
        BOOST_TEST((paper.spool.cursor(kSink, 1) == Position{}));
        hop.uplink.disconnected("", 0, paper.now_ms);
        hop.connect();
        hop.welcome({Hop::at(1, {}), Hop::at(2, other)});
        hop.credit("web", 1u << 20);
        BOOST_TEST(hop.data().empty());
        BOOST_TEST(!hop.uplink.held().empty());
        BOOST_TEST(hop.alarms.size() == 1u);
      }
    }
}

BOOST_AUTO_TEST_CASE(a_position_below_the_cursor_is_never_followed) {
  Filled paper;
  const Position p1 = paper.add(1);
  const Position p2 = paper.add(1);
  paper.add(1);
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, p2)});
  hop.credit("web", 1u << 20);
  BOOST_TEST((hop.data() == Data{{1, 2}}));
  hop.rewind(1, p1);
  hop.rewind(1, p1);  // the same answer to a frame sent before: not yet a repetition
  const auto stales = hop.said<proto::Stale>(FrameType::stale);
  BOOST_REQUIRE_EQUAL(stales.size(), 1u);
  BOOST_TEST(stales[0].position().seq() == p2.seq);
  BOOST_TEST(stales[0].position().chain() == p2.chain);
  BOOST_TEST(hop.uplink.held().empty());
  BOOST_TEST((paper.spool.cursor(kSink, 1) == p2));
  hop.say(FrameType::pong);
  BOOST_TEST(hop.data().size() == 1u);  // and nothing is sent to who stands behind
  hop.rewind(1, p1);
  BOOST_TEST(hop.uplink.held().find("HOLE") != std::string::npos);
  BOOST_TEST(hop.data().size() == 1u);
  // Another Center, or this one after it learnt better, stands where it should: it goes on.
  hop.commit(1, p2);
  BOOST_TEST(hop.uplink.held().empty());
  BOOST_TEST((hop.data() == Data{{1, 2}, {1, 2}}));
}

BOOST_AUTO_TEST_CASE(a_rewind_is_followed_once_however_often_it_is_said) {
  Filled paper;
  const Position p1 = paper.add(1);
  for (int i = 0; i < 4; ++i) paper.add(1);
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
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
  Hop ahead(other);
  ahead.connect();
  ahead.welcome({Hop::at(1, {})});
  ahead.rewind(1, last);
  ahead.credit("web", 1u << 20);
  BOOST_TEST(ahead.data().empty());
  BOOST_TEST((other.spool.cursor(kSink, 1) == Position{}));  // a rewind commits nothing
}

BOOST_AUTO_TEST_CASE(rejects_hold_a_stream_or_everything) {
  for (const auto code : {proto::Reject::CHAIN, proto::Reject::CATEGORY, proto::Reject::RETIRED}) {
    Filled paper;
    paper.add(1);
    paper.add(2);
    Hop hop(paper);
    hop.connect();
    hop.welcome({Hop::at(1, {}), Hop::at(2, {})});
    hop.reject(code, 1);
    hop.credit("web", 1u << 20);
    hop.credit("db", 1u << 20);
    BOOST_TEST((hop.data() == Data{{2, 0}}));
    BOOST_TEST(!hop.uplink.held().empty());
    BOOST_TEST(hop.uplink.refused() == 1u);
  }
  for (const auto code : {proto::Reject::DUPLICATE, proto::Reject::CLUSTER}) {
    Filled paper;
    paper.add(1);
    Hop hop(paper);
    hop.connect();
    hop.reject(code);
    BOOST_TEST(hop.closed);
    hop.uplink.disconnected("closed", 0, paper.now_ms);
    BOOST_TEST(hop.uplink.connect_due_ms(paper.now_ms + 1'000'000) == -1);
    BOOST_TEST(!hop.uplink.held().empty());
  }
  for (const auto code : {proto::Reject::OTHER, proto::Reject::PROTOCOL, proto::Reject::CORRUPT,
                          proto::Reject::VERSION}) {
    Filled paper;
    Hop hop(paper);
    hop.connect();
    hop.reject(code);
    BOOST_TEST(hop.closed);
    hop.uplink.disconnected("closed", 0, paper.now_ms);
    const int64_t due = hop.uplink.connect_due_ms(paper.now_ms);
    BOOST_TEST(due >= (code == proto::Reject::VERSION ? 60'000 : 50));
    BOOST_TEST(hop.uplink.held().empty());
  }
}

BOOST_AUTO_TEST_CASE(another_cluster_gets_nothing) {
  Filled paper;
  const Position p = paper.add(1);
  Hop hop(paper);
  hop.connect();
  auto w = hop.welcome_message({Hop::at(1, p)});
  w.set_cluster("c2");
  hop.say(FrameType::welcome, w);
  BOOST_TEST(hop.closed);
  BOOST_TEST(!hop.uplink.held().empty());
  BOOST_TEST(paper.spool.tables().cursors.empty());
}

BOOST_AUTO_TEST_CASE(what_is_no_protocol_ends_the_connection) {
  for (int kind = 0; kind < 6; ++kind) {
    Filled paper;
    paper.add(1);
    Hop hop(paper);
    hop.connect();
    if (kind > 0) hop.welcome({Hop::at(1, {})});
    Frame frame{FrameType::committed, 0, {}, {}};
    switch (kind) {
      case 0: break;  // before WELCOME
      case 1: frame.header = "\xff\xff"; break;
      case 2: frame.payload = "x"; break;
      case 3: frame.flags = 4; break;
      case 4: frame.type = FrameType::append; break;
      case 5: {  // a stream that was not declared
        proto::Committed c;
        *c.add_positions() = Hop::at(2, {});
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
  Hop hop(paper);
  hop.connect();
  Frame unknown{static_cast<FrameType>(200), 0, "?", {}};
  hop.uplink.frame(unknown, paper.now_ms);  // 128 and above may be ignored
  hop.pump();
  BOOST_TEST(!hop.closed);
}

BOOST_AUTO_TEST_CASE(attempts_spread_and_grow_and_a_lasting_connection_resets_them) {
  Filled paper;
  Hop hop(paper);
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
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
  hop.credit("web", 1u << 20);
  hop.commit(1, p1);
  BOOST_TEST(hop.data().size() == 3u);
  hop.uplink.disconnected("gone", 0, paper.now_ms);
  hop.pump();
  hop.connect();
  BOOST_TEST(hop.said<proto::Hello>(FrameType::hello).size() == 1u);
  hop.welcome({Hop::at(1, p1)});
  BOOST_TEST(hop.data().empty());  // credit counts from the connection's beginning
  hop.credit("web", 1u << 20);
  BOOST_TEST((hop.data() == Data{{1, 1}, {1, 2}}));
}

BOOST_AUTO_TEST_CASE(silence_ends_a_connection_and_pings_carry_the_fill) {
  Filled paper;
  paper.add(1);
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
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

BOOST_AUTO_TEST_CASE(flush_follows_the_lines_and_is_repeated_until_they_are_committed) {
  Filled paper;
  paper.add(1);
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
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
  hop.welcome({Hop::at(1, {})});
  BOOST_TEST(hop.count(FrameType::flush) == 0u);
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.count(FrameType::flush) == 1u);
  hop.commit(1, paper.spool.durable(1));
  hop.uplink.disconnected("gone", 0, paper.now_ms);
  hop.connect();
  hop.welcome({Hop::at(1, paper.spool.durable(1))});
  hop.credit("web", 1u << 20);
  BOOST_TEST(hop.count(FrameType::flush) == 0u);
  hop.uplink.flush({1});  // all is committed: nothing to ask for
  hop.pump();
  BOOST_TEST(hop.count(FrameType::flush) == 0u);
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
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
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
  Hop hop(paper);
  hop.read_cold = false;
  hop.connect();
  hop.welcome({Hop::at(1, {})});
  hop.credit("web", 1u << 20);
  BOOST_REQUIRE_EQUAL(hop.got.reads.size(), 1u);
  const ColdRead read = hop.got.reads[0];
  hop.uplink.disconnected("gone", 0, paper.now_ms);
  hop.connect();
  hop.welcome({Hop::at(1, p3)});
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
  Hop hop(paper);
  hop.connect();
  hop.welcome({Hop::at(1, {})});
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
  Hop hop(paper);
  hop.read_cold = false;
  hop.connect();
  hop.welcome({Hop::at(1, {})});
  hop.credit("web", 1u << 20);
  for (int i = 0; i < 5; ++i) {
    for (const ColdRead& read : std::vector<ColdRead>(hop.got.reads))
      hop.uplink.cold(read, Error{Error::Kind::fatal, "input/output error"});
    paper.now_ms += 1'000;
    hop.pump();
  }
  BOOST_TEST(hop.uplink.held().find("input/output error") != std::string::npos);
  BOOST_TEST(paper.spool.tables().gaps.empty());
}

// Two sinks keep apart: each has its own place, and one batch goes once to both where they agree.
BOOST_AUTO_TEST_CASE(two_sinks_have_cursors_of_their_own) {
  Filled paper;
  const Position p1 = paper.add(1);
  const Position p2 = paper.add(1);
  Hop hop(paper);
  hop.connect();
  auto w = hop.welcome_message({Hop::at(1, p1)});
  auto& other = *w.add_sinks();
  other.set_sink(hex16(0xBEEF));
  auto& p = *w.add_positions();
  p = Hop::at(1, {});
  p.set_sink(hex16(0xBEEF));
  hop.say(FrameType::welcome, w);
  hop.credit("web", 1u << 20);
  proto::Credit c;
  c.set_sink(hex16(0xBEEF));
  c.set_category("web");
  c.set_bytes(1u << 20);
  hop.say(FrameType::credit, c);
  std::map<uint32_t, Data> by_sink;
  for (const Outgoing& out : hop.sent) {
    if (out.type != FrameType::data) continue;
    uint32_t sinks = ByteReader(out.before).u32();
    for (uint32_t bit : {1u, 2u})
      if (sinks & bit) by_sink[bit].emplace_back(1, out.batch->fields.first_seq);
  }
  BOOST_TEST((by_sink[1] == Data{{1, 1}}));
  BOOST_TEST((by_sink[2] == Data{{1, 0}, {1, 1}}));
  hop.commit(1, p2);
  BOOST_TEST(hop.uplink.lines_committed() == 0u);  // the slowest counts
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
    Hop hop(paper);
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
            hop.welcome(has ? std::vector{Hop::at(1, committed)}
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
    RC_ASSERT(hop.uplink.held() == "");
    RC_ASSERT(next.seq == paper.spool.durable(1).seq);
    RC_ASSERT(next.chain == paper.spool.durable(1).chain);
  });
  BOOST_TEST(good);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
