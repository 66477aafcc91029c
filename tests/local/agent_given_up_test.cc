// An agent, and a sink that is not required.
#include <boost/test/unit_test.hpp>
#include <optional>

#include "base/random.h"
#include "tests/local/agent_hands.h"

namespace tailrace {
namespace {

using test::AgentHop;
using test::make_batch;
using test::PaperSpool;

BOOST_AUTO_TEST_SUITE(agent_given_up)

// It need not keep them any more, and is told that the sink has not got them.
BOOST_AUTO_TEST_CASE(what_is_given_up_for_a_sink_is_told) {
  PaperSpool paper(test::eight_segments());
  AgentHop hop(paper);
  hop.open();
  paper.spool.add_sink(0xA, 0);
  paper.spool.add_sink(0xB, 0);
  paper.spool.set_required(0xB, false);
  hop.commit();
  uint64_t at = 0;
  std::optional<proto::SinkStreamPosition> told;
  const auto look = [&] {
    hop.answers();
    for (const auto& committed : hop.said<proto::Committed>(FrameType::committed))
      for (const auto& p : committed.positions())
        if (p.sink() == hex16(0xB) && p.given_up()) told = p;
  };
  for (uint64_t seq = 0; !told; ++seq, at += 301) {
    BOOST_REQUIRE(seq < 500);
    hop.append(make_batch(1, seq, 1, 7, at, std::string(300, 'x') + "\n"));
    hop.commit();
    BOOST_REQUIRE(paper.spool.advance_cursor(0xA, 1, paper.spool.durable(1), 0));
    hop.commit();
    look();
  }
  BOOST_TEST(told->seq() == paper.spool.settled(0xB, 1).seq);
  BOOST_TEST(told->chain() == paper.spool.settled(0xB, 1).chain);
  told.reset();
  hop.session.committed({{0xA, 1, paper.spool.cursor(0xA, 1)}});
  look();
  BOOST_TEST(told.has_value());  // beside another's

  AgentHop again(paper);
  again.hello();
  again.answers();
  const auto welcome = again.said<proto::LocalWelcome>(FrameType::welcome).at(0);
  BOOST_REQUIRE_EQUAL(welcome.committed_size(), 2);
  BOOST_TEST(!welcome.committed(0).given_up());
  BOOST_TEST(welcome.committed(1).given_up());
  BOOST_TEST(welcome.committed(1).seq() == paper.spool.settled(0xB, 1).seq);
}

// A commit that is told late is no gap up to where the cursor is now.
BOOST_AUTO_TEST_CASE(what_is_committed_is_not_given_up) {
  PaperSpool paper;
  AgentHop hop(paper);
  hop.open();
  paper.spool.add_sink(0xA, 0);
  std::vector<Position> ends;
  for (uint64_t seq = 0; seq < 2; ++seq) {
    hop.append(make_batch(1, seq, 1, 7, 2 * seq, "x\n"));
    hop.commit();
    ends.push_back(paper.spool.durable(1));
    BOOST_REQUIRE(paper.spool.advance_cursor(0xA, 1, ends.back(), 0));
  }
  hop.answers();
  hop.session.committed({{0xA, 1, ends[0]}});
  hop.answers();
  const auto committed = hop.said<proto::Committed>(FrameType::committed).at(0);
  BOOST_TEST(committed.positions(0).seq() == 1u);
  BOOST_TEST(!committed.positions(0).given_up());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
