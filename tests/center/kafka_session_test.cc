#include "center/kafka_session.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tailrace::testing {
namespace {

using Outcome = KafkaReply::Outcome;
const StreamKey kStream{7, 0};
const std::string kWeb = "web";

// A session, and what it asks of Kafka: one call at a time for its one lane.
struct Rig {
  explicit Rig(KafkaSessionOptions options = {})
      : session(options, 1, 11, "me:1", "me", Rng(3), now) {
    session.centers({}, now);
  }

  void pass(int64_t ms) {
    now.mono_ms += ms;
    session.tick(now);
    look();
  }
  void look() {
    for (KafkaAction& action : session.take_actions()) {
      if (auto* call = std::get_if<CallKafka>(&action)) calls.push_back(std::move(call->call));
      if (const auto* told = std::get_if<TellCommitted>(&action)) committed = told->position;
      if (std::holds_alternative<TellLane>(action)) ++lanes;
      if (std::holds_alternative<TellReleased>(action)) ++releases;
      if (const auto* to = std::get_if<TellElsewhere>(&action)) elsewhere = to->address;
      if (std::holds_alternative<Stopped>(action)) stopped = true;
      if (std::holds_alternative<Trouble>(action)) ++troubles;
    }
  }
  template <class Call>
  KafkaCall expect() {
    BOOST_REQUIRE(!calls.empty());
    KafkaCall call = std::move(calls.front());
    calls.erase(calls.begin());
    BOOST_REQUIRE(std::holds_alternative<Call>(call.what));
    return call;
  }
  void answer(KafkaCall call, KafkaReply reply = {}) {
    session.replied(std::move(call), reply, now);
    look();
  }
  static KafkaReply reply(Outcome outcome) {
    KafkaReply out;
    out.outcome = outcome;
    out.why = "why";
    return out;
  }
  void serve(std::vector<KafkaPosition> positions = {}) {
    BOOST_TEST(session.wish(kWeb, kStream, now));
    pass(1);
    answer(expect<KafkaOpen>());
    KafkaReply read;
    read.positions = std::move(positions);
    answer(expect<KafkaReadPositions>(), read);
    BOOST_TEST(session.standing(kWeb, kStream).has_value());
  }
  Judgement take(uint64_t first, uint32_t count) {
    KafkaBatch batch;
    batch.key = kStream;
    batch.fields.first_seq = first;
    batch.fields.count = count;
    batch.fields.raw_len = 100;
    batch.fields.chain_before = chain;
    batch.fields.chain_after = next_chain(chain, 0, count);
    batch.payload = std::make_shared<const std::string>("payload");
    const uint64_t after = batch.fields.chain_after;
    const Judgement judgement = session.take(kWeb, std::move(batch), now);
    if (judgement == Judgement::take) chain = after;
    look();
    return judgement;
  }

