// How the log of a dead Center is finished: by two at once, with categories where that is not
// possible.
#include "center/janitor.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "center/collect.h"
#include "center/store_call.h"
#include "tests/center/acquirer.h"
#include "tests/center/logged_store.h"

namespace tailrace::testing {
namespace {

const std::string kLog = "1700000000000-00000000000000aa";

BOOST_AUTO_TEST_SUITE(janitor)

BOOST_AUTO_TEST_CASE(whoever_comes_second_says_so) {
  const auto store = MemoryStore::make();
  const auto records = store->records();
  const auto files = store->files();
  const Acquirer me = acquirer();
  int tmps = 0;
  const auto step = [&](Janitor& janitor) {
    const auto request = janitor.next();
    janitor.on(call_store(*request, *records, *files, "tmp-" + std::to_string(++tmps)));
    return request;
  };
  BOOST_REQUIRE(records->make_directory(me.names.log(kLog)).ok());
  LaneClaim own = me.claim(LaneClaim::Kind::own, 1, 3);
  own.incarnation = kLog;
  BOOST_REQUIRE(
      records->cas(me.names.own_claim(kLog, 1), own.encode(), Records::Parent::must_exist, "tmp-0")
          .ok());
  SealedLogs known, known_too;
  Janitor first(me, known, kLog, 7, 1, std::nullopt),
      second(me, known_too, kLog, 8, 1, std::nullopt);
  const auto is_done = [&](const std::optional<StoreRequest>& request) {
    const auto* cas = std::get_if<CasRequest>(&*request);
    return cas && cas->name == me.names.own_claim(kLog, 2);
  };
  while (!is_done(first.next())) step(first);
  while (second.next()) step(second);
  BOOST_TEST((second.outcome() == Janitor::Outcome::done));
  while (first.next()) step(first);
  BOOST_TEST((first.outcome() == Janitor::Outcome::later));
  BOOST_TEST(first.error().text == "another Center was quicker to finish it");
}

// A log of one commit with a file of each of these categories; and its announcement.
struct DeadCenter : LoggedStore {
  explicit DeadCenter(const std::vector<std::string>& categories) {
    make_log(kLog, 2, [&](CommitRecord& record) {
      if (record.entry == 0) return;
      for (const std::string& category : categories) {
        CommittedFile& file = record.files.emplace_back();
        file.category = category;
        file.stage = stage_directory(category, kLog) + "/aa";
        file.final_path = category + "/dt=2026-11-30/" + category + ".log";
        auto staged = files->stage(file.stage);
        BOOST_REQUIRE(staged && (*staged)->append({"a line\n"}) && (*staged)->finish());
      }
    });
    LaneClaim own = me.claim(LaneClaim::Kind::own, 1, 3);
    own.incarnation = kLog;
    write(names.own_claim(kLog, 1), own.encode());
    Announcement said;
    said.name = "dead";
    said.state_uuid = me.state_uuid;  // so that it is known to be dead
    write(names.announcement(kLog), said.encode());
    for (const std::string& category : categories)
      write(names.claim({category, 1, 0}, 1), "a claim");
  }
  void block(const std::string& below) {
    store->set_faults([below](const StoreCall& call) {
      const bool of_files = call.op == Op::publish || call.op == Op::list_files;
      return of_files && call.name.starts_with(below) ? Fault::refused : Fault::none;
    });
  }
  Janitor finish(std::set<std::string> told = {}) {
    Janitor janitor(me, sealed, kLog, 7, 1, std::move(told));
    reads.clear();
    drive(janitor);
    return janitor;
  }
  bool stands(const std::string& name) { return store->bytes_of(name) != nullptr; }

