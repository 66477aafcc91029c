// Sinks that had got further than others when a spool was lost.
#include <boost/test/unit_test.hpp>

#include "agent/messages.h"
#include "agent/session.h"
#include "base/random.h"
#include "control.pb.h"
#include "tests/agent/session_rig.h"

namespace tailrace {
namespace {

using Way = ModelLocal::Way;
const Checkpoint::Further kApart{{"slow", 3}, {"quick", 7}, {"other", 5}};

// One category of two files, batches of 3, 2 and 2 lines, then a lost spool: f1 gave lines 0 to 3
// and 5 to 7, f2 those between.
struct Apart {
  Apart() : rig(2000, SpoolLoss::resume) {
    rig.connect(first);
    write("f1", 3);
    write("f2", 2);
    write("f1", 5);
    rig.settle_acks(first);
    rig.disconnect();
  }
  void write(const std::string& file, uint64_t lines) {
    rig.written[file] = lines;
    rig.read_batch("a", {file}, 10);
  }
  void lose(uint64_t id) {
    local = std::make_unique<ModelLocal>(id);
    go_on();
  }
  // A new connection, all that the journal knows being durable.
  void go_on() {
    rig.connect(*local);
    rig.session->losses_durable(rig.session->losses());
    rig.carry_out();
    deliver();
    BOOST_TEST(rig.session->held() == "");
  }
  void deliver() {
    while (!rig.to_local.empty()) rig.deliver_to_local(*local);
  }
  void resume(uint64_t of, const Checkpoint::Further& finals) {
    rig.session->retired(of, "a", 0, {0, finals});
    rig.carry_out();
    if (rig.session->wants_to_greet()) rig.connect(*local);
    place();
    BOOST_TEST(rig.session->held() == "");
  }
  void place() {
    for (const auto& [identity, lines] : rig.written)
      if (const FileRecord* f = rig.session->state().file_of(identity))
        rig.read[identity] = f->acked.offset;
  }
  // As the shell: what may be read of any file, a batch at a time; until nothing is left.
  void read_all(uint32_t most = 10) {
    std::vector<std::string> files;
    for (const auto& [identity, lines] : rig.written) files.push_back(identity);
    while (rig.session->may_read("a") && rig.read_batch("a", files, most)) {
    }
    deliver();
  }
  void settle() {
    for (int turn = 0; turn < 10; ++turn) {
      read_all();
      rig.settle_acks(*local);
    }
    BOOST_TEST(rig.session->held() == "");
  }
  [[nodiscard]] uint64_t origin(const std::string& sink) const {
    const auto it = local->durable.origins.find({1, sink});
    return it == local->durable.origins.end() ? UINT64_MAX : it->second;
  }
  // What stands at that sink of the present spool, by file.
  std::map<std::string, std::set<uint64_t>> lines_from(uint64_t seq) const {
    std::map<std::string, std::set<uint64_t>> out;
    const auto& lines = local->durable.streams.at(1).lines;
    for (uint64_t i = seq; i < lines.size(); ++i)
      BOOST_TEST(out[lines[i].identity].insert(lines[i].at / kLineBytes + lines[i].index).second);
    return out;
  }
  Rig rig;
  ModelLocal first{1};
  std::unique_ptr<ModelLocal> local;
};

const std::map<std::string, std::set<uint64_t>> kForSlow{{"f1", {3, 4, 5}}, {"f2", {0, 1, 2}}};
const std::map<std::string, std::set<uint64_t>> kForOther{{"f1", {3, 4, 5}}, {"f2", {2}}};
const std::map<std::string, std::set<uint64_t>> kForQuick{{"f1", {5}}, {"f2", {2}}};

BOOST_AUTO_TEST_SUITE(session_ahead)

// It may have all of it, so it gets none of it again.
BOOST_FIXTURE_TEST_CASE(a_sink_that_did_not_say_where_it_stands_begins_behind_all, Apart) {
  lose(2);
  resume(1, {{"slow", 3}, {"away", Session::Finals::kUnknown}});
  bool said = false;
  for (const std::string& alarm : rig.session->alarms())
    said = said || alarm.find("sink away, which is not required and away, gets NONE of them") !=
                       std::string::npos;
  BOOST_TEST(said);
  rig.written = {{"f1", 6}, {"f2", 3}};
  settle();
  BOOST_TEST((lines_from(0) == kForSlow));
  BOOST_TEST((lines_from(origin("away")) == kForQuick));
}

BOOST_FIXTURE_TEST_CASE(each_sink_begins_where_it_stands, Apart) {
  lose(2);
  resume(1, kApart);
  rig.written = {{"f1", 6}, {"f2", 3}, {"f3", 1}};
  BOOST_TEST((local->taken.waits == std::set<Way>{}));
  // Only f2's lines are before where "other" stands; f3 comes behind all that is read again.
  BOOST_TEST(rig.session->read_to("a", 2) == 20u);
  BOOST_TEST(rig.session->read_to("a", 1) == 0u);
  BOOST_TEST(rig.session->read_to("a", 0) == 0u);
  BOOST_TEST(!rig.session->rereading().empty());
  read_all();
  BOOST_TEST((local->taken.waits == std::set<Way>{{1, "other"}, {1, "quick"}}));
  BOOST_TEST(local->taken.streams[1].lines.size() == 2u);
  BOOST_TEST(local->taken.origins.empty());  // not before that is durable
  rig.settle_acks(*local);
  deliver();
  BOOST_TEST(local->taken.origins.size() == 1u);
  settle();
  BOOST_TEST(origin("other") == 2u);
  BOOST_TEST(origin("quick") == 4u);
  BOOST_TEST(rig.session->read_to("a", 0) == UINT64_MAX);
  BOOST_TEST(rig.session->rereading().empty());
  auto expected = kForQuick;
  expected["f3"] = {0};
  BOOST_TEST((lines_from(origin("quick")) == expected));
}

BOOST_AUTO_TEST_CASE(an_agent_that_is_killed_at_any_moment) {
  for (int when = 0; when < 12; ++when) {
    Apart apart;
    apart.lose(2);
    apart.resume(1, kApart);
    apart.rig.written = {{"f1", 6}, {"f2", 3}};
    for (int step = 0; step < 40; ++step) {
      if (step == when) {
        apart.rig.crash();
        apart.go_on();
        apart.place();
      }
      if (apart.rig.session->may_read("a")) apart.rig.read_batch("a", {"f1", "f2"}, 1);
      if (step % 3 == 0) apart.deliver();
      if (step % 4 == 0) apart.rig.settle_acks(*apart.local);
    }
    apart.settle();
    BOOST_TEST((apart.lines_from(0) == kForSlow));
    BOOST_TEST((apart.lines_from(apart.origin("other")) == kForOther));
    BOOST_TEST((apart.lines_from(apart.origin("quick")) == kForQuick));
  }
}

// What a Local had not on its disk it is told again.
BOOST_FIXTURE_TEST_CASE(an_origin_that_a_local_has_forgotten, Apart) {
  lose(2);
  resume(1, kApart);
  rig.written = {{"f1", 6}, {"f2", 3}};
  read_all();
  rig.settle_acks(*local);
  deliver();
  BOOST_REQUIRE(local->taken.origins.size() == 1u);
  local->crash();
  BOOST_REQUIRE(local->taken.origins.empty());
  go_on();
  BOOST_TEST(local->taken.origins.size() == 1u);
  settle();
  BOOST_TEST((lines_from(origin("other")) == kForOther));
  BOOST_TEST((lines_from(origin("quick")) == kForQuick));
}

// A power cut: the journal does not know what the Local has.
BOOST_FIXTURE_TEST_CASE(the_local_knows_more_than_the_journal, Apart) {
  lose(2);
  rig.crash();
  const std::string before = rig.disk;
  go_on();
  for (int again = 0; again < 2; ++again) {
    resume(1, kApart);
    rig.written = {{"f1", 6}, {"f2", 3}};
    read_all();
    rig.settle_acks(*local);
    if (again == 1) settle();
    rig.disconnect();
    rig.disk = before;
    rig.start();
    go_on();
  }
  resume(1, kApart);
  settle();
  BOOST_TEST((lines_from(0) == kForSlow));
  BOOST_TEST((lines_from(origin("other")) == kForOther));
  BOOST_TEST((lines_from(origin("quick")) == kForQuick));
}

BOOST_FIXTURE_TEST_CASE(lost_again_before_a_sink_was_reached, Apart) {
  lose(2);
  resume(1, kApart);
  rig.written = {{"f1", 6}, {"f2", 3}};
  read_all();
  rig.settle_acks(*local);
  deliver();  // "other" has begun, nothing was committed there; "quick" is still ahead
  lose(3);
  resume(2, {{"slow", 0}, {"other", 0}, {"quick", 0}});
  settle();
  BOOST_TEST((lines_from(0) == kForSlow));
  BOOST_TEST((lines_from(origin("other")) == kForOther));
  BOOST_TEST((lines_from(origin("quick")) == kForQuick));
}

BOOST_FIXTURE_TEST_CASE(lost_again_when_all_have_begun, Apart) {
  lose(2);
  resume(1, kApart);
  rig.written = {{"f1", 6}, {"f2", 3}};
  settle();
  lose(3);
  // "quick" has committed nothing since it began, "other" has: they have changed places.
  const uint64_t end = first.taken.streams[1].lines.size() - 3 + 2;
  resume(2, {{"slow", 2}, {"quick", 0}, {"other", end}});
  settle();
  BOOST_TEST((lines_from(0) == kForOther));
  BOOST_TEST((lines_from(origin("quick")) == kForQuick));
  BOOST_TEST(lines_from(origin("other")).empty());
}

BOOST_FIXTURE_TEST_CASE(a_file_that_is_no_more_holds_nobody_up, Apart) {
  lose(2);
  resume(1, kApart);
  rig.session->gone(2, 0);
  rig.written.erase("f2");
  settle();
  BOOST_TEST(origin("other") == 0u);
  BOOST_TEST(origin("quick") == 2u);
}

BOOST_AUTO_TEST_CASE(a_final_of_one_sink_that_does_not_fit_the_journal_holds) {
  for (const uint64_t seq : {4, 6, 8}) {
    Apart apart;
    apart.lose(2);
    apart.rig.session->retired(1, "a", 0, {0, {{"slow", 3}, {"quick", seq}}});
    BOOST_TEST(apart.rig.session->held().find("sink quick has all below") != std::string::npos);
  }
}

BOOST_FIXTURE_TEST_CASE(a_sink_that_waits_and_that_nobody_knows_holds, Apart) {
  local = std::make_unique<ModelLocal>(1);
  *local = first;
  local->durable.waits = local->taken.waits = {{1, "quick"}};
  rig.connect(*local);
  BOOST_TEST(rig.session->held().find("sink quick begins") != std::string::npos);
}

// What a person chose counts for what the lost spool had; a sink that is ahead of it stays so.
BOOST_AUTO_TEST_CASE(resend_and_drop_with_a_sink_that_is_ahead) {
  for (const SpoolLoss what : {SpoolLoss::resend, SpoolLoss::drop}) {
    Apart apart;
    apart.lose(2);
    apart.resume(1, kApart);
    apart.rig.written = {{"f1", 6}, {"f2", 3}};
    apart.read_all();
    apart.rig.settle_acks(*apart.local);
    apart.deliver();
    apart.rig.loss = what;
    apart.rig.crash();
    apart.lose(3);
    apart.place();
    apart.settle();
    BOOST_TEST((apart.lines_from(0) == (what == SpoolLoss::resend ? kForSlow : kForOther)));
    BOOST_TEST((apart.lines_from(apart.origin("quick")) == kForQuick));
  }
}

// An older Local does not know what it must do: it refuses an agent that asks for it.
BOOST_FIXTURE_TEST_CASE(the_feature_is_asked_for_when_it_is_needed, Apart) {
  const auto features = [this] {
    return static_cast<const proto::Hello&>(*hello_frame(rig.session->state()).message).features();
  };
  lose(2);
  BOOST_TEST(features() == 0u);
  resume(1, kApart);
  BOOST_TEST(features() == kSinksApart);
  rig.written = {{"f1", 6}, {"f2", 3}};
  settle();
  BOOST_TEST(features() == kSinksApart);  // of a spool that is lost now only the agent knows it
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
