// What an agent says of spools that are gone.
#include <boost/test/unit_test.hpp>

#include "local/agent_session.h"
#include "tests/local/agent_hands.h"

namespace tailrace {
namespace {

using test::AgentHop;
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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
