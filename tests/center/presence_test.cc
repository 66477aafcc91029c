// What ZooKeeper says of others: who has gone is not asked first, and gets no lanes; and that this
// is all that rests on it.
#include "discovery/presence.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "tests/center/acquirer.h"
#include "tests/center/center_rig.h"

namespace tailrace::testing {
namespace {

constexpr int64_t kStart = 1'764'000'000'000;
const std::string kOther = "1763000000000-00000000000000aa";
const std::string kThird = "1763000000000-00000000000000bb";

// The replies of a store in which that incarnation is announced and never writes nor answers.
StoreReply silent(const StoreRequest& request) {
  StoreReply reply;
  Announcement said;
  said.name = "x";
  said.version = "1";
  said.state_uuid = 9;
  if (const auto* read = std::get_if<ReadRequest>(&request))
    reply.record = read->name.find('.') == std::string::npos ? said.encode() : "a question";
  reply.cas = Cas::won;
  return reply;
}

struct Asked {
  bool wrote = false;
  int64_t waited_ms = 0;
};
Asked drive(GoneCheck& check, const std::function<void(Asked&)>& each = {}) {
  Asked out;
  while (const auto request = check.next()) {
    if (std::holds_alternative<CasRequest>(*request)) out.wrote = true;
    if (const auto* pause = std::get_if<PauseRequest>(&*request)) out.waited_ms += pause->ms;
    if (each) each(out);
    check.on(silent(*request));
  }
  return out;
}

BOOST_AUTO_TEST_CASE(who_is_not_known_to_be_gone_is_asked_for_the_whole_time) {
  const Acquirer me = acquirer();
  GoneCheck check(me, kOther, 3);
  const Asked asked = drive(check);
  BOOST_TEST(asked.wrote);
  BOOST_TEST(asked.waited_ms == 15'000);
  BOOST_TEST(check.gone());
}

BOOST_AUTO_TEST_CASE(who_is_known_to_be_gone_is_not_asked) {
  Acquirer me = acquirer();
  me.gone = {kOther};
  GoneCheck check(me, kOther, 3);
  const Asked asked = drive(check);
  BOOST_TEST(!asked.wrote);
  BOOST_TEST(asked.waited_ms == 0);
  BOOST_TEST(check.gone());
  GoneCheck another(me, kThird, 3);
  BOOST_TEST(drive(another).waited_ms == 15'000);
}

BOOST_AUTO_TEST_CASE(what_becomes_known_meanwhile_ends_the_wait) {
  Acquirer me = acquirer();
  GoneCheck check(me, kOther, 3);
  const Asked asked = drive(check, [&me](Asked& so_far) {
    if (so_far.waited_ms > 5'000) me.gone = {kOther};
  });
  BOOST_TEST(asked.wrote);
  BOOST_TEST(asked.waited_ms <= 6'000);
  BOOST_TEST(check.gone());
}

// Whoever waits for a lane that a live Center is about to give away must not wait in vain.
BOOST_AUTO_TEST_CASE(an_answer_is_heard_long_before_the_time_is_over) {
  const Acquirer me = acquirer();
  GoneCheck check(me, kOther, 3);
  int64_t waited_ms = 0;
  while (const auto request = check.next()) {
    if (const auto* pause = std::get_if<PauseRequest>(&*request)) waited_ms += pause->ms;
    StoreReply reply = silent(*request);
    const auto* read = std::get_if<ReadRequest>(&*request);
    if (read != nullptr && read->name.find('.') != std::string::npos && waited_ms >= 5'000)
      reply.record.reset();  // it lives, and has taken the question away
    check.on(reply);
  }
  BOOST_TEST(!check.gone());
  BOOST_TEST(waited_ms <= 6'500);
}

BOOST_AUTO_TEST_CASE(a_lane_that_is_given_away_meanwhile_is_taken_at_once) {
  const Acquirer me = acquirer();
  const StoreNames& names = me.names;
  const Lane lane{"app", 1, 0};
  SealedLogs sealed;
  Acquire acquire(
      me, sealed, lane, [] { return uint64_t{0}; }, 3, 0);
  LaneClaim claim = me.claim(LaneClaim::Kind::own, 1, 8);
  claim.lane = lane;
  claim.incarnation = kOther;
  claim.address = "other:1";
  int64_t waited_ms = 0;
  while (const auto request = acquire.next()) {
    if (const auto* pause = std::get_if<PauseRequest>(&*request)) waited_ms += pause->ms;
    const uint64_t newest = waited_ms > 3'000 ? 2 : 1;
    StoreReply reply = silent(*request);
    const auto* list = std::get_if<ListRequest>(&*request);
    for (uint64_t epoch = 1; list && list->directory == names.lane(lane) && epoch <= newest;
         ++epoch)
      reply.names.push_back(names.claim(lane, epoch).substr(names.lane(lane).size() + 1));
    if (const auto* read = std::get_if<ReadRequest>(&*request))
      for (const uint64_t epoch : {1, 2})
        if (read->name == names.claim(lane, epoch)) {
          claim.epoch = epoch;
          claim.kind = epoch == 1 ? LaneClaim::Kind::own : LaneClaim::Kind::none;
          claim.address = epoch == 1 ? "other:1" : "";
          reply.record = claim.encode();
        }
    acquire.on(reply);
  }
  BOOST_TEST((acquire.outcome() == Acquire::Outcome::acquired));
  BOOST_TEST(acquire.epoch() == 3u);
  BOOST_TEST(waited_ms <= 5'000);
}

// --- among whom lanes are placed
// ------------------------------------------------------------------

struct Placed {
  Placed() {
    announce(kOther, "other:1", 2);
    announce(kThird, "third:1", 3);
    rig.emplace(store, streams, options(), 1, 1, kStart);
    // Not for so long that they are asked, and found dead.
    for (int i = 0; i < 20 && rig->incarnation().addresses().size() < 2; ++i) rig->run_for(100);
  }
  static IncarnationOptions options() {
    IncarnationOptions out;
    out.center = "c1";
    return out;
  }
  void announce(const std::string& incarnation, const std::string& address, uint64_t state_uuid) {
    const auto records = store->records();
    const StoreNames names("_tailrace", 7);
    Announcement said;
    said.name = "x";
    said.version = "1";
    said.address = address;
    said.state_uuid = state_uuid;
    BOOST_REQUIRE(records
                      ->cas(names.announcement(incarnation), said.encode(), Records::Parent::make,
                            "tmp-" + incarnation)
                      .ok());
  }
  void presence(const Presence& presence) { rig->incarnation().presence(presence, rig->now()); }
  [[nodiscard]] std::vector<std::string> sees() {
    auto out = rig->incarnation().addresses();
    std::sort(out.begin(), out.end());
    return out;
  }
  static Presence seen(std::vector<Member> members, std::set<std::string> gone = {}) {
    Presence out;
    out.fresh = true;
    out.members = std::move(members);
    out.gone = std::move(gone);
    return out;
  }
  static Member member(uint64_t state_uuid, Member::State state) {
    Member out;
    out.state = state;
    out.state_uuid = state_uuid;
    return out;
  }

  std::shared_ptr<MemoryStore> store = MemoryStore::make();
  std::vector<SentStream> streams;
  std::optional<CenterRig> rig;
};
using Addresses = std::vector<std::string>;

BOOST_AUTO_TEST_CASE(without_zookeeper_those_that_are_announced_count) {
  Placed p;
  BOOST_TEST((p.sees() == Addresses{"other:1", "third:1"}));
  p.presence({});
  BOOST_TEST((p.sees() == Addresses{"other:1", "third:1"}));
}

BOOST_AUTO_TEST_CASE(who_has_gone_or_is_about_to_leave_gets_no_lanes) {
  Placed p;
  p.presence(Placed::seen({}, {kOther}));
  BOOST_TEST((p.sees() == Addresses{"third:1"}));
  p.presence(Placed::seen({Placed::member(3, Member::State::draining)}));
  BOOST_TEST((p.sees() == Addresses{"other:1"}));
  // Its new node stands already, the old one not yet gone: or it has come again.
  p.presence(Placed::seen(
      {Placed::member(3, Member::State::draining), Placed::member(3, Member::State::running)}));
  BOOST_TEST((p.sees() == Addresses{"other:1", "third:1"}));
}

BOOST_AUTO_TEST_CASE(who_was_never_in_zookeeper_counts_as_the_store_says) {
  Placed p;
  p.presence(Placed::seen({Placed::member(2, Member::State::running)}));
  BOOST_TEST((p.sees() == Addresses{"other:1", "third:1"}));
}

// Whether a tick now makes it look at who is announced.
bool looks(Incarnation& incarnation, Moment now) {
  incarnation.tick(now);
  for (const CenterAction& action : incarnation.take_actions())
    if (const auto* run = std::get_if<RunProcedure>(&action))
      if (dynamic_cast<const RollCall*>(run->procedure.get()) != nullptr) return true;
  return false;
}

BOOST_AUTO_TEST_CASE(what_changes_is_looked_up_in_the_store_at_once) {
  Placed p;
  BOOST_TEST(!looks(p.rig->incarnation(), p.rig->now()));
  p.presence(Placed::seen({Placed::member(4, Member::State::running)}));
  BOOST_TEST(looks(p.rig->incarnation(), p.rig->now()));
}

}  // namespace
}  // namespace tailrace::testing
