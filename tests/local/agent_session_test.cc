#include "local/agent_session.h"

#include <boost/test/unit_test.hpp>

#include "base/random.h"
#include "tests/local/agent_hands.h"

namespace tailrace {
namespace {

using test::AgentHop;
using test::make_batch;
using test::PaperSpool;

BOOST_AUTO_TEST_SUITE(agent_session)

BOOST_AUTO_TEST_CASE(a_fresh_spool_welcomes_with_nothing) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.hello();
  hop.answers();
  const auto welcomes = hop.said<proto::LocalWelcome>(FrameType::welcome);
  BOOST_REQUIRE_EQUAL(welcomes.size(), 1u);
  BOOST_TEST(welcomes[0].last());
  BOOST_TEST(welcomes[0].local_id() == paper.spool.local_id());
  BOOST_TEST(welcomes[0].local_id() != 0u);
  BOOST_TEST(welcomes[0].files_size() == 0);
}

BOOST_AUTO_TEST_CASE(the_welcome_waits_until_all_is_durable) {
  PaperSpool paper;
  AgentHop first(paper);
  first.open();
  first.append(make_batch(1, 0, 1, 7, 0, "one\n"));
  AgentHop second(paper);  // the agent came back before the group
  second.hello();
  BOOST_TEST(second.answers().frames.empty());
  BOOST_TEST(second.session.pushes());
  second.commit();
  second.answers();
  const auto welcome = second.said<proto::LocalWelcome>(FrameType::welcome).at(0);
  BOOST_TEST(welcome.streams(0).next_seq() == 1u);
  BOOST_TEST(welcome.files(0).next() == 4u);
  BOOST_TEST(!second.session.pushes());
}

BOOST_AUTO_TEST_CASE(the_welcome_tells_all_that_is_known) {
  PaperSpool paper;
  paper.spool.add_sink(0xABCD, paper.now_ms);
  AgentHop hop(paper);
  hop.open();
  hop.append(make_batch(1, 0, 2, 7, 0, "a\nbc\n"));
  hop.commit();
  const Position at = paper.spool.durable(1);
  BOOST_TEST(paper.spool.advance_cursor(0xABCD, 1, at, paper.now_ms));
  paper.commit_all();
  AgentHop again(paper);
  again.hello();
  again.answers();
  const auto welcome = again.said<proto::LocalWelcome>(FrameType::welcome).at(0);
  BOOST_REQUIRE_EQUAL(welcome.streams_size(), 1);
  BOOST_TEST(welcome.streams(0).category() == "web");
  BOOST_TEST(welcome.streams(0).next_seq() == 2u);
  BOOST_REQUIRE_EQUAL(welcome.files_size(), 1);
  BOOST_TEST(welcome.files(0).file() == 7u);
  BOOST_TEST(welcome.files(0).path() == "/var/log/web.log");
  BOOST_TEST(welcome.files(0).identity().inode() == 7u);
  BOOST_TEST(welcome.files(0).next() == 5u);
  BOOST_REQUIRE_EQUAL(welcome.committed_size(), 1);
  BOOST_TEST(welcome.committed(0).sink() == "000000000000abcd");
  BOOST_TEST(welcome.committed(0).seq() == 2u);
  BOOST_TEST(welcome.committed(0).chain() == at.chain);
}

BOOST_AUTO_TEST_CASE(a_long_welcome_comes_in_pieces_and_only_as_they_leave) {
  PaperSpool paper;
  {
    AgentHop hop(paper);
    hop.open();
    for (FileId f = 100; f < 5'100; ++f)
      hop.file(f, "/var/log/" + std::string(f % 400, 'x') + std::to_string(f));
    hop.commit();
  }
  AgentHop hop(paper);
  hop.hello();
  std::set<FileId> told;
  size_t frames = 0;
  for (bool last = false; !last; ++frames) {
    hop.session.room(10u << 20);  // the agent is slow: nothing more is made
    hop.answers();
    BOOST_REQUIRE_EQUAL(hop.got.frames.size(), 1u);
    const auto welcome = hop.said<proto::LocalWelcome>(FrameType::welcome).at(0);
    BOOST_TEST(welcome.ByteSizeLong() < 300u << 10);
    for (const auto& f : welcome.files()) BOOST_TEST(told.insert(f.file()).second);
    last = welcome.last();
    BOOST_TEST(last == !hop.session.welcoming());
    hop.session.room(0);
  }
  BOOST_TEST(told.size() == 5'001u);
  BOOST_TEST(frames > 3u);
  hop.answers();
  BOOST_TEST(hop.got.frames.empty());
}

BOOST_AUTO_TEST_CASE(what_is_committed_during_the_welcome_is_said_after_it) {
  PaperSpool paper;
  {
    AgentHop hop(paper);
    hop.open();
    for (FileId f = 100; f < 3'100; ++f) hop.file(f, std::string(300, 'x') + std::to_string(f));
    hop.commit();
  }
  AgentHop hop(paper);
  hop.hello();
  BOOST_REQUIRE(hop.session.welcoming());
  hop.session.committed({{0xABCD, 1, {3, 4}}});
  while (hop.session.welcoming()) hop.session.room(0);
  hop.answers();
  BOOST_REQUIRE_EQUAL(hop.count(FrameType::committed), 1u);
  BOOST_TEST((hop.got.frames.back().type == FrameType::committed));
}

BOOST_AUTO_TEST_CASE(nothing_is_acked_before_it_is_durable_and_one_ack_covers_a_group) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  hop.append(make_batch(1, 0, 1, 7, 0, "one\n"));
  hop.append(make_batch(1, 1, 2, 7, 4, "two\n3\n"), kFramePush);
  BOOST_TEST(hop.answers().frames.empty());
  BOOST_TEST(hop.session.pushes());
  BOOST_TEST(hop.session.pending_bytes() > 0u);
  hop.session.spool_moved(paper.now_ms);  // something else moved
  BOOST_TEST(hop.answers().frames.empty());
  hop.commit();
  hop.answers();
  const auto acks = hop.said<proto::Ack>(FrameType::ack);
  BOOST_REQUIRE_EQUAL(acks.size(), 1u);
  BOOST_TEST(acks[0].stream() == 1u);
  BOOST_TEST(acks[0].next_seq() == 3u);
  BOOST_TEST(hop.session.lines_taken() == 3u);
  BOOST_TEST(hop.session.pending_bytes() == 0u);
  hop.commit();
  BOOST_TEST(hop.answers().frames.empty());
}

BOOST_AUTO_TEST_CASE(what_is_pushed_during_a_group_waits_for_the_next) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  hop.append(make_batch(1, 0, 1, 7, 0, "one\n"), kFramePush);
  hop.session.group_begun();
  SpoolGroup group = paper.spool.begin_group(paper.now_ms);
  BOOST_TEST(!hop.session.pushes());
  hop.append(make_batch(1, 1, 1, 7, 4, "two\n"), kFramePush);
  paper.spool.group_done(paper.now_ms);
  hop.session.spool_moved(paper.now_ms);
  hop.answers();
  const auto acks = hop.said<proto::Ack>(FrameType::ack);
  BOOST_REQUIRE_EQUAL(acks.size(), 1u);
  BOOST_TEST(acks[0].next_seq() == 1u);
  BOOST_TEST(hop.session.pushes());
}

BOOST_AUTO_TEST_CASE(a_batch_that_does_not_fit_is_refused_and_so_are_those_behind_it) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  hop.append(make_batch(1, 0, 1, 7, 0, "one\n"));
  hop.append(make_batch(1, 5, 1, 7, 4, "two\n"));    // a wrong number
  hop.append(make_batch(1, 1, 1, 7, 9, "three\n"));  // a wrong place
  hop.append(make_batch(1, 0, 1, 7, 0, "one\n"));    // again
  hop.answers();
  const auto expects = hop.said<proto::Expect>(FrameType::expect);
  BOOST_REQUIRE_EQUAL(expects.size(), 3u);
  for (const auto& expect : expects) {
    BOOST_TEST(expect.stream() == 1u);
    BOOST_TEST(expect.next_seq() == 1u);
    BOOST_REQUIRE_EQUAL(expect.files_size(), 1);
    BOOST_TEST(expect.files(0).file() == 7u);
    BOOST_TEST(expect.files(0).next() == 4u);
  }
  BOOST_TEST(!hop.got.close);
  BOOST_TEST(hop.session.refused() == 3u);
  BOOST_TEST(hop.session.lines_refused().at("web") == 3u);
  hop.append(make_batch(1, 1, 1, 7, 4, "two\n"));
  hop.commit();
  hop.answers();
  BOOST_TEST(hop.said<proto::Ack>(FrameType::ack).at(0).next_seq() == 2u);
}

BOOST_AUTO_TEST_CASE(a_full_category_is_paused_once_and_goes_on_when_there_is_room) {
  SpoolOptions options;
  options.segment_bytes = 256u << 10;
  options.quota_bytes = 2u << 20;
  PaperSpool paper(options);
  paper.spool.add_sink(9, paper.now_ms);
  AgentHop hop(paper);
  hop.open();
  const std::string payload = std::string(63, 'x') + '\n';
  std::string big;
  for (int i = 0; i < 1000; ++i) big += payload;
  uint64_t seq = 0, offset = 0;
  size_t pauses = 0;
  std::vector<proto::Expect> expects;
  for (int i = 0; i < 200 && pauses == 0; ++i) {
    hop.append(make_batch(1, seq, 1000, 7, offset, big));
    hop.answers();
    expects = hop.said<proto::Expect>(FrameType::expect);
    pauses = hop.count(FrameType::credit);
    if (expects.empty()) {
      seq += 1000;
      offset += big.size();
    }
    hop.commit();
    hop.answers();
    if (hop.count(FrameType::credit) > 0) pauses = 0;  // a moment's pause: room was being made
  }
  BOOST_REQUIRE_EQUAL(pauses, 1u);
  BOOST_TEST(expects.at(0).next_seq() == seq);
  // Again: refused, but no second CREDIT.
  hop.append(make_batch(1, seq, 1000, 7, offset, big));
  hop.answers();
  BOOST_TEST(hop.count(FrameType::credit) == 0u);
  BOOST_TEST(hop.count(FrameType::expect) == 1u);
  // It lasts: said to a person, once.
  paper.now_ms += 6'000;
  hop.session.tick(true, paper.now_ms);
  hop.session.tick(true, paper.now_ms + 1'000);
  const AgentActions& said = hop.answers();
  BOOST_REQUIRE(said.not_read.size() == 1u);
  BOOST_TEST(said.not_read[0].category == "web");
  BOOST_TEST(said.not_read[0].trouble == "");
  // The Center commits: the pause ends.
  BOOST_TEST(paper.spool.advance_cursor(9, 1, paper.spool.durable(1), paper.now_ms));
  for (int i = 0; i < 5; ++i) {
    paper.now_ms += 1'000;
    hop.commit();
  }
  hop.answers();
  const auto credits = hop.said<proto::Credit>(FrameType::credit);
  BOOST_REQUIRE_EQUAL(credits.size(), 1u);
  BOOST_TEST(credits[0].category() == "web");
  BOOST_TEST(!credits[0].paused());
  hop.append(make_batch(1, seq, 1000, 7, offset, big));
  hop.commit();
  hop.answers();
  BOOST_TEST(hop.said<proto::Ack>(FrameType::ack).at(0).next_seq() == seq + 1000);
}

BOOST_AUTO_TEST_CASE(broken_frames_end_the_connection_and_take_nothing) {
  const auto good = make_batch(1, 0, 1, 7, 0, "one\n");
  {
    PaperSpool paper;
    AgentHop hop(paper);
    hop.open();
    auto bad = make_batch(1, 0, 1, 7, 0, "one\n");
    bad->head[1] = 1;  // it says that it is gzip
    hop.append(bad);
    hop.must_be_rejected(proto::Reject::CORRUPT);
    BOOST_TEST(hop.got.refusals.size() == 1u);
  }
  {
    PaperSpool paper;
    AgentHop hop(paper);
    hop.open();
    auto bad = make_batch(1, 0, 1, 7, 0, "one\n");
    bad->payload[0] ^= 1;
    hop.append(bad);
    hop.must_be_rejected(proto::Reject::CORRUPT);
    hop.append(good);  // nothing more is listened to
    BOOST_TEST(hop.answers().frames.empty());
    BOOST_TEST(paper.spool.tables().streams.at(1).next.seq == 0u);
  }
  for (int kind = 0; kind < 7; ++kind) {
    PaperSpool paper;
    AgentHop hop(paper);
    hop.open();
    Frame frame{FrameType::append, 0, good->head, good->payload};
    switch (kind) {
      case 0: frame.header.pop_back(); break;
      case 1: frame.payload += "x"; break;
      case 2: frame.header.clear(); break;
      case 3: frame = Frame{FrameType::ack, 0, {}, {}}; break;
      case 4: frame.flags = 2; break;
      case 5: frame = Frame{FrameType::stream_def, 0, "\xff\xff", {}}; break;
      case 6: frame = Frame{FrameType::ping, 0, {}, "payload"}; break;
    }
    hop.session.frame(frame, paper.now_ms);
    BOOST_TEST_CONTEXT("kind " << kind) {
      hop.answers();
      BOOST_TEST(hop.got.close);
      BOOST_TEST(hop.count(FrameType::reject) == 1u);
      BOOST_TEST(paper.spool.tables().streams.at(1).next.seq == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_batch_of_an_unknown_stream_or_file_is_a_breach) {
  for (const bool file : {false, true}) {
    PaperSpool paper;
    AgentHop hop(paper);
    hop.open();
    hop.append(file ? make_batch(1, 0, 1, 8, 0, "one\n") : make_batch(2, 0, 1, 7, 0, "one\n"));
    hop.must_be_rejected(proto::Reject::PROTOCOL);
  }
}

BOOST_AUTO_TEST_CASE(who_connects_must_be_an_agent_and_begin_with_hello) {
  PaperSpool paper;
  {
    AgentHop hop(paper);
    proto::Hello h;
    h.set_role(proto::ROLE_LOCAL);
    hop.send(FrameType::hello, h);
    hop.must_be_rejected(proto::Reject::PROTOCOL);
  }
  AgentHop hop(paper);
  hop.stream(1, "web");
  hop.must_be_rejected(proto::Reject::PROTOCOL);
}

BOOST_AUTO_TEST_CASE(bad_and_too_many_categories_are_refused_while_the_others_go_on) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  hop.stream(2, "../etc");
  hop.answers();
  BOOST_REQUIRE_EQUAL(hop.count(FrameType::reject), 1u);
  BOOST_TEST(hop.said<proto::Reject>(FrameType::reject)[0].code() == proto::Reject::CATEGORY);
  BOOST_TEST(hop.said<proto::Reject>(FrameType::reject)[0].stream() == 2u);
  BOOST_TEST(!hop.got.close);
  hop.append(make_batch(2, 0, 1, 7, 0, "one\n"));  // was on its way
  BOOST_TEST(hop.answers().frames.empty());
  BOOST_TEST(hop.session.lines_refused().at("_other") == 1u);
  for (StreamId id = 10; id < 10 + kMostCategories - 1; ++id)
    hop.stream(id, "c" + std::to_string(id));
  BOOST_TEST(hop.answers().frames.empty());
  hop.stream(5'000, "one-too-many");
  hop.answers();
  BOOST_TEST(hop.count(FrameType::reject) == 1u);
  BOOST_TEST(!hop.got.close);
  hop.append(make_batch(1, 0, 1, 7, 0, "one\n"));
  hop.commit();
  hop.answers();
  BOOST_TEST(hop.count(FrameType::ack) == 1u);
}

BOOST_AUTO_TEST_CASE(definitions_may_be_repeated_but_not_changed) {
  {
    PaperSpool paper;
    AgentHop hop(paper);
    hop.open();
    hop.append(make_batch(1, 0, 1, 7, 0, "one\n"));
    hop.stream(1, "web");
    hop.file(7, "/var/log/web.log");
    hop.file(7, "/var/log/web.log.1");  // renamed
    BOOST_TEST(hop.answers().frames.empty());
    BOOST_TEST(paper.spool.tables().files.at(7).path == "/var/log/web.log.1");
    BOOST_TEST(paper.spool.tables().files.at(7).next == 4u);
    hop.append(make_batch(1, 1, 1, 7, 4, "two\n"));
    hop.commit();
    hop.answers();
    BOOST_TEST(hop.said<proto::Ack>(FrameType::ack).at(0).next_seq() == 2u);
    hop.stream(1, "other");
    hop.must_be_rejected(proto::Reject::PROTOCOL);
  }
  {
    PaperSpool paper;
    AgentHop hop(paper);
    hop.open();
    hop.file(7, "/var/log/web.log", 4711);
    hop.must_be_rejected(proto::Reject::PROTOCOL);
  }
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  hop.stream(2, "web");
  hop.must_be_rejected(proto::Reject::PROTOCOL);
}

BOOST_AUTO_TEST_CASE(gone_files_are_forgotten_and_gaps_recorded) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  proto::FileGap gap;
  gap.set_file(7);
  gap.set_start(0);
  gap.set_end(UINT64_MAX);
  gap.set_reason("copytruncate");
  hop.send(FrameType::file_gap, gap);
  proto::FileGone gone;
  gone.set_file(7);
  hop.send(FrameType::file_gone, gone);
  hop.send(FrameType::file_gone, gone);  // twice is no harm
  BOOST_TEST(hop.answers().frames.empty());
  BOOST_TEST(!paper.spool.tables().files.contains(7));
  hop.send(FrameType::file_gap, gap);
  hop.must_be_rejected(proto::Reject::PROTOCOL);
}

BOOST_AUTO_TEST_CASE(flush_is_passed_on_and_pushes) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  hop.stream(2, "db");
  hop.send(FrameType::flush, proto::Flush());
  BOOST_TEST(hop.session.pushes());
  hop.answers();
  BOOST_TEST(hop.got.flush);
  BOOST_TEST((hop.got.flush_streams == std::vector<StreamId>{1, 2}));
  proto::Flush one;
  one.add_streams(2);
  one.add_streams(99);
  hop.send(FrameType::flush, one);
  hop.answers();
  BOOST_TEST((hop.got.flush_streams == std::vector<StreamId>{2}));
}

BOOST_AUTO_TEST_CASE(pings_are_sent_and_answered_and_silence_ends_it) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  const int64_t t0 = paper.now_ms;
  hop.send(FrameType::ping);
  BOOST_TEST(hop.answers().frames.size() == 1u);
  BOOST_TEST((hop.got.frames[0].type == FrameType::pong));
  hop.session.tick(true, t0 + 4'999);
  BOOST_TEST(hop.answers().frames.empty());
  hop.session.tick(true, t0 + 5'000);
  BOOST_TEST((hop.answers().frames.at(0).type == FrameType::ping));
  paper.now_ms = t0 + 14'000;
  hop.send(FrameType::pong);
  hop.session.tick(true, t0 + 28'999);
  BOOST_TEST(!hop.answers().close);
  hop.session.tick(false, t0 + 60'000);  // it was not read, so it may have spoken
  BOOST_TEST(!hop.answers().close);
  hop.session.tick(true, t0 + 75'000);
  BOOST_TEST(hop.answers().close);
}

BOOST_AUTO_TEST_CASE(committed_positions_are_forwarded) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.session.committed({{0xABCD, 1, {3, 4}}});  // before the welcome: the tables will tell
  BOOST_TEST(hop.answers().frames.empty());
  hop.open();
  hop.session.committed({{0xABCD, 1, {5, 6}}, {0xEF, 2, {7, 8}}});
  hop.answers();
  const auto committed = hop.said<proto::Committed>(FrameType::committed).at(0);
  BOOST_REQUIRE_EQUAL(committed.positions_size(), 2);
  BOOST_TEST(committed.positions(0).sink() == hex16(0xABCD));
  BOOST_TEST(committed.positions(0).seq() == 5u);
  BOOST_TEST(committed.positions(1).stream() == 2u);
}

BOOST_AUTO_TEST_CASE(of_several_commits_at_once_the_furthest_is_told) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  hop.session.committed({{0xABCD, 1, {5, 6}}, {0xABCD, 2, {1, 2}}, {0xABCD, 1, {9, 10}}});
  hop.answers();
  const auto committed = hop.said<proto::Committed>(FrameType::committed).at(0);
  BOOST_REQUIRE_EQUAL(committed.positions_size(), 2);
  BOOST_TEST(committed.positions(0).seq() == 9u);
  BOOST_TEST(committed.positions(0).chain() == 10u);
  BOOST_TEST(committed.positions(1).seq() == 1u);
}

// A small payload is copied out of the frame, a large one taken: no large buffer is kept for it.
BOOST_AUTO_TEST_CASE(a_small_batch_does_not_keep_a_large_buffer) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  const auto batch = make_batch(1, 0, 1, 7, 0, "one\n");
  Frame frame{FrameType::append, 0, batch->head, {}};
  frame.payload.reserve(1u << 20);
  frame.payload = batch->payload;
  hop.session.frame(frame, paper.now_ms);
  paper.commit_all();
  const auto place = paper.spool.find(1, 0);
  BOOST_REQUIRE(place && place->batch);
  BOOST_TEST(place->batch->payload.capacity() < 64u << 10);
  BOOST_TEST(frame.payload.capacity() >= 1u << 20);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
