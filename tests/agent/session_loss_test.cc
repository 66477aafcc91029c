// A spool that is gone, and what the session makes of it.
#include <boost/test/unit_test.hpp>

#include "agent/session.h"
#include "tests/agent/session_rig.h"

namespace tailrace {
namespace {

// Two categories; of "a" three batches of 3, 2 and 2 lines, of which two are acked.
struct Lost {
  explicit Lost(SpoolLoss what) : rig(2000, what) {
    rig.connect(first);
    for (const uint64_t lines : {3, 5, 7}) {
      rig.written["fa"] = lines;
      rig.read_batch("a", {"fa"}, 10);
      if (lines == 5) rig.settle_acks(first);
    }
    rig.disconnect();
  }
  void lose(uint64_t id) {
    local = std::make_unique<ModelLocal>(id);
    rig.connect(*local);
  }
  void make_durable() {
    rig.session->losses_durable(rig.session->losses());
    rig.carry_out();
    while (!rig.to_local.empty()) rig.deliver_to_local(*local);
  }
  // As the shell: the positions that moved, then on.
  void greet_again() {
    BOOST_REQUIRE(rig.session->wants_to_greet());
    BOOST_TEST(!rig.session->may_read("a"));
    BOOST_TEST(rig.session->take_moved().empty());  // not before the Local was heard
    rig.connect(*local);
    place();
  }
  void place() {
    for (const FileId id : rig.session->take_moved()) {
      const FileRecord* f = rig.session->state().file(id);
      if (f) rig.read[f->identity] = f->acked.offset;
    }
  }
  Rig rig;
  ModelLocal first{1};
  std::unique_ptr<ModelLocal> local;
};

BOOST_AUTO_TEST_SUITE(session_loss)

BOOST_AUTO_TEST_CASE(a_lost_spool_is_retired_and_what_is_not_final_read_again) {
  Lost lost(SpoolLoss::resume);
  Rig& rig = lost.rig;
  lost.lose(2);
  BOOST_TEST(rig.session->held() == "");
  BOOST_TEST(!rig.session->may_read("a"));
  BOOST_TEST(!rig.session->may_read("b"));  // the old spool may turn up before this is durable
  while (!rig.to_local.empty()) rig.deliver_to_local(*lost.local);
  BOOST_TEST(lost.local->retires.empty());
  lost.make_durable();
  BOOST_TEST((lost.local->retires == std::set<StreamId>{1}));
  BOOST_TEST(!rig.session->retiring().empty());
  BOOST_TEST(!rig.session->may_read("a"));
  BOOST_TEST(rig.session->may_read("b"));
  rig.written["fb"] = 1;
  rig.read_batch("b", {"fb"}, 10);
  rig.settle(*lost.local);
  BOOST_TEST(rig.session->held() == "");
  rig.session->retired(1, "a", 1, {3});  // none of ours
  rig.session->retired(9, "a", 0, {3});
  BOOST_TEST(!rig.session->wants_to_greet());
  rig.session->retired(1, "a", 0, {3});
  rig.carry_out();
  lost.greet_again();
  BOOST_TEST(rig.read["fa"] == 30u);
  BOOST_TEST(rig.session->retiring().empty());
  BOOST_TEST(rig.session->may_read("a"));
  rig.read_batch("a", {"fa"}, 10);
  rig.settle(*lost.local);
  BOOST_TEST(rig.session->held() == "");
  BOOST_TEST(rig.session->all_final());
  const auto& lines = lost.local->durable.streams[1].lines;
  BOOST_REQUIRE(lines.size() == 4u);
  BOOST_TEST(lines[0].at == 30u);
}

BOOST_AUTO_TEST_CASE(a_resume_survives_kills_of_the_agent) {
  Lost lost(SpoolLoss::resume);
  Rig& rig = lost.rig;
  lost.lose(2);
  rig.crash();
  rig.connect(*lost.local);
  lost.make_durable();
  BOOST_TEST((lost.local->retires == std::set<StreamId>{1}));
  rig.session->retired(1, "a", 0, {7});  // more than was acked
  rig.crash();
  rig.connect(*lost.local);
  lost.make_durable();
  lost.place();
  BOOST_TEST(rig.session->may_read("a"));
  BOOST_TEST(rig.read["fa"] == 70u);
  BOOST_TEST(rig.session->all_final());
}

BOOST_AUTO_TEST_CASE(a_spool_that_is_lost_twice) {
  Lost lost(SpoolLoss::resume);
  Rig& rig = lost.rig;
  lost.lose(2);
  lost.make_durable();
  rig.written["fb"] = 2;
  rig.read_batch("b", {"fb"}, 10);
  rig.disconnect();
  lost.lose(3);
  lost.make_durable();
  BOOST_TEST((lost.local->retires == std::set<StreamId>{1, 2}));
  rig.session->retired(2, "b", 0, {0});
  rig.session->retired(1, "a", 0, {5});
  rig.carry_out();
  lost.greet_again();
  BOOST_TEST(rig.read["fa"] == 50u);
  BOOST_TEST(rig.read["fb"] == 0u);
  // And now the first one turns up: it must not be used, whatever the Local thinks.
  rig.connect(lost.first);
  BOOST_TEST(rig.session->held().find("given up") != std::string::npos);
  BOOST_TEST((rig.session->state().former == std::set<uint64_t>{1, 2}));
}

BOOST_AUTO_TEST_CASE(a_final_that_does_not_fit_the_journal_holds) {
  for (const uint64_t seq : {1, 4, 8}) {
    Lost lost(SpoolLoss::resume);
    lost.lose(2);
    lost.make_durable();
    lost.rig.session->retired(1, "a", 0, {seq});
    BOOST_TEST(!lost.rig.session->live());
    BOOST_TEST(lost.rig.session->held().find("what to read again is not known") !=
               std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_reset_spool_is_no_lost_one) {
  for (const SpoolLoss what : {SpoolLoss::resume, SpoolLoss::hold}) {
    Lost lost(what);
    Rig& rig = lost.rig;
    lost.local = std::make_unique<ModelLocal>(2);
    lost.local->replaces = {77, 1};
    rig.connect(*lost.local);
    lost.place();
    lost.make_durable();
    BOOST_TEST(rig.session->held() == "");
    BOOST_TEST(lost.local->retires.empty());
    BOOST_TEST(rig.read["fa"] == 0u);
    BOOST_TEST(rig.session->may_read("a"));
  }
}

BOOST_AUTO_TEST_CASE(what_a_person_chose_for_a_lost_spool) {
  Lost resend(SpoolLoss::resend);
  resend.lose(2);
  resend.place();
  BOOST_TEST(resend.rig.read["fa"] == 0u);
  BOOST_TEST(resend.rig.session->alarms().at(0).find("PUBLISHED TWICE") != std::string::npos);
  Lost drop(SpoolLoss::drop);
  drop.lose(2);
  drop.make_durable();
  drop.place();
  BOOST_TEST(drop.rig.read["fa"] == 70u);
  BOOST_TEST(drop.rig.session->gaps() == 1u);
  BOOST_REQUIRE(drop.local->taken.gaps.size() == 1u);
  BOOST_TEST(drop.local->taken.gaps[0].end == 70u);
  BOOST_TEST(drop.rig.session->all_final());
  Lost hold(SpoolLoss::hold);
  hold.lose(2);
  BOOST_TEST(hold.rig.session->held().find("7 lines") != std::string::npos);
  hold.rig.connect(hold.first);  // the right one again
  BOOST_TEST(hold.rig.session->held() == "");
}

// Its bytes are nowhere any more: that is said.
BOOST_AUTO_TEST_CASE(a_lost_spool_that_had_the_last_copy) {
  Lost lost(SpoolLoss::resume);
  Rig& rig = lost.rig;
  rig.session->gone(1, 70);
  lost.lose(2);
  lost.make_durable();
  rig.session->retired(1, "a", 0, {5});
  rig.carry_out();
  bool said = false;
  for (const std::string& alarm : rig.session->alarms())
    said = said || alarm.find("LOST 2 lines of 'a'") != std::string::npos;
  BOOST_TEST(said);
}

// A sink for which lines were given up has not got them, and its Center says so later.
BOOST_AUTO_TEST_CASE(what_was_given_up_for_a_sink_is_not_read_again_for_it) {
  Lost lost(SpoolLoss::resume);
  Rig& rig = lost.rig;
  rig.connect(lost.first);
  rig.session->committed({{"must", 1, 5, false}, {"may", 1, 3, true}});
  BOOST_TEST(rig.session->state().stream(1)->final_seq == 3u);
  lost.lose(2);
  lost.make_durable();
  rig.session->retired(1, "a", 0, {0, {{"must", 5}, {"may", 0}}});
  rig.carry_out();
  BOOST_TEST(rig.session->held() == "");
  lost.greet_again();
  BOOST_TEST(rig.read["fa"] == 30u);  // from where the one stands for which more was not given up
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