  Acquirer me = acquirer("1700000000001-00000000000000bb", "b:1", 5);
  SealedLogs sealed;
};

BOOST_AUTO_TEST_CASE(a_category_that_cannot_be_published_holds_up_no_other) {
  DeadCenter dead({"a", "b", "c"});
  dead.block("b/dt=");
  const Janitor janitor = dead.finish();
  BOOST_TEST((janitor.outcome() == Janitor::Outcome::later));
  BOOST_TEST(janitor.published().size() == 2u);
  BOOST_TEST(dead.stands("a/dt=2026-11-30/a.log"));
  BOOST_TEST(dead.stands("c/dt=2026-11-30/c.log"));
  // Its lanes need not wait: that it is over is said; it stays announced, so that it is finished.
  BOOST_TEST(dead.stands(dead.names.over(kLog)));
  BOOST_TEST(dead.stands(dead.names.announcement(kLog)));
  dead.block("nothing");
  const Janitor again = dead.finish();
  BOOST_TEST((again.outcome() == Janitor::Outcome::done));
  BOOST_TEST(dead.stands("b/dt=2026-11-30/b.log"));
  BOOST_TEST(!dead.stands(dead.names.announcement(kLog)));
  // What is sealed is not read once more.
  for (const std::string& name : dead.reads) BOOST_TEST(name != dead.names.entry(kLog, 0));
}

// Of two files somebody takes one, and the other long after the first was said to be gone.
BOOST_AUTO_TEST_CASE(each_file_that_is_gone_is_said_to_be) {
  DeadCenter dead({"a", "b"});
  const std::string a = stage_directory("a", kLog) + "/aa", b = stage_directory("b", kLog) + "/aa";
  BOOST_REQUIRE(dead.files->remove(a).ok());
  dead.block("b/dt=");
  const Janitor first = dead.finish();
  BOOST_TEST((first.outcome() == Janitor::Outcome::gone));
  BOOST_TEST(first.gone().at(0).stage == a);
  BOOST_TEST((dead.finish({a}).outcome() == Janitor::Outcome::later));
  BOOST_REQUIRE(dead.files->remove(b).ok());
  dead.block("nothing");
  const Janitor second = dead.finish({a});
  BOOST_TEST((second.outcome() == Janitor::Outcome::gone));
  BOOST_TEST(second.gone().size() == 1u);
  BOOST_TEST(second.gone().at(0).stage == b);
  BOOST_TEST((dead.finish({a, b}).outcome() == Janitor::Outcome::done));
}

BOOST_AUTO_TEST_CASE(a_category_that_cannot_be_listed_holds_up_no_other) {
  DeadCenter dead({"a", "b", "c"});
  for (const char* category : {"a", "b", "c"})
    BOOST_REQUIRE(dead.files->stage(stage_directory(category, kLog) + "/rest").ok());
  dead.block("b/_stage");
  const Janitor janitor = dead.finish();
  BOOST_TEST((janitor.outcome() == Janitor::Outcome::later));
  BOOST_TEST(janitor.error().text.find("clearing up after it: ") != std::string::npos);
  BOOST_TEST(!dead.stands("a/_stage/" + kLog + "/rest"));
  BOOST_TEST(dead.stands("b/_stage/" + kLog + "/rest"));
  BOOST_TEST(!dead.stands("c/_stage/" + kLog + "/rest"));
  dead.block("nothing");
  BOOST_TEST((dead.finish().outcome() == Janitor::Outcome::done));
  BOOST_TEST(!dead.stands("b/_stage/" + kLog + "/rest"));
}

BOOST_AUTO_TEST_CASE(no_directory_of_its_own_is_left) {
  DeadCenter dead({"a", "b"});
  BOOST_REQUIRE(dead.files->stage(stage_directory("a", kLog) + "/rest").ok());
  const std::string other = stage_directory("b", "1700000000009-00000000000000cc");
  BOOST_REQUIRE(dead.files->stage(other + "/rest").ok());
  dead.write(dead.names.tmp(kLog) + "/0000000000000001", "a record that got no name");
  BOOST_TEST((dead.finish().outcome() == Janitor::Outcome::done));
  BOOST_TEST(dead.files->list("a/_stage").value().empty());
  BOOST_TEST(dead.files->list("b/_stage").value().size() == 1u);
  BOOST_TEST(dead.stands(other + "/rest"));
  const auto tmp = dead.records->list(parent_path(dead.names.tmp(kLog)));
  BOOST_TEST((std::find(tmp->begin(), tmp->end(), kLog) == tmp->end()));
}

BOOST_AUTO_TEST_CASE(what_is_finished_is_not_cleared_up_again) {
  DeadCenter dead({"a"});
  BOOST_TEST((dead.finish().outcome() == Janitor::Outcome::done));
  dead.block("a/_stage");
  BOOST_TEST((dead.finish().outcome() == Janitor::Outcome::done));
}

BOOST_AUTO_TEST_CASE(names_that_are_not_ours_are_passed_over) {
  DeadCenter dead({"a"});
  dead.write(dead.names.lanes() + "/NOTES of mine", "");
  dead.write(dead.names.logs() + "/" + kLog + ".bad/0000000000", "");
  BOOST_TEST((dead.finish().outcome() == Janitor::Outcome::done));
  Collect collect(dead.names, 9);
  dead.drive(collect);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace::testing
