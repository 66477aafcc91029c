#include "agent/file_table.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "base/random.h"
#include "tests/agent/table_rig.h"

namespace tailrace {

namespace {
using Rig = TableRig;
}  // namespace

BOOST_AUTO_TEST_SUITE(file_table)

BOOST_AUTO_TEST_CASE(found_written_found_again) {
  Rig rig;
  rig.dir.write("a.log", "1\n2\n");
  rig.dir.write("a.txt", "no\n");
  check(rig.second({"a.log", "a.txt"}), {"1", "2"});
  rig.dir.append("a.log", "3\npart");
  check(rig.second(), {"3"});
  rig.dir.append("a.log", "ial\n");
  check(rig.second(), {"partial"});
  rig.scan();
  check(rig.second(), {});
  rig.restart();
  check(rig.collect(), {});
  rig.dir.append("a.log", "4\n");
  check(rig.second(), {"4"});
  BOOST_TEST(rig.session->gaps() == 0u);
}

// T05: a line written in two halves, the agent stopped between them: one whole line.
BOOST_AUTO_TEST_CASE(half_a_line_waits_for_its_end) {
  Rig rig;
  rig.dir.write("a.log", "whole\nfirst half, ");
  check(rig.second({"a.log"}), {"whole"});
  rig.table->drain(rig.clock, false);
  check(rig.second(), {});
  BOOST_TEST(rig.table->all_read());
  rig.restart();
  rig.dir.append("a.log", "second half\n");
  check(rig.second(), {"first half, second half"});
}

BOOST_AUTO_TEST_CASE(rotated_by_rename_inside_and_outside_the_glob) {
  for (const char* to : {"b.log", "a.log.1"}) {
    BOOST_TEST_CONTEXT(to) {
      Rig rig;
      rig.dir.write("a.log", "1\n");
      check(rig.second({"a.log"}), {"1"});
      const auto writer = open_file(rig.dir / "a.log", O_WRONLY | O_APPEND);
      rig.dir.rename("a.log", to);
      rig.dir.write("a.log", "new 1\n");
      BOOST_REQUIRE(write_all(writer->get(), "2\n").ok());
      check(rig.second({"a.log", to}), {"new 1", "2"});
      // The writer has it open for long after the rename.
      BOOST_REQUIRE(write_all(writer->get(), "3\nhalf").ok());
      check(rig.second(), {"3"});
      for (int i = 0; i < 30; ++i) check(rig.second(), {});
      BOOST_REQUIRE(write_all(writer->get(), " done\n").ok());
      check(rig.second(), {"half done"});
      BOOST_REQUIRE(write_all(writer->get(), "no newline").ok());
      check(rig.second(), {});
      const_cast<Fd&>(*writer).reset();
      Lines rest;
      for (int i = 0; i < 70; ++i)
        for (auto& l : rig.quiet_second()) rest.push_back(l);
      check(rest, {"no newline"});
      rig.dir.append("a.log", "new 2\n");
      check(rig.second(), {"new 2"});
      BOOST_TEST(rig.session->gaps() == 0u);
      // Its newline comes after all, or more: as the rules say.
      rig.restart();
      rig.dir.append(to, "\n");
      rig.scan();
      check(rig.second(), {});
      rig.dir.append(to, "later\n");
      rig.scan();
      if (std::string(to) == "b.log") check(rig.second(), {"later"});
    }
  }
}

BOOST_AUTO_TEST_CASE(deleted_while_open) {
  Rig rig;
  rig.acking = false;
  rig.dir.write("a.log", "1\n");
  check(rig.second({"a.log"}), {"1"});
  auto writer = open_file(rig.dir / "a.log", O_WRONLY | O_APPEND);
  rig.dir.remove("a.log");
  BOOST_REQUIRE(write_all(writer->get(), "2\nend").ok());
  check(rig.second({"a.log"}), {"2"});
  const_cast<Fd&>(*writer).reset();
  Lines rest;
  for (int i = 0; i < 70; ++i)
    for (auto& l : rig.quiet_second()) rest.push_back(l);
  check(rest, {"end"});
  BOOST_TEST(rig.table->size() == 1u);  // not acked: it stays open
  const StreamRecord* s = rig.journal.state().stream(1);
  rig.session->ack(1, s->next_seq);
  rig.second();
  BOOST_TEST(rig.table->size() == 0u);
  BOOST_TEST(rig.session->gaps() == 0u);
}

// T12: three renames while the agent was down, one of them out of the glob.
BOOST_AUTO_TEST_CASE(rotated_while_stopped) {
  for (const bool by_handle : {true, false}) {
    Rig rig("app*.log");
    rig.dir.write("app.log", "a1\n");
    rig.dir.write("app1.log", "b1\n");
    rig.dir.write("app2.log", "c1\n");
    check(rig.second({"app.log", "app1.log", "app2.log"}), {"a1", "b1", "c1"});
    rig.table.reset();
    rig.dir.append("app.log", "a2\n");
    rig.dir.append("app1.log", "b2\n");
    rig.dir.append("app2.log", "c2\n");
    rig.dir.make("old");
    rig.dir.rename("app2.log", by_handle ? "old/c" : "c.gone");
    rig.dir.rename("app1.log", "app2.log");
    rig.dir.rename("app.log", "app1.log");
    rig.dir.write("app.log", "d1\n");
    rig.restart();
    Lines got = rig.collect();
    std::sort(got.begin(), got.end());
    if (by_handle && rig.session->gaps() > 0) {  // no right to open by handle: reported, not silent
      check(got, {"a2", "b2", "d1"});
      continue;
    }
    check(got, {"a2", "b2", "c2", "d1"});
    BOOST_TEST(rig.session->gaps() == 0u);
    for (int i = 0; i < 70; ++i) check(rig.quiet_second(), {});
    rig.restart();
    check(rig.collect(), {});
    BOOST_TEST(rig.session->gaps() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(deleted_while_stopped_is_said) {
  Rig rig;
  rig.dir.write("a.log", "1\n");
  check(rig.second({"a.log"}), {"1"});
  rig.table.reset();
  rig.dir.remove("a.log");
  rig.restart();
  const auto gaps = rig.gaps();
  BOOST_REQUIRE(gaps.size() == 1u);
  BOOST_TEST(gaps[0].start == 2u);
  BOOST_TEST(gaps[0].end == UINT64_MAX);
  BOOST_TEST(gaps[0].reason == "deleted");
  rig.restart();
  BOOST_TEST(rig.gaps().size() <= 1u);  // once
}

// T16, scaled to 2,000 cycles: the same name made and deleted over and over, each from its byte 0.
BOOST_AUTO_TEST_CASE(the_same_name_again_and_again) {
  Rig rig;
  Lines got;
  Lines want;
  for (int i = 0; i < 2000; ++i) {
    const std::string line = "generation " + std::to_string(i % 100 == 0 ? i : i % 10);
    rig.dir.write("a.log", line + "\n");
    want.push_back(line);
    rig.table->look(rig.dir / "a.log", rig.clock);
    for (auto& l : rig.collect()) got.push_back(l);
    rig.dir.remove("a.log");
    if (i % 2) rig.table->look(rig.dir / "a.log", rig.clock);
    rig.table->tick(rig.clock);
  }
  BOOST_TEST((got == want));
  BOOST_TEST(rig.session->gaps() == 0u);
  for (int i = 0; i < 70; ++i) rig.quiet_second({"a.log"});
  BOOST_TEST(rig.table->size() == 0u);
  BOOST_TEST(rig.table->open_files() == 0u);
}

// T17: another, larger file under the name when the agent comes back.
BOOST_AUTO_TEST_CASE(replaced_while_stopped) {
  Rig rig;
  rig.dir.write("a.log", "old 1\nold 2\n");
  check(rig.second({"a.log"}), {"old 1", "old 2"});
  rig.table.reset();
  rig.dir.remove("a.log");
  rig.dir.write("a.log", "new 1\nnew 2\nnew 3\n");
  rig.restart();
  check(rig.collect(), {"new 1", "new 2", "new 3"});
  BOOST_TEST(rig.gaps().size() == 1u);
}

// T17 where inode and birth are the same: the bytes before the offset tell. T20: the offset is
// beyond.
BOOST_AUTO_TEST_CASE(written_anew_while_stopped) {
  for (const char* text : {"new 1\nnew 2\nnew 3\n", "n\n"}) {
    Rig rig;
    rig.dir.write("a.log", "old 1\nold 2\n");
    check(rig.second({"a.log"}), {"old 1", "old 2"});
    rig.table.reset();
    rig.dir.write("a.log", text);
    rig.restart();
    Lines want = {"new 1", "new 2", "new 3"};
    if (text[1] == '\n') want = {"n"};
    check(rig.collect(), want);
    BOOST_REQUIRE(rig.gaps().size() == 1u);
    BOOST_TEST(rig.gaps()[0].start == 12u);
    BOOST_TEST(rig.gaps()[0].reason == "copytruncate");
    rig.dir.append("a.log", "more\n");
    check(rig.second(), {"more"});
    rig.restart();
    check(rig.collect(), {});
  }
}

// copytruncate under a writer: nothing twice, and whenever something was swallowed a FILE_GAP says
// so.
BOOST_AUTO_TEST_CASE(copytruncate) {
  const uint64_t seed = os_random();
  BOOST_TEST_CONTEXT("seed " << seed) {
    Rng rng(seed);
    Rig rig("a.log");
    rig.dir.write("a.log", "");
    rig.second({"a.log"});
    uint64_t line = 0;
    std::map<std::string, int> seen;
    uint64_t truncated_unread = 0;
    uint64_t unread = 0;
    for (int i = 0; i < 600; ++i) {
      const uint64_t n = rng.below(6);
      std::string text;
      for (uint64_t k = 0; k < n; ++k) text += "line number " + std::to_string(line++) + "\n";
      rig.dir.append("a.log", text);
      unread += n;
      if (rng.chance(0.6)) {
        for (auto& l : rig.second()) ++seen[l];
        unread = 0;
      }
      if (rng.chance(0.2)) {
        rig.dir.write("a.log.1", *read_file(rig.dir / "a.log", 1 << 20));
        BOOST_REQUIRE(::truncate((rig.dir / "a.log").c_str(), 0) == 0);
        if (unread > 0) ++truncated_unread;
        unread = 0;
      }
    }
    for (auto& l : rig.second()) ++seen[l];
    for (const auto& [l, times] : seen)
      BOOST_REQUIRE_MESSAGE(times == 1, l << " " << times << " times");
    const uint64_t lost = line - seen.size();
    BOOST_TEST_MESSAGE("lost " << lost << ", gaps " << rig.session->gaps());
    if (lost > 0) BOOST_TEST(rig.session->gaps() > 0u);
  }
}

BOOST_AUTO_TEST_CASE(one_file_under_many_names_is_read_once) {
  Rig rig;
  rig.dir.write("a.log", "1\n");
  BOOST_REQUIRE(::link((rig.dir / "a.log").c_str(), (rig.dir / "b.log").c_str()) == 0);
  BOOST_REQUIRE(::symlink("a.log", (rig.dir / "c.log").c_str()) == 0);
  check(rig.second({"a.log", "b.log", "c.log"}), {"1"});
  rig.dir.append("b.log", "2\n");
  check(rig.second(), {"2"});
  rig.dir.remove("a.log");
  check(rig.second({"a.log"}), {});
  rig.dir.append("b.log", "3\n");
  check(rig.second(), {"3"});
  rig.scan();
  check(rig.second(), {});
}

BOOST_AUTO_TEST_CASE(out_of_the_glob_and_back) {
  Rig rig;
  rig.dir.write("a.log", "1\n");
  check(rig.second({"a.log"}), {"1"});
  rig.dir.rename("a.log", "a.old");
  for (int i = 0; i < 70; ++i) check(rig.quiet_second({"a.log", "a.old"}), {});
  BOOST_TEST(rig.table->size() == 0u);  // parked: closed, but not forgotten
  rig.dir.rename("a.old", "b.log");
  check(rig.second({"a.old", "b.log"}), {});
  rig.dir.append("b.log", "2\n");
  check(rig.second(), {"2"});
  // Parked, and deleted out there: forgotten.
  rig.dir.rename("b.log", "b.old");
  for (int i = 0; i < 70; ++i) check(rig.quiet_second({"b.log", "b.old"}), {});
  rig.dir.remove("b.old");
  for (int i = 0; i < 30; ++i) rig.quiet_second({"b.old"});
  rig.dir.write("c.log", "3\n");
  check(rig.second({"c.log"}), {"3"});
  BOOST_TEST(rig.journal.state().files.size() == 1u);
  BOOST_TEST(rig.session->gaps() == 0u);
}

BOOST_AUTO_TEST_CASE(once_reads_what_stood_there) {
  FileTableOptions options;
  options.once = true;
  Rig rig("*.log", options);
  rig.dir.write("a.log", "1\nunterminated");
  rig.scan();
  rig.table = std::make_unique<FileTable>(*rig.rules, rig.sources, *rig.session, options);
  rig.scan();
  rig.dir.append("a.log", " but more came\n");
  rig.dir.write("b.log", "too late\n");
  rig.table->place_all(rig.clock);
  rig.scan();
  check(rig.collect(), {"1", "unterminated"});
  BOOST_TEST(rig.table->all_read());
  rig.table = std::make_unique<FileTable>(*rig.rules, rig.sources, *rig.session, options);
  rig.scan();
  rig.table->place_all(rig.clock);
  check(rig.collect(), {" but more came", "too late"});
}

BOOST_AUTO_TEST_CASE(few_descriptors) {
  FileTableOptions options;
  options.most_open = 8;
  Rig rig("*.log", options);
  Lines want;
  for (int i = 0; i < 200; ++i) {
    rig.dir.write("f" + std::to_string(i) + ".log", "x\n");
    want.push_back("x");
  }
  rig.scan();
  check(rig.second(), want);
  BOOST_TEST(rig.table->open_files() <= 8u);
  for (int i = 0; i < 200; ++i) rig.dir.append("f" + std::to_string(i) + ".log", "x\n");
  check(rig.second(), want);
  rig.dir.rename("f7.log", "f7.old");
  rig.dir.append("f7.old", "late\n");
  check(rig.second({"f7.log", "f7.old"}), {"late"});
}

BOOST_AUTO_TEST_CASE(what_may_not_be_read_is_named) {
  if (::getuid() == 0) return;  // root may read all
  Rig rig;
  rig.dir.write("a.log", "1\n");
  BOOST_REQUIRE(::chmod((rig.dir / "a.log").c_str(), 0) == 0);
  check(rig.second({"a.log"}), {});
  BOOST_TEST(rig.table->unreadable().size() == 1u);
  BOOST_REQUIRE(::chmod((rig.dir / "a.log").c_str(), 0600) == 0);
  rig.scan();
  check(rig.second(), {"1"});
  BOOST_TEST(rig.table->unreadable().empty());
}

// Of a lost spool a sink has the first of a.log and nothing else: that is read again first, alone.
BOOST_AUTO_TEST_CASE(what_a_sink_has_is_read_again_before_anything_else) {
  Rig rig;
  rig.acking = false;
  rig.dir.write("a.log", "a1\na2\n");
  check(rig.second({"a.log"}), {"a1", "a2"});
  rig.dir.append("a.log", "a3\n");
  rig.dir.write("b.log", "b1\n");
  check(rig.second({"b.log"}), {"b1", "a3"});
  rig.journal.set_spool(2);
  rig.journal.restart(1, 0, {{"quick", 2}});
  rig.dir.write("c.log", "c1\n");
  rig.restart();
  BOOST_TEST(!rig.table->all_read());
  check(rig.collect(), {"a1", "a2"});
  BOOST_TEST(!rig.table->all_read());
  BOOST_TEST(rig.table->unread(0) == 9u);  // what waits counts
  BOOST_TEST(rig.table->oldest_unread_ms() > 0);
  for (int seconds = 0; seconds < 200; ++seconds) check(rig.second(), {});
  rig.acking = true;
  rig.session->ack(1, 2);
  const auto& actions = rig.session->actions();
  BOOST_TEST((actions.back().kind == SessionAction::Kind::origin));
  BOOST_TEST(actions.back().seq == 2u);
  Lines rest = rig.second();
  std::sort(rest.begin(), rest.end());
  check(rest, {"a3", "b1", "c1"});
  rig.dir.append("a.log", "a4\n");
  check(rig.second(), {"a4"});
  BOOST_TEST(rig.table->all_read());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
