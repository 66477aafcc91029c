// A Local's sessions with several Centers: which are made, which are given up, what follows a
// REDIRECT.
#include "local/uplinks.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>

#include "control.pb.h"
#include "flow/connection.h"
#include "tests/local/uplink_hands.h"

namespace tailrace::test {
namespace {

struct Ways {
  explicit Ways(std::vector<std::string> seeds)
      : uplinks(paper.spool, {"c1", "h", "1", 4u << 20, 20ull << 30}, std::move(seeds)) {}

  std::vector<std::string> due() {
    std::vector<std::string> due = uplinks.connect(paper.now_ms);
    std::sort(due.begin(), due.end());
    return due;
  }
  std::vector<Outgoing> take(const std::string& address) {
    uplinks.pump(address, 0, paper.now_ms);
    uplinks.take(address, got);
    return std::move(got.frames);
  }
  void say(const std::string& address, FrameType type,
           const google::protobuf::MessageLite& message) {
    Frame frame{type, 0, message.SerializeAsString(), {}};
    uplinks.frame(address, frame, paper.now_ms);
  }
  void meet(const std::string& address, std::vector<Position> owned = {}) {
    uplinks.connected(address, paper.now_ms);
    static_cast<void>(take(address));
    proto::Welcome w;
    w.set_center(address);
    w.set_cluster("c1");
    name_sink(w, kSinkName);
    for (const Position& p : owned) *w.add_positions() = UplinkHop::at(1, p);
    say(address, FrameType::welcome, w);
  }
  void redirect(const std::string& from, const std::string& to, uint32_t parts = 1,
                uint32_t part = 0) {
    proto::Redirect r;
    r.set_sink(kSinkName);
    r.set_category("web");
    r.set_parts(parts);
    r.set_part(part);
    r.set_address(to);
    say(from, FrameType::redirect, r);
  }
  size_t batches(const std::vector<Outgoing>& frames) {
    return static_cast<size_t>(std::count_if(
        frames.begin(), frames.end(), [](const Outgoing& f) { return f.type == FrameType::data; }));
  }
  void later(int64_t ms) {
    for (int64_t end = paper.now_ms + ms; paper.now_ms < end; paper.now_ms += 1'000)
      uplinks.tick(paper.now_ms);
  }

  Filled paper;
  Uplinks uplinks;
  UplinkActions got;
};

using Addresses = std::vector<std::string>;

BOOST_AUTO_TEST_CASE(one_seed_is_asked_at_a_time_the_next_one_when_it_does_not_answer) {
  Ways road({"a", "b", "c"});
  BOOST_TEST((road.due() == Addresses{"a"}));
  BOOST_TEST(road.due().empty());  // under way
  road.uplinks.disconnected("a", "refused", 0, road.paper.now_ms);
  BOOST_TEST((road.due() == Addresses{"b"}));
  road.uplinks.disconnected("b", "refused", 0, road.paper.now_ms);
  BOOST_TEST((road.due() == Addresses{"c"}));
  road.uplinks.disconnected("c", "refused", 0, road.paper.now_ms);
  BOOST_TEST(road.due().empty());  // "a" waits a little
  const int64_t due_ms = road.uplinks.connect_due_ms(road.paper.now_ms);
  BOOST_REQUIRE(due_ms > 0);
  road.paper.now_ms += due_ms;
  BOOST_TEST((road.due() == Addresses{"a"}));
}

BOOST_AUTO_TEST_CASE(of_other_centers_it_hears_by_pong) {
  Ways road({"a"});
  static_cast<void>(road.due());
  road.meet("a");
  proto::Pong pong;
  for (const char* center : {"a", "b", ""}) pong.add_centers(center);
  pong.add_centers(std::string(300, 'x'));
  road.say("a", FrameType::pong, pong);
  static_cast<void>(road.take("a"));
  BOOST_TEST(road.due().empty());  // one is enough
  road.uplinks.disconnected("a", "gone", 0, road.paper.now_ms);
  BOOST_TEST((road.due() == Addresses{"b"}));
  road.uplinks.disconnected("b", "gone", 0, road.paper.now_ms);
  BOOST_TEST(road.due().empty());
  road.paper.now_ms += 5'000;
  BOOST_TEST((road.due() == Addresses{"a"}));
}

BOOST_AUTO_TEST_CASE(without_seeds_it_waits_until_a_list_names_some) {
  Ways road({});
  BOOST_TEST(road.due().empty());
  road.later(60'000);
  BOOST_TEST(road.uplinks.connect_due_ms(road.paper.now_ms) == -1);
  road.uplinks.learn({}, road.paper.now_ms);
  BOOST_TEST(road.due().empty());
  road.uplinks.learn({"a", "b"}, road.paper.now_ms);
  const Addresses first = road.due();
  BOOST_REQUIRE(first.size() == 1);
  road.uplinks.disconnected(first.front(), "refused", 0, road.paper.now_ms);
  const Addresses second = road.due();
  BOOST_REQUIRE(second.size() == 1);
  BOOST_TEST(first != second);
  road.meet(second.front());
  road.uplinks.learn({"c"}, road.paper.now_ms);
  BOOST_TEST(road.due().empty());  // one is enough
  road.uplinks.disconnected(second.front(), "gone", 0, road.paper.now_ms);
  BOOST_TEST((road.due() == Addresses{"c"}));
  BOOST_TEST((road.uplinks.known() == Addresses{"c"}));
}

BOOST_AUTO_TEST_CASE(a_kept_list_does_not_overtake_the_seeds) {
  Ways road({"a"});
  road.uplinks.learn({"b", "c"}, road.paper.now_ms);
  BOOST_TEST((road.due() == Addresses{"a"}));
  road.uplinks.disconnected("a", "refused", 0, road.paper.now_ms);
  BOOST_TEST(road.due().size() == 1u);
}

BOOST_AUTO_TEST_CASE(not_all_locals_go_to_the_same_center_when_theirs_dies) {
  std::map<std::string, int> chosen;
  for (uint64_t local_id = 1; local_id <= 60; ++local_id) {
    PaperSpool paper({}, local_id);
    Uplinks uplinks(paper.spool, {"c1", "h", "1", 4u << 20, 20ull << 30}, {"a"});
    uplinks.learn({"b", "c", "d", "e"}, paper.now_ms);
    ++chosen[uplinks.known().at(1)];
  }
  BOOST_TEST(chosen.size() == 4u);
}

BOOST_AUTO_TEST_CASE(seeds_stay_whatever_a_list_says) {
  Ways road({"a"});
  road.uplinks.learn({"b"}, road.paper.now_ms);
  BOOST_TEST((road.uplinks.known() == Addresses{"a", "b"}));
}

BOOST_AUTO_TEST_CASE(a_redirect_is_followed_and_given_up_when_nobody_there_owns_anything) {
  Ways road({"a"});
  static_cast<void>(road.due());
  road.meet("a");
  road.redirect("a", "b");
  static_cast<void>(road.take("a"));
  BOOST_TEST((road.due() == Addresses{"b"}));
  road.meet("b");
  road.later(29'000);
  BOOST_TEST(road.uplinks.knows("b"));
  road.later(5'000);
  UplinkActions leaving;
  road.uplinks.take("b", leaving);
  BOOST_TEST(leaving.close);
  road.uplinks.disconnected("b", "", 0, road.paper.now_ms);
  road.later(1'000);
  BOOST_TEST(!road.uplinks.knows("b"));
  BOOST_TEST(road.uplinks.knows("a"));
}

BOOST_AUTO_TEST_CASE(lines_go_to_whoever_named_a_position_last) {
  Ways road({"a"});
  road.paper.add(1);
  static_cast<void>(road.due());
  road.meet("a");
  BOOST_TEST(road.batches(road.take("a")) == 0u);  // it owns nothing
  road.redirect("a", "b");
  static_cast<void>(road.take("a"));
  static_cast<void>(road.due());
  road.meet("b", {{}});
  proto::Credit credit;
  credit.set_sink(kSinkName);
  credit.set_category("web");
  credit.set_bytes(1 << 20);
  road.say("b", FrameType::credit, credit);
  BOOST_TEST(road.batches(road.take("b")) == 1u);
  BOOST_TEST(road.batches(road.take("a")) == 0u);
  road.redirect("b", "a");  // it gave the lane away
  static_cast<void>(road.take("b"));
  road.say("a", FrameType::credit, credit);
  BOOST_TEST(road.batches(road.take("a")) == 0u);
  proto::Committed committed;
  *committed.add_positions() = UplinkHop::at(1, {});
  road.say("a", FrameType::committed, committed);
  BOOST_TEST(road.batches(road.take("a")) == 1u);
  BOOST_TEST(road.batches(road.take("b")) == 0u);
}

// Of a category in parts only the part that is named goes.
BOOST_AUTO_TEST_CASE(a_redirect_of_a_part_concerns_its_streams_alone) {
  for (const uint32_t parts : {8u, 64u}) {
    Ways road({"a"});
    road.paper.add(1);
    static_cast<void>(road.due());
    road.meet("a", {{}});
    proto::Credit credit;
    credit.set_sink(kSinkName);
    credit.set_category("web");
    credit.set_bytes(1 << 20);
    road.say("a", FrameType::credit, credit);
    const uint32_t mine = lane_part({road.paper.spool.local_id(), 0}, static_cast<uint8_t>(parts));
    road.redirect("a", "b", parts, (mine + 1) % parts);
    BOOST_TEST(road.batches(road.take("a")) == 1u);
    road.paper.add(1);
    road.redirect("a", "b", parts, mine);
    BOOST_TEST(road.batches(road.take("a")) == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_center_that_names_ten_thousand_others_costs_little) {
  Ways road({"a"});
  static_cast<void>(road.due());
  road.meet("a");
  for (int i = 0; i < 10'000; ++i) road.redirect("a", "host" + std::to_string(i));
  static_cast<void>(road.take("a"));
  BOOST_TEST(road.uplinks.addresses().size() <= 1'000u);
}

proto::Retired retired(uint64_t id, uint64_t seq, const std::string& sink = kSinkName) {
  proto::Retired r;
  r.set_local_id(id);
  r.set_category("web");
  r.mutable_position()->set_sink(sink);
  r.mutable_position()->set_seq(seq);
  return r;
}

size_t retires(const std::vector<Outgoing>& frames) {
  return static_cast<size_t>(std::count_if(
      frames.begin(), frames.end(), [](const Outgoing& f) { return f.type == FrameType::retire; }));
}

BOOST_AUTO_TEST_CASE(what_is_final_of_a_lost_spool_is_asked_of_all_until_one_answers) {
  Ways road({"a"});
  static_cast<void>(road.due());
  road.meet("a");
  road.uplinks.retire(77, "web", 0, true);
  road.uplinks.retire(77, "web", 0, true);  // the agent came again
  road.later(4'000);
  const size_t asked = retires(road.take("a"));
  BOOST_TEST(asked >= 1u);
  BOOST_TEST(asked <= 2u);
  road.redirect("a", "b");
  static_cast<void>(road.take("a"));
  static_cast<void>(road.due());
  road.meet("b");
  road.later(4'000);
  BOOST_TEST(retires(road.take("b")) >= 1u);
  road.say("b", FrameType::retired, retired(78, 5));  // nobody asked
  static_cast<void>(road.take("b"));
  BOOST_TEST(road.got.retired.empty());
  road.say("b", FrameType::retired, retired(77, 5));
  static_cast<void>(road.take("b"));
  BOOST_REQUIRE_EQUAL(road.got.retired.size(), 1u);
  BOOST_TEST(road.got.retired[0].seq == 5u);
  road.say("a", FrameType::retired, retired(77, 5));  // it was told already
  static_cast<void>(road.take("a"));                  // what was asked before
  road.later(4'000);
  BOOST_TEST(retires(road.take("a")) == 0u);
  BOOST_TEST(road.got.retired.empty());
}

struct TwoSinks {
  TwoSinks() {
    static_cast<void>(road.due());
    road.uplinks.connected("a", road.paper.now_ms);
    static_cast<void>(road.take("a"));
    proto::Welcome w;
    w.set_center("a");
    w.set_cluster("c1");
    name_sink(w, kSinkName);
    name_sink(w, kOther);
    road.say("a", FrameType::welcome, w);
  }
  Ways road{{"a"}};
  const char* const kOther = "00000000000000aa";
};

BOOST_FIXTURE_TEST_CASE(two_sinks_at_different_lines_are_no_answer_to_an_agent_of_before,
                        TwoSinks) {
  for (const uint64_t id : {77, 78}) road.uplinks.retire(id, "web", 0, false);
  for (const uint64_t id : {77, 78}) road.say("a", FrameType::retired, retired(id, 5));
  static_cast<void>(road.take("a"));
  BOOST_TEST(road.got.retired.empty());
  road.say("a", FrameType::retired, retired(77, 6, kOther));
  road.say("a", FrameType::retired, retired(78, 5, kOther));
  static_cast<void>(road.take("a"));
  BOOST_REQUIRE_EQUAL(road.got.retired.size(), 1u);
  BOOST_TEST(road.got.retired[0].local_id == 78u);
  BOOST_TEST(road.got.retired[0].finals.empty());
  BOOST_TEST(road.got.alarms.at(0).find("different lines at different sinks") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(each_sink_says_where_it_is, TwoSinks) {
  road.uplinks.retire(77, "web", 0, true);
  road.say("a", FrameType::retired, retired(77, 5));
  static_cast<void>(road.take("a"));
  BOOST_TEST(road.got.retired.empty());  // one of them has not said so yet
  road.say("a", FrameType::retired, retired(77, 3, kOther));
  static_cast<void>(road.take("a"));
  BOOST_REQUIRE_EQUAL(road.got.retired.size(), 1u);
  BOOST_TEST(road.got.retired[0].seq == 3u);
  const std::map<uint64_t, uint64_t> finals{{parse_hex16(kSinkName), 5}, {0xaa, 3}};
  BOOST_TEST((road.got.retired[0].finals == finals));
  BOOST_TEST(road.got.alarms.empty());
}

// Nor is it waited for much longer than for the others.
BOOST_FIXTURE_TEST_CASE(a_sink_that_is_not_required_need_not_say_where_it_is, TwoSinks) {
  road.paper.spool.set_required(parse_hex16(kOther), false);
  road.uplinks.retire(77, "web", 0, true);
  road.uplinks.retire(78, "web", 0, false);  // to this agent it cannot be said
  const auto wait = [&](int seconds) {
    for (int i = 0; i < seconds; i += 4) {
      road.later(4'000);
      road.say("a", FrameType::pong, proto::Pong());
      static_cast<void>(road.take("a"));
    }
  };
  wait(80);
  BOOST_TEST(road.got.retired.empty());  // the others have not said it either
  for (const uint64_t id : {77, 78}) road.say("a", FrameType::retired, retired(id, 5));
  wait(56);
  BOOST_TEST(road.got.retired.empty());
  for (int i = 0; i < 3 && road.got.retired.empty(); ++i) wait(4);
  BOOST_REQUIRE_EQUAL(road.got.retired.size(), 1u);
  BOOST_TEST(road.got.retired[0].seq == 5u);
  const std::map<uint64_t, uint64_t> finals{{parse_hex16(kSinkName), 5},
                                            {0xaa, RetiredStream::kUnknown}};
  BOOST_TEST((road.got.retired[0].finals == finals));
}

}  // namespace
}  // namespace tailrace::test
