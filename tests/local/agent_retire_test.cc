// What an agent says of spools that are gone.
#include <boost/test/unit_test.hpp>

#include "base/random.h"
#include "local/agent_session.h"
#include "tests/local/agent_hands.h"

namespace tailrace {
namespace {

using test::AgentHop;
using test::make_batch;
using test::PaperSpool;

BOOST_AUTO_TEST_SUITE(agent_retire)

BOOST_AUTO_TEST_CASE(a_spool_that_was_given_up_is_set_aside) {
  PaperSpool paper;
  AgentHop hop(paper);
  proto::Hello h;
  h.set_role(proto::ROLE_AGENT);
  h.add_given_up(paper.spool.local_id() + 1);
  h.add_given_up(paper.spool.local_id());
  hop.send(FrameType::hello, h);
  hop.answers();
  BOOST_TEST(hop.got.set_aside);
  BOOST_TEST(hop.got.close);
  BOOST_TEST(hop.count(FrameType::welcome) == 0u);
  AgentHop other(paper);
  h.clear_given_up();
  h.add_given_up(paper.spool.local_id() + 1);
  other.send(FrameType::hello, h);
  other.answers();
  BOOST_TEST(!other.got.set_aside);
  BOOST_TEST(other.count(FrameType::welcome) == 1u);
}

BOOST_AUTO_TEST_CASE(retire_is_passed_on_and_answered) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  proto::Retire r;
  r.set_local_id(77);
  r.set_category("web");
  r.set_sub(3);
  hop.send(FrameType::retire, r);
  hop.answers();
  BOOST_REQUIRE_EQUAL(hop.got.retires.size(), 1u);
  BOOST_TEST(hop.got.retires[0].local_id == 77u);
  hop.session.retired({{77, "web", 3, 12}});
  hop.answers();
  const auto said = hop.said<proto::Retired>(FrameType::retired).at(0);
  BOOST_TEST(said.local_id() == 77u);
  BOOST_TEST(said.sub() == 3u);
  BOOST_TEST(said.position().seq() == 12u);
  r.set_local_id(paper.spool.local_id());  // the one that stands here
  hop.send(FrameType::retire, r);
  hop.must_be_rejected(proto::Reject::PROTOCOL);
}

BOOST_AUTO_TEST_CASE(each_sinks_final_goes_to_an_agent_that_asked_for_them) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  proto::Retire r;
  r.set_local_id(77);
  r.set_category("web");
  r.set_each_sink(true);
  hop.send(FrameType::retire, r);
  hop.answers();
  BOOST_TEST(hop.got.retires.at(0).each_sink);
  RetiredStream answer{77, "web", 0, 3};
  answer.finals = {{0xA, 3}, {0xB, 5}};
  hop.session.retired({answer});
  hop.answers();
  const auto said = hop.said<proto::Retired>(FrameType::retired).at(0);
  BOOST_TEST(said.position().seq() == 3u);
  BOOST_REQUIRE_EQUAL(said.finals_size(), 2);
  BOOST_TEST(said.finals(1).sink() == hex16(0xB));
  BOOST_TEST(said.finals(1).seq() == 5u);
}

proto::StreamDef ahead(StreamId stream, const std::string& category) {
  proto::StreamDef def;
  def.set_stream(stream);
  def.set_category(category);
  def.add_ahead(hex16(0xB));
  return def;
}

proto::Origin origin(StreamId stream, uint64_t seq, const std::string& sink = hex16(0xB)) {
  proto::Origin said;
  said.set_stream(stream);
  said.set_sink(sink);
  said.set_seq(seq);
  return said;
}

BOOST_AUTO_TEST_CASE(a_sink_that_is_ahead_waits_for_its_origin) {
  PaperSpool paper;
  paper.spool.add_sink(0xA, paper.now_ms);
  {
    AgentHop hop(paper);
    hop.open();
    hop.send(FrameType::stream_def, ahead(1, "web"));
    hop.file(7, "/web");
    hop.append(make_batch(1, 0, 2, 7, 0, "a\nb\n"));
    hop.commit();
  }
  AgentHop hop(paper);
  hop.hello();
  hop.commit();
  hop.answers();
  const auto welcome = hop.said<proto::LocalWelcome>(FrameType::welcome).at(0);
  BOOST_REQUIRE_EQUAL(welcome.streams(0).waits_size(), 1);
  BOOST_TEST(welcome.streams(0).waits(0) == hex16(0xB));
  for (const proto::SinkStreamPosition& p : welcome.committed()) BOOST_TEST(p.sink() == hex16(0xA));
  hop.send(FrameType::origin, origin(1, 2));
  hop.answers();
  BOOST_REQUIRE_EQUAL(hop.got.origins.size(), 1u);
  BOOST_TEST(hop.got.origins[0].sink == 0xBu);
  BOOST_TEST(hop.got.origins[0].at.seq == 2u);
  const auto committed = hop.said<proto::Committed>(FrameType::committed).at(0);
  BOOST_TEST(committed.positions(1).sink() == hex16(0xB));
  BOOST_TEST(committed.positions(1).seq() == 2u);
  hop.send(FrameType::origin, origin(1, 2));  // again: it is known
  hop.answers();
  BOOST_TEST(hop.got.origins.empty());
  BOOST_TEST(!hop.got.close);
}

// Nothing is final before it is known for whom.
BOOST_AUTO_TEST_CASE(an_origin_is_no_position_while_other_sinks_are_unknown) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.hello();
  hop.answers();
  hop.send(FrameType::stream_def, ahead(1, "web"));
  hop.file(7, "/web");
  hop.append(make_batch(1, 0, 2, 7, 0, "a\nb\n"));
  hop.commit();
  hop.send(FrameType::origin, origin(1, 2));
  hop.answers();
  BOOST_TEST(hop.got.origins.size() == 1u);
  BOOST_TEST(hop.count(FrameType::committed) == 0u);
  hop.commit();
  const auto positions = [&paper] {
    AgentHop next(paper);
    next.hello();
    next.commit();
    next.answers();
    return next.said<proto::LocalWelcome>(FrameType::welcome).at(0).committed_size();
  };
  BOOST_TEST(positions() == 0);
  paper.spool.add_sink(0xA, paper.now_ms);  // a Center names them
  paper.spool.add_sink(0xB, paper.now_ms);
  BOOST_TEST(positions() == 2);
}

BOOST_AUTO_TEST_CASE(what_is_no_origin_ends_the_connection) {
  for (int kind = 0; kind < 5; ++kind) {
    PaperSpool paper;
    paper.spool.add_sink(0xA, paper.now_ms);
    AgentHop hop(paper);
    hop.open();
    hop.send(FrameType::stream_def, ahead(1, "web"));
    hop.stream(2, "db");
    hop.file(7, "/web");
    hop.append(make_batch(1, 0, 2, 7, 0, "a\nb\n"));
    hop.append(make_batch(2, 0, 1, 7, 4, "c\n"));
    switch (kind) {
      case 0: hop.send(FrameType::origin, origin(1, 1)); break;  // no batch ends there
      case 1: hop.send(FrameType::origin, origin(9, 2)); break;  // nor is that a stream
      case 2: hop.send(FrameType::origin, origin(1, 2, "")); break;
      case 3: hop.send(FrameType::stream_def, ahead(2, "db")); break;  // too late
      case 4: {
        proto::StreamDef def = ahead(3, "app");
        def.set_ahead(0, "no sink");
        hop.send(FrameType::stream_def, def);
        break;
      }
    }
    BOOST_TEST_CONTEXT("kind " << kind) { hop.must_be_rejected(proto::Reject::PROTOCOL); }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
