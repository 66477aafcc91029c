#include "discovery/membership.h"

#include <boost/test/unit_test.hpp>

#include "tests/discovery/paper_zookeeper.h"

namespace tailrace {

using testing::PaperZooKeeper;

namespace {
constexpr int64_t kStranger = 77;
const std::string kCenters = "/root/tailrace/main/centers";

MembershipOptions options() {
  MembershipOptions out;
  out.settings.servers = *parse_zookeeper("zoo:2181/root");
  out.settings.cluster = "main";
  return out;
}

Member member(const std::string& name, uint64_t uuid) {
  Member out;
  out.cluster = "main";
  out.name = name;
  out.address = name + ":17410";
  out.version = "1";
  out.state_uuid = uuid;
  out.started_ms = 1'764'000'000'000;
  out.incarnations[5] = "1764000000000-000000000000000" + std::to_string(uuid);
  return out;
}

struct Rig : PaperZooKeeper {
  Rig() : PaperZooKeeper(options()) {
    machine.announce(me, now_ms);
    pass(1'000);
  }
  // Another Center's node; its name.
  std::string add(const Member& other, int nonce = 0) {
    const std::string name = member_node_name(other.name, static_cast<uint64_t>(nonce) + 1);
    put(kCenters + "/" + name, *other.encode(), kStranger);
    settle();
    return name;
  }
  [[nodiscard]] std::vector<std::string> mine() const {
    std::vector<std::string> out;
    for (const std::string& name : below(kCenters))
      if (center_of_node(name) == me.name) out.push_back(name);
    return out;
  }
  [[nodiscard]] const Presence& sees() const { return machine.presence(); }
  [[nodiscard]] bool gone(const Member& other) const {
    return sees().gone.contains(other.incarnations.at(5));
  }
  [[nodiscard]] size_t creates() const {
    return static_cast<size_t>(std::count_if(asked.begin(), asked.end(), [](const ZooRequest& r) {
      return r.kind == ZooRequest::Kind::create_ephemeral;
    }));
  }
  [[nodiscard]] bool was_said(const std::string& part) const {
    return std::any_of(said.begin(), said.end(), [&](const std::string& text) {
      return text.find(part) != std::string::npos;
    });
  }
  Member me = member("one", 1);
  Member other = member("two", 2);
};
}  // namespace

BOOST_AUTO_TEST_SUITE(membership)

BOOST_FIXTURE_TEST_CASE(the_first_makes_the_paths_and_its_node, Rig) {
  BOOST_TEST(nodes.contains("/root/tailrace/main/drain"));
  BOOST_REQUIRE(mine().size() == 1);
  const auto& node = nodes.at(kCenters + "/" + mine().front());
  BOOST_TEST(node.owner == owner());
  BOOST_TEST((*Member::decode(node.value) == me));
  BOOST_TEST(sees().fresh);
  BOOST_TEST(machine.status(now_ms).announced);
  BOOST_TEST(sees().members.size() == 1);
}

BOOST_FIXTURE_TEST_CASE(others_are_seen_as_they_come_and_go, Rig) {
  const std::string node = add(other);
  BOOST_TEST(sees().members.size() == 2);
  take(kCenters + "/" + node);
  settle();
  BOOST_TEST(sees().members.size() == 1);
  BOOST_TEST(!gone(other));
  pass(2'500);
  BOOST_TEST(!gone(other));
  pass(1'000);
  BOOST_TEST(gone(other));
  add(other, 1);
  BOOST_TEST(!gone(other));
}

BOOST_FIXTURE_TEST_CASE(nobody_is_called_gone_who_was_never_there, Rig) {
  pass(120'000);
  BOOST_TEST(sees().gone.empty());
}

BOOST_FIXTURE_TEST_CASE(who_vanished_while_one_was_away_has_a_session_longer, Rig) {
  const std::string node = add(other);
  disconnect();
  BOOST_TEST(!sees().fresh);
  take(kCenters + "/" + node);
  pass(2'000);
  reconnect();
  BOOST_TEST(sees().fresh);
  pass(12'500);
  BOOST_TEST(!gone(other));
  pass(1'000);
  BOOST_TEST(gone(other));
  disconnect();
  BOOST_TEST(sees().gone.empty());
  reconnect();
  BOOST_TEST(gone(other));  // that was decided
}

BOOST_FIXTURE_TEST_CASE(an_answer_lost_after_the_deed_makes_no_second_node, Rig) {
  take(kCenters + "/" + mine().front());
  const size_t before = creates();
  faults = {Fault::lost_after};
  pass(1'000);
  BOOST_TEST(creates() == before + 1);
  BOOST_TEST(mine().size() == 1);
  BOOST_TEST(machine.status(now_ms).announced);
}

BOOST_FIXTURE_TEST_CASE(an_answer_lost_before_the_deed_is_tried_again, Rig) {
  take(kCenters + "/" + mine().front());
  faults = {Fault::lost_before, Fault::lost_before};
  pass(1'000);
  BOOST_TEST(mine().size() == 1);
  BOOST_TEST(machine.status(now_ms).announced);
}

BOOST_FIXTURE_TEST_CASE(after_an_expiry_there_is_a_new_node_at_once, Rig) {
  const auto before = mine();
  end_session(true);
  pass(500);
  BOOST_REQUIRE(mine().size() == 1);
  BOOST_TEST(mine() != before);
  BOOST_TEST(nodes.at(kCenters + "/" + mine().front()).owner == owner());
}

BOOST_FIXTURE_TEST_CASE(a_node_of_an_earlier_session_goes_once_the_new_one_stands, Rig) {
  const std::string before = mine().front();
  const int64_t former = owner();
  disconnect();
  pass(7'000);  // two thirds of the time-out: as if it had expired
  BOOST_TEST(mine().size() == 1);
  reconnect();
  pass(1'000);
  BOOST_TEST(owner() != former);
  BOOST_REQUIRE(mine().size() == 1);
  BOOST_TEST(mine().front() != before);
  BOOST_TEST(nodes.at(kCenters + "/" + mine().front()).owner == owner());
}

BOOST_FIXTURE_TEST_CASE(a_node_of_a_dead_process_of_this_state_goes, Rig) {
  Member former = me;
  former.incarnations[5] = "1763000000000-00000000000000ff";
  add(former, 9);
  pass(500);
  BOOST_TEST(mine().size() == 1);
  add(other);
  pass(500);
  BOOST_TEST(sees().members.size() == 2);  // of others nothing is removed
}

BOOST_FIXTURE_TEST_CASE(what_changes_gets_a_node_before_the_old_one_goes, Rig) {
  const std::string before = mine().front();
  asked.clear();
  me.state = Member::State::draining;
  machine.announce(me, now_ms);
  settle();
  BOOST_REQUIRE(mine().size() == 1);
  BOOST_TEST(mine().front() != before);
  size_t made = 0, removed = 0;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (asked[i].kind == ZooRequest::Kind::create_ephemeral) made = i + 1;
    if (asked[i].kind == ZooRequest::Kind::remove) removed = i + 1;
  }
  BOOST_TEST(made > 0u);
  BOOST_TEST(made < removed);
}

BOOST_FIXTURE_TEST_CASE(a_missed_watch_is_made_good_within_the_list_of_each_minute, Rig) {
  watches_fire = false;
  add(other);
  BOOST_TEST(sees().members.size() == 1);
  pass(76'000);
  BOOST_TEST(sees().members.size() == 2);
}

BOOST_FIXTURE_TEST_CASE(wiped_it_is_all_made_again, Rig) {
  add(other);
  const auto all = nodes;
  for (const auto& [path, node] : all) take(path);
  settle();
  pass(6'000);
  BOOST_TEST(mine().size() == 1);
  BOOST_TEST(nodes.contains("/root/tailrace/main/drain"));
}

BOOST_FIXTURE_TEST_CASE(a_removed_node_of_ones_own_is_noticed_without_a_watch, Rig) {
  watches_fire = false;
  take(kCenters + "/" + mine().front());
  pass(5'000);
  BOOST_TEST(mine().size() == 1);
}

BOOST_FIXTURE_TEST_CASE(silence_for_two_thirds_of_the_time_out_is_taken_for_the_end, Rig) {
  add(other);
  const uint64_t before = session;
  reachable = false;  // nobody says so
  pass(6'000);
  BOOST_TEST(session == before);
  pass(1'500);
  BOOST_TEST(session > before);
  BOOST_TEST(!sees().fresh);
  BOOST_TEST(sees().members.size() == 2);  // what was known
  BOOST_TEST(sees().gone.empty());
  pass(6'000);
  BOOST_TEST(was_said("lines flow on"));
  reconnect();
  pass(1'000);
  BOOST_TEST(sees().fresh);
}

BOOST_FIXTURE_TEST_CASE(a_process_that_was_stopped_goes_on_as_a_new_session, Rig) {
  const uint64_t before = session;
  now_ms += 60'000;  // SIGSTOP
  pass(1'000);
  BOOST_TEST(session > before);
  BOOST_TEST(mine().size() == 1);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_centers_is_passed_over, Rig) {
  const auto plant = [&](const std::string& name, const std::string& value, int64_t owner_of) {
    put(kCenters + "/" + name, value, owner_of);
    settle();
  };
  Member elsewhere = other;
  elsewhere.cluster = "another";
  plant("two-0000000000000001", *elsewhere.encode(), kStranger);
  plant("two-0000000000000002", std::string(100'000, 'x'), kStranger);
  plant("two-0000000000000003", "{\"json\": true}", kStranger);
  plant("three-0000000000000004", *other.encode(), kStranger);
  plant("two-0000000000000005", *other.encode(), 0);  // it would never go
  plant("two", *other.encode(), kStranger);
  plant("two-0000000000000006", "", kStranger);
  BOOST_TEST(sees().fresh);
  BOOST_TEST(sees().members.size() == 1);
  BOOST_TEST(machine.status(now_ms).ignored == 7u);
  BOOST_TEST(was_said("of the cluster 'another'"));
  BOOST_TEST(was_said("not ephemeral"));
  const size_t before = said.size();
  pass(200'000);
  BOOST_TEST(said.size() == before);  // each is said once
}

BOOST_FIXTURE_TEST_CASE(the_operators_nodes_are_heard_and_kept_while_it_is_away, Rig) {
  put("/root/tailrace/main/paused", "", 0);
  put("/root/tailrace/main/drain/two", "", 0);
  settle();
  BOOST_TEST(sees().paused);
  BOOST_TEST(sees().drain.contains("two"));
  disconnect();
  BOOST_TEST(sees().paused);
  reconnect();
  take("/root/tailrace/main/paused");
  take("/root/tailrace/main/drain/two");
  settle();
  BOOST_TEST(!sees().paused);
  BOOST_TEST(sees().drain.empty());
}

BOOST_AUTO_TEST_CASE(whatever_goes_wrong_in_the_end_one_node_stands) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Rig rig;
    Rng rng(seed);
    for (int step = 0; step < 60; ++step) {
      switch (rng.below(10)) {
        case 0: rig.disconnect(); break;
        case 1: rig.reconnect(); break;
        case 2: rig.end_session(rng.chance(0.5)); break;
        case 3:
          rig.faults = {rng.chance(0.5) ? PaperZooKeeper::Fault::lost_after
                                        : PaperZooKeeper::Fault::lost_before};
          break;
        case 4: rig.watches_fire = rng.chance(0.5); break;
        case 5: {
          const auto all = rig.nodes;
          for (const auto& [path, node] : all) rig.take(path);
          break;
        }
        case 6:
          rig.me.state = rng.chance(0.5) ? Member::State::draining : Member::State::running;
          rig.machine.announce(rig.me, rig.now_ms);
          break;
        case 7: rig.add(rig.other, step); break;
        default: break;
      }
      rig.pass(static_cast<int64_t>(rng.below(12'000)));
    }
    rig.watches_fire = true;
    if (!rig.reachable) rig.reconnect();
    rig.pass(120'000);
    BOOST_TEST_CONTEXT("seed " << seed) {
      BOOST_REQUIRE(rig.mine().size() == 1);
      const auto& node = rig.nodes.at(kCenters + "/" + rig.mine().front());
      BOOST_TEST(node.owner == rig.owner());
      BOOST_TEST((*Member::decode(node.value) == rig.me));
      BOOST_TEST(rig.sees().fresh);
      BOOST_TEST(rig.machine.status(rig.now_ms).trouble.empty());
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