  Moment now{1'000, 1'800'000'000'000};
  KafkaSession session;
  std::vector<KafkaCall> calls;
  Position committed;
  uint64_t chain = 0;
  int lanes = 0, releases = 0, troubles = 0;
  std::string elsewhere;
  bool stopped = false;
};

BOOST_AUTO_TEST_CASE(positions_go_with_their_lines_and_count_once_both_stand) {
  Rig rig;
  rig.serve();
  BOOST_TEST((rig.take(0, 10) == Judgement::take));
  BOOST_TEST((rig.take(10, 5) == Judgement::take));
  rig.pass(1'000);
  const KafkaCall call = rig.expect<KafkaWrite>();
  const auto& write = std::get<KafkaWrite>(call.what);
  BOOST_TEST(write.batches.size() == 2u);
  BOOST_REQUIRE(write.positions.size() == 1u);
  BOOST_TEST(write.positions[0].at.seq == 15u);
  rig.answer(call);
  BOOST_TEST(rig.committed.seq == 0u);  // not before the commit
  rig.answer(rig.expect<KafkaCommit>());
  BOOST_TEST(rig.committed.seq == 15u);
  BOOST_TEST(rig.session.counts().lines_committed == 15u);
  BOOST_TEST(rig.calls.empty());
}

BOOST_AUTO_TEST_CASE(what_may_be_asked_again_is_asked_again_and_nothing_else_is) {
  Rig rig;
  rig.serve();
  rig.take(0, 10);
  rig.pass(1'000);
  rig.answer(rig.expect<KafkaWrite>());
  rig.answer(rig.expect<KafkaCommit>(), Rig::reply(Outcome::again));
  rig.take(10, 10);
  rig.pass(10);
  BOOST_TEST(rig.calls.empty());
  rig.pass(200);
  rig.answer(rig.expect<KafkaCommit>());
  BOOST_TEST(rig.committed.seq == 10u);
}

BOOST_AUTO_TEST_CASE(whatever_else_goes_wrong_ends_the_producer_and_all_is_read_again) {
  Rig rig;
  rig.serve();
  rig.take(0, 10);
  rig.pass(1'000);
  rig.answer(rig.expect<KafkaWrite>());
  const KafkaCall commit = rig.expect<KafkaCommit>();
  rig.answer(commit, Rig::reply(Outcome::over));
  BOOST_TEST(rig.releases == 1);
  BOOST_TEST(rig.session.losses() == 1u);
  BOOST_TEST(!rig.session.standing(kWeb, kStream));
  BOOST_TEST((rig.take(10, 1) == Judgement::not_owned));
  rig.answer(commit);  // late, of a producer that is no more: nobody's
  BOOST_TEST(rig.committed.seq == 0u);
  rig.pass(2'000);
  const KafkaCall open = rig.expect<KafkaOpen>();
  BOOST_TEST(open.producer != commit.producer);
  rig.answer(open);
  KafkaReply read;
  read.positions = {{kStream, {10, 77}, 0, 0, 0}};  // it had been committed
  rig.answer(rig.expect<KafkaReadPositions>(), read);
  BOOST_TEST(rig.session.standing(kWeb, kStream)->received.seq == 10u);
}

// Another may have opened the lane since, and this one would tell a position that is old.
BOOST_AUTO_TEST_CASE(what_was_not_proved_lately_is_doubted_until_a_transaction_proves_it) {
  Rig rig;
  rig.serve({{kStream, {10, 77}, 0, 0, 0}});
  rig.pass(2'000);
  BOOST_TEST(!rig.session.standing(kWeb, kStream)->doubted);
  rig.pass(100);
  BOOST_TEST(rig.session.standing(kWeb, kStream)->doubted);
  BOOST_TEST(!rig.session.standing(kWeb, kStream)->proving);
  rig.session.doubt(kWeb, kStream);
  BOOST_TEST(rig.session.standing(kWeb, kStream)->proving);
  rig.pass(100);
  const KafkaCall write = rig.expect<KafkaWrite>();
  BOOST_REQUIRE(std::get<KafkaWrite>(write.what).positions.size() == 1u);
  rig.answer(write);
  BOOST_TEST(rig.session.standing(kWeb, kStream)->proving);
  rig.answer(rig.expect<KafkaCommit>());
  BOOST_TEST(!rig.session.standing(kWeb, kStream)->doubted);
  BOOST_TEST(rig.committed.seq == 10u);
}

// At least once: no transaction would prove anything, so what others have written is read.
BOOST_AUTO_TEST_CASE(without_a_fence_what_is_doubted_is_read_again) {
  Rig rig(KafkaSessionOptions{.fences = false});
  rig.serve({{kStream, {10, 77}, 0, 0, 0}});
  rig.pass(60'000);
  BOOST_TEST(!rig.session.standing(kWeb, kStream)->doubted);
  rig.session.doubt(kWeb, kStream);
  BOOST_TEST(!rig.session.standing(kWeb, kStream));
  rig.pass(1);
  rig.answer(rig.expect<KafkaOpen>());
  KafkaReply read;
  read.positions = {{kStream, {30, 99}, 0, 0, 0}};
  rig.answer(rig.expect<KafkaReadPositions>(), read);
  BOOST_TEST(rig.session.standing(kWeb, kStream)->committed.seq == 30u);
}

BOOST_AUTO_TEST_CASE(an_open_transaction_below_the_end_is_waited_for) {
  Rig rig;
  rig.session.wish(kWeb, kStream, rig.now);
  rig.pass(1);
  rig.answer(rig.expect<KafkaOpen>());
  KafkaReply read;
  read.end = 10;
  read.target = 12;
  rig.answer(rig.expect<KafkaReadPositions>(), read);
  BOOST_TEST(!rig.session.standing(kWeb, kStream));
  rig.pass(200);
  read.end = 12;
  rig.answer(rig.expect<KafkaReadPositions>(), read);
  BOOST_TEST(rig.session.standing(kWeb, kStream).has_value());
}

BOOST_AUTO_TEST_CASE(who_is_fenced_again_and_again_waits_longer) {
  Rig rig;
  rig.session.wish(kWeb, kStream, rig.now);
  std::vector<int64_t> waits;
  for (int times = 0; times < 9; ++times) {
    const int64_t from = rig.now.mono_ms;
    while (rig.calls.empty()) rig.pass(10);
    waits.push_back(rig.now.mono_ms - from);
    rig.answer(rig.expect<KafkaOpen>(), Rig::reply(Outcome::over));
  }
  BOOST_TEST(waits[1] >= 500);
  BOOST_TEST(waits[8] >= 30'000);
  BOOST_TEST(waits[8] <= 60'100);
}

BOOST_AUTO_TEST_CASE(an_idle_producer_is_closed_and_what_comes_then_is_taken_after_reading) {
  KafkaSessionOptions options;
  options.idle_ms = 5'000;
  Rig rig(options);
  rig.serve();
  rig.pass(5'000);
  rig.expect<KafkaClose>();
  BOOST_TEST(rig.session.standing(kWeb, kStream).has_value());  // Locals need not ask elsewhere
  BOOST_TEST((rig.take(0, 1) == Judgement::later));
  rig.pass(1);
  BOOST_TEST((rig.take(0, 1) == Judgement::later));  // and not lost: a REWIND is owed
  rig.answer(rig.expect<KafkaOpen>());
  rig.answer(rig.expect<KafkaReadPositions>());
  BOOST_TEST((rig.take(0, 1) == Judgement::take));
}

BOOST_AUTO_TEST_CASE(a_gap_and_a_final_mark_are_positions_without_lines) {
  Rig rig;
  rig.serve();
  BOOST_TEST((rig.session.on_gap(kWeb, kStream, {0, 5, "lost"}, 55, rig.now) == Judgement::take));
  BOOST_TEST(!rig.session.retire(kWeb, kStream, rig.now).has_value());
  BOOST_TEST((rig.take(5, 1) == Judgement::retired));
  rig.pass(50);
  const KafkaCall call = rig.expect<KafkaWrite>();
  const KafkaPosition said = std::get<KafkaWrite>(call.what).positions.at(0);
  BOOST_TEST(said.at.seq == 5u);
  BOOST_TEST(said.lost == 5u);
  BOOST_TEST(said.flags == kFinal);
  rig.answer(call);
  rig.answer(rig.expect<KafkaCommit>());
  BOOST_TEST(rig.session.retire(kWeb, kStream, rig.now)->seq == 5u);
}

BOOST_AUTO_TEST_CASE(whoever_doubts_is_told_again_after_a_transaction) {
  Rig rig;
  rig.serve({{kStream, {10, 77}, 0, 0, 0}});
  rig.session.doubt(kWeb, kStream);
  rig.pass(1);
  const KafkaCall call = rig.expect<KafkaWrite>();
  BOOST_TEST(std::get<KafkaWrite>(call.what).positions.at(0).at.seq == 10u);  // never an empty one
  BOOST_TEST(rig.session.standing(kWeb, kStream)->doubted);                   // not told meanwhile
  rig.answer(call);
  rig.answer(rig.expect<KafkaCommit>());
  BOOST_TEST(rig.committed.seq == 10u);
}

// The sink of files beside it knows who has died: nobody waits for ZooKeeper to say so.
BOOST_AUTO_TEST_CASE(while_zookeeper_is_away_who_is_there_is_known_from_the_files) {
  Rig rig;
  Presence seen;
  seen.fresh = true;
  for (const auto& [id, address] : {std::pair{11, "me:1"}, std::pair{100, "other:1"}}) {
    Member& member = seen.members.emplace_back();
    member.state_uuid = static_cast<uint64_t>(id);
    member.address = address;
    member.incarnations[1] = "x";
  }
  const std::map<uint64_t, std::string> alone{{11, "me:1"}};
  rig.session.presence(seen, rig.now);
  BOOST_REQUIRE(rig.session.addresses().size() == 2u);
  rig.session.centers(alone, rig.now);
  BOOST_TEST(rig.session.addresses().size() == 2u);  // ZooKeeper knows better
  seen.fresh = false;
  rig.session.presence(seen, rig.now);
  rig.pass(14'000);
  rig.session.centers(alone, rig.now);
  BOOST_TEST(rig.session.addresses().size() == 2u);
  rig.pass(1'000);
  rig.session.centers({}, rig.now);  // no sink of files: as it was last
  BOOST_TEST(rig.session.addresses().size() == 2u);
  rig.session.centers(alone, rig.now);
  BOOST_TEST(rig.session.addresses().size() == 1u);
  seen.fresh = true;
  rig.session.presence(seen, rig.now);
  BOOST_TEST(rig.session.addresses().size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_lane_that_is_anothers_goes_when_all_is_committed) {
  Rig rig;
  std::map<uint64_t, std::string> centers{{11, "me:1"}};
  for (uint64_t other = 100; !rig.session.elsewhere(kWeb, kStream); ++other) {
    centers = {{11, "me:1"}, {other, "other:1"}};
    rig.session.centers(centers, rig.now);
  }
  rig.session.centers({}, rig.now);
  rig.serve();
  rig.take(0, 10);
  rig.session.centers(centers, rig.now);
  rig.pass(0);
  rig.pass(15'000);
  rig.answer(rig.expect<KafkaWrite>());
  rig.answer(rig.expect<KafkaCommit>());
  rig.pass(1);
  rig.expect<KafkaClose>();
  BOOST_TEST(rig.committed.seq == 10u);
  BOOST_TEST(rig.elsewhere == "other:1");
  BOOST_TEST(rig.session.lanes() == 0u);
}

BOOST_AUTO_TEST_CASE(a_stop_commits_what_it_holds) {
  Rig rig;
  rig.serve();
  rig.take(0, 10);
  rig.session.stop(false);
  rig.pass(1);
  BOOST_TEST(!rig.stopped);
  rig.answer(rig.expect<KafkaWrite>());
  rig.answer(rig.expect<KafkaCommit>());
  rig.pass(1);
  rig.expect<KafkaClose>();
  BOOST_TEST(rig.stopped);
  BOOST_TEST(rig.committed.seq == 10u);
}

BOOST_AUTO_TEST_CASE(what_waits_for_a_producer_is_bounded) {
  KafkaSessionOptions options;
  options.lane_bytes = 70;
  Rig rig(options);
  rig.serve();
  int taken = 0;
  while (rig.take(static_cast<uint64_t>(taken), 1) == Judgement::take && taken < 100) ++taken;
  BOOST_TEST(taken == 10);
  BOOST_TEST(!rig.session.takes(kWeb, kStream));
}

KafkaSessionOptions small_transactions() {
  KafkaSessionOptions options;
  options.commit_bytes = 250;
  return options;
}
// Lines up to 10 are about to be committed, those up to 80 have come meanwhile.
void queue_behind_a_commit(Rig& rig) {
  rig.serve();
  rig.take(0, 10);
  rig.pass(1'000);
  rig.answer(rig.expect<KafkaWrite>());
  for (uint64_t i = 1; i < 8; ++i) BOOST_TEST((rig.take(i * 10, 10) == Judgement::take));
}

// Else what waits for a broker that is slow would make one that never ends in time.
BOOST_AUTO_TEST_CASE(a_transaction_takes_no_more_than_its_part_of_what_waits) {
  Rig rig(small_transactions());
  queue_behind_a_commit(rig);
  rig.answer(rig.expect<KafkaCommit>());
  for (const uint64_t end : {40u, 70u, 80u}) {
    rig.pass(1'000);
    const KafkaCall call = rig.expect<KafkaWrite>();
    const auto& write = std::get<KafkaWrite>(call.what);
    BOOST_REQUIRE(!write.batches.empty());
    BOOST_TEST(write.batches.size() <= 3u);
    BOOST_TEST(write.batches.back().fields.end_seq() == end);
    BOOST_REQUIRE(write.positions.size() == 1u);
    BOOST_TEST(write.positions[0].at.seq == end);
    BOOST_TEST(write.positions[0].at.chain == write.batches.back().fields.chain_after);
    rig.answer(call);
    rig.answer(rig.expect<KafkaCommit>());
    BOOST_TEST(rig.committed.seq == end);
  }
  rig.pass(10'000);
  BOOST_TEST(rig.calls.empty());
  BOOST_TEST(!rig.session.waiting().at(kWeb).open_files);
}

BOOST_AUTO_TEST_CASE(a_gap_or_a_final_mark_never_goes_before_the_lines_that_it_is_behind) {
  for (const bool gap : {true, false}) {
    Rig rig(small_transactions());
    queue_behind_a_commit(rig);
    if (gap)
      BOOST_TEST(
          (rig.session.on_gap(kWeb, kStream, {80, 5, "lost"}, 55, rig.now) == Judgement::take));
    else
      BOOST_TEST(!rig.session.retire(kWeb, kStream, rig.now).has_value());
    rig.answer(rig.expect<KafkaCommit>());
    rig.pass(1'000);
    const KafkaCall call = rig.expect<KafkaWrite>();
    const auto& write = std::get<KafkaWrite>(call.what);
    BOOST_TEST(write.batches.size() == 7u);
    BOOST_REQUIRE(write.positions.size() == 1u);
    BOOST_TEST(write.positions[0].at.seq == (gap ? 85u : 80u));
    BOOST_TEST(write.positions[0].lost == (gap ? 5u : 0u));
    BOOST_TEST(write.positions[0].flags == (gap ? 0 : kFinal));
  }
}

// Else each lane that is taken away leaves a client with its threads behind.
BOOST_AUTO_TEST_CASE(the_producer_of_a_lane_that_failed_and_is_anothers_is_closed) {
  Rig rig;
  rig.serve();
  rig.take(0, 10);
  rig.pass(1'000);
  rig.answer(rig.expect<KafkaWrite>());
  rig.answer(rig.expect<KafkaCommit>(), Rig::reply(Outcome::over));
  std::map<uint64_t, std::string> centers;
  for (uint64_t other = 100; rig.session.lanes() == 0 && rig.elsewhere.empty(); ++other) {
    centers = {{11, "me:1"}, {other, "other:1"}};
    rig.session.centers(centers, rig.now);
    rig.pass(0);
    BOOST_REQUIRE(other < 200u);
  }
  rig.expect<KafkaClose>();
}

// It may take minutes, call by call: nothing waits between those, and what it waits for is said.
BOOST_AUTO_TEST_CASE(positions_that_take_long_to_read_are_read_on_at_once) {
  Rig rig;
  rig.session.wish(kWeb, kStream, rig.now);
  rig.pass(1);
  rig.answer(rig.expect<KafkaOpen>());
  KafkaReply read;
  read.target = 100;
  read.why = "being read";
  for (read.end = 0; read.end < 100; read.end += 10) {
    const KafkaCall call = rig.expect<KafkaReadPositions>();
    rig.now.mono_ms += 500;
    rig.answer(call, read);
    if (read.end == 0) rig.pass(200);  // nothing came
  }
  BOOST_TEST(rig.session.trouble() == "'web': being read");
  rig.answer(rig.expect<KafkaReadPositions>(), read);
  BOOST_TEST(rig.session.standing(kWeb, kStream).has_value());
  BOOST_TEST(rig.session.trouble().empty());
}

std::string category(int number) { return "c" + std::to_string(number); }

// Else sixteen topics that nobody has made would stop all that are to come.
BOOST_AUTO_TEST_CASE(lanes_whose_topics_are_missing_hold_up_no_other) {
  KafkaSessionOptions options;
  options.opens = 2;
  Rig rig(options);
  constexpr int kMissing = 9;
  for (int i = 0; i <= kMissing; ++i) rig.session.wish(category(i), kStream, rig.now);
  KafkaReply lacks = Rig::reply(Outcome::again);
  lacks.lacks = true;
  std::map<std::string, int> turns;
  size_t under_way = 0;
  while (turns[category(kMissing)] == 0) {
    rig.pass(100);
    BOOST_REQUIRE(rig.now.mono_ms < 60'000);
    std::vector<KafkaCall> calls = std::exchange(rig.calls, {});
    for (KafkaCall& call : calls) {
      if (std::holds_alternative<KafkaClose>(call.what)) continue;
      BOOST_REQUIRE(std::holds_alternative<KafkaOpen>(call.what));
      under_way = std::max(under_way, calls.size());
      ++turns[call.category];
      if (call.category != category(kMissing)) rig.answer(std::move(call), lacks);
    }
  }
  BOOST_TEST(turns.size() == kMissing + 1u);
  BOOST_TEST(!rig.session.trouble().empty());
}

// The client's last words change with every try.
BOOST_AUTO_TEST_CASE(a_trouble_that_changes_all_the_time_is_said_once_in_a_while) {
  Rig rig;
  rig.serve();
  rig.take(0, 10);
  rig.pass(1'000);
  KafkaReply again = Rig::reply(Outcome::again);
  for (int i = 0; i < 100; ++i) {
    again.why = "last: after " + std::to_string(i) + "ms";
    rig.answer(rig.expect<KafkaWrite>(), again);
    rig.pass(200);
  }
  BOOST_TEST(rig.session.trouble() == "'web': last: after 99ms");
  BOOST_TEST(rig.troubles > 0);
  BOOST_TEST(rig.troubles <= 3);
}

}  // namespace
}  // namespace tailrace::testing
