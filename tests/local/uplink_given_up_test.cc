// An uplink, and a sink that is not required.
#include <boost/test/unit_test.hpp>

#include "local/uplink.h"
#include "tests/local/uplink_hands.h"

namespace tailrace {
namespace {

using test::Filled;
using test::kSinkName;
using test::UplinkHop;

BOOST_AUTO_TEST_SUITE(uplink_given_up)

// Its Center hears of a gap, and what it had got of that before is counted.
BOOST_AUTO_TEST_CASE(a_sink_that_is_not_required_is_told_what_was_given_up) {
  const SpoolOptions options = test::eight_segments();
  Filled paper(options);
  const Position first = paper.add(1);
  UplinkHop hop(paper, {"c1", "h", "1", 4u << 20, options.quota_bytes});
  hop.connect();
  auto w = hop.welcome_message({UplinkHop::at(1, {})});
  test::name_sink(w, hex16(0xBEEF), false);
  hop.say(FrameType::welcome, w);
  BOOST_TEST(!paper.spool.required(0xBEEF));
  hop.credit("web", 1u << 30);
  while (paper.spool.settled(0xBEEF, 1).seq < 20) {
    BOOST_REQUIRE(paper.add(1, 300).seq < 1'000);
    hop.pump();
    hop.commit(1, paper.spool.durable(1));
    paper.commit_all();
  }
  BOOST_TEST(hop.all.lines_committed ==
             paper.spool.durable(1).seq);  // at the one that must have it
  BOOST_TEST(hop.all.lines_lost.empty());
  const Position kept = paper.spool.settled(0xBEEF, 1);
  // Room comes without the one that must have all: its Center need not hurry.
  paper.add(1);
  hop.pump();
  hop.sent.clear();
  for (int i = 0; i < 6; ++i) hop.uplink.tick(paper.now_ms += 1'000);
  hop.pump();
  std::map<std::string, uint32_t> percent;
  for (const Outgoing& out : hop.sent)
    if (out.type == FrameType::ping)
      for (const auto& back : dynamic_cast<const proto::Ping&>(*out.message).held_back())
        percent[back.sink()] = back.percent();
  BOOST_TEST(percent.at(kSinkName) == 0u);
  BOOST_TEST(percent.at(hex16(0xBEEF)) > 70u);
  hop.sent.clear();
  proto::SinkStreamPosition p = UplinkHop::at(1, first);
  p.set_sink(hex16(0xBEEF));
  proto::Committed committed;
  *committed.add_positions() = p;
  hop.say(FrameType::committed, committed);
  BOOST_TEST(hop.all.held() == "");
  proto::Credit c;
  c.set_category("web");
  c.set_sink(hex16(0xBEEF));
  c.set_bytes(1u << 30);
  hop.say(FrameType::credit, c);
  size_t gaps = 0;
  for (const Outgoing& out : hop.sent)
    if (out.type == FrameType::gap) {
      const auto& gap = dynamic_cast<const proto::Gap&>(*out.message);
      ++gaps;
      BOOST_TEST(gap.first_seq() == first.seq);
      BOOST_TEST(gap.first_seq() + gap.count() == kept.seq);
      BOOST_TEST(gap.chain_after() == kept.chain);
      BOOST_TEST(gap.sinks_size() == 1);
    }
  BOOST_TEST(gaps == 1u);
  BOOST_REQUIRE(!hop.data().empty());
  BOOST_TEST(hop.data().front().second == kept.seq);
  p = UplinkHop::at(1, paper.spool.durable(1));
  p.set_sink(hex16(0xBEEF));
  *committed.mutable_positions(0) = p;
  hop.say(FrameType::committed, committed);
  BOOST_TEST(hop.all.held() == "");
  BOOST_TEST((paper.spool.cursor(0xBEEF, 1) == paper.spool.durable(1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
