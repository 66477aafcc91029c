#include "agent/session.h"

#include <boost/test/unit_test.hpp>
#include <ctime>

#include "base/random.h"
#include "tests/agent/model_local.h"
#include "tests/agent/session_rig.h"

namespace tailrace {

BOOST_AUTO_TEST_SUITE(session)

BOOST_AUTO_TEST_CASE(a_quiet_life) {
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  BOOST_TEST(rig.session->live());
  rig.written["f0"] = 3;
  BOOST_TEST(rig.read_batch("a", {"f0"}, 10));
  BOOST_REQUIRE(rig.to_local.size() == 3u);
  BOOST_CHECK(rig.to_local[0].kind == SessionAction::Kind::stream_def);
  BOOST_CHECK(rig.to_local[1].kind == SessionAction::Kind::file_def);
  BOOST_CHECK(rig.to_local[2].kind == SessionAction::Kind::append);
  BOOST_TEST(rig.to_local[2].push);
  BOOST_TEST(!rig.session->all_acked());
  rig.settle(local);
  BOOST_TEST(rig.session->all_final());
  BOOST_TEST(rig.session->lines_final() == 3u);
  judge(rig, local);
}

// Whatever breaks, and whenever: each line once, in order.
BOOST_AUTO_TEST_CASE(against_a_model_of_the_local) {
  const uint64_t seed = os_random();
  BOOST_TEST_MESSAGE("seed " << seed);
  BOOST_TEST_CONTEXT("seed " << seed) {
    uint64_t refused = 0;
    for (uint64_t round = 0; round < 60; ++round) {
      Rng rng(seed + round);
      Rig rig(500 + rng.below(3000));
      ModelLocal local(1 + rng.below(1000));
      const std::string categories[] = {"a", "b"};
      for (int step = 0; step < 400; ++step) {
        const std::string& category = categories[rng.below(2)];
        const uint64_t base = category == "a" ? 0 : 10;
        switch (rng.below(14)) {
          case 0: rig.written[file_name(base + rng.below(4))] += rng.below(5); break;
          case 1:
          case 2:
          case 3:
            if (rig.session->may_read(category) && !rig.session->window_full())
              rig.read_batch(category, {file_name(base + rng.below(4)), file_name(base + 5)},
                             1 + static_cast<uint32_t>(rng.below(4)));
            break;
          case 4:
          case 5:
          case 6: rig.deliver_to_local(local); break;
          case 7:
          case 8: rig.deliver_to_agent(); break;
          case 9: local.make_durable(rig.to_agent); break;
          case 10:
            local.make_durable(rig.to_agent);
            for (const auto& [id, s] : local.durable.streams)
              local.commit(id, rng.below(3), rig.to_agent);
            break;
          case 11:
            local.full[category] = !local.full[category];
            if (!local.full[category]) rig.to_agent.push_back(ModelLocal::Credit{category, false});
            break;
          case 12:
            rig.now_ms += static_cast<int64_t>(rng.below(700));
            rig.session->tick(rig.now_ms);
            rig.carry_out();
            break;
          case 13:
            if (!rig.session->live() || rng.chance(0.3)) {
              if (rng.chance(0.3)) local.crash();
              if (rng.chance(0.4)) rig.crash();
              rig.connect(local);
            } else if (rng.chance(0.2)) {
              rig.disconnect();
            }
            break;
        }
        BOOST_REQUIRE_EQUAL(rig.session->held(), "");
      }
      local.full.clear();
      rig.connect(local);
      for (int i = 0; i < 200; ++i) {
        for (const std::string& category : categories) {
          std::vector<std::string> files;
          for (uint64_t f = category == "a" ? 0 : 10; files.size() < 6; ++f)
            files.push_back(file_name(f));
          if (!rig.session->window_full()) rig.read_batch(category, files, 3);
        }
        rig.settle(local);
      }
      BOOST_REQUIRE_EQUAL(rig.session->held(), "");
      BOOST_REQUIRE(rig.session->all_final());
      judge(rig, local);
      refused += local.refused;
    }
    BOOST_TEST(refused > 0u);
  }
}

BOOST_AUTO_TEST_CASE(refusals_are_not_answered_one_by_one) {
  Rig rig(1 << 20);
  ModelLocal local(1);
  rig.connect(local);
  rig.written["f0"] = 100;
  local.full["a"] = true;
  for (int i = 0; i < 50; ++i) rig.read_batch("a", {"f0"}, 2);
  while (!rig.to_local.empty()) rig.deliver_to_local(local);
  while (!rig.to_agent.empty()) rig.deliver_to_agent();
  BOOST_TEST(rig.to_local.empty());  // paused
  BOOST_TEST(!rig.session->may_read("a"));
  BOOST_TEST(rig.session->may_read("b"));
  local.full["a"] = false;
  rig.to_agent.push_back(ModelLocal::Credit{"a", false});
  rig.deliver_to_agent();
  BOOST_TEST(rig.to_local.size() == 50u);
  rig.settle(local);
  judge(rig, local);
  BOOST_TEST(rig.session->may_read("a"));
}

BOOST_AUTO_TEST_CASE(what_waits_for_room_leaves_the_window_to_the_others) {
  Rig rig(1000);
  ModelLocal local(1);
  rig.connect(local);
  for (const std::string name : {"a", "b", "c", "d"}) rig.written[name] = 1000;
  const auto fill = [&](const std::string& category) {
    while (!rig.session->window_full() && rig.session->may_read(category))
      rig.read_batch(category, {category}, 10);
    while (!rig.to_local.empty()) rig.deliver_to_local(local);
    while (!rig.to_agent.empty()) rig.deliver_to_agent();
  };
  for (const std::string name : {"a", "b"}) {  // each at its share, with a full window under way
    local.full[name] = true;
    fill(name);
    BOOST_TEST(!rig.session->may_read(name));
    BOOST_TEST(!rig.session->window_full());
  }
  rig.read_batch("c", {"c"}, 10);
  rig.settle(local);
  BOOST_TEST(rig.session->flows()["c"].taken == 10u);
  BOOST_TEST(rig.session->flows()["c"].waiting == 0u);
  // But not without end, whatever waits.
  local.full["c"] = local.full["d"] = true;
  fill("c");
  fill("d");
  BOOST_TEST(rig.session->window_full());
  local.full.clear();
  for (const std::string name : {"a", "b", "c", "d"})
    rig.to_agent.push_back(ModelLocal::Credit{name, false});
  for (const std::string name : {"a", "b", "c", "d"}) {
    rig.settle(local);
    while (rig.read_batch(name, {name}, 10)) rig.settle(local);
  }
  BOOST_TEST(rig.session->all_acked());
  judge(rig, local);
}

BOOST_AUTO_TEST_CASE(a_spool_put_back_is_not_believed) {
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  const ModelLocal backup = local;
  rig.written["f0"] = 3;
  rig.read_batch("a", {"f0"}, 10);
  rig.settle(local);
  ModelLocal restored = backup;
  rig.connect(restored);
  BOOST_TEST(rig.session->held().find("older state") != std::string::npos);
  BOOST_TEST(!rig.session->live());
  rig.connect(local);  // the right one again
  BOOST_TEST(rig.session->held() == "");
  rig.crash();
  rig.connect(restored);
  BOOST_TEST(rig.session->held().find("older state") != std::string::npos);
}

void read_and_settle(Rig& rig, ModelLocal& local) {
  rig.connect(local);
  rig.written["f0"] = 3;
  rig.read_batch("a", {"f0"}, 10);
  rig.settle(local);
}

BOOST_AUTO_TEST_CASE(a_spool_that_has_lost_which_file_it_read) {
  Rig rig;
  ModelLocal local(1);
  read_and_settle(rig, local);
  for (auto& [id, file] : local.durable.files) file.identity.clear();
  for (auto& [id, file] : local.taken.files) file.identity.clear();
  rig.connect(local);
  BOOST_TEST(rig.session->held().find("lost which log file number") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_spool_that_has_lost_what_a_stream_is) {
  for (const bool journal_too : {false, true}) {
    Rig rig;
    ModelLocal local(1);
    read_and_settle(rig, local);
    for (auto& [id, stream] : local.durable.streams) stream.category.clear();
    for (auto& [id, stream] : local.taken.streams) stream.category.clear();
    Rig other;
    (journal_too ? other : rig).connect(local);
    BOOST_TEST((journal_too ? other : rig).session->held().find("which category stream 1 is") !=
               std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(another_spool) {
  Rig rig;
  ModelLocal first(1);
  rig.connect(first);
  rig.written["f0"] = 3;
  rig.read_batch("a", {"f0"}, 10);
  while (!rig.to_local.empty()) rig.deliver_to_local(first);
  first.make_durable(rig.to_agent);
  while (!rig.to_agent.empty()) rig.deliver_to_agent();
  ModelLocal second(2);
  rig.crash();
  rig.connect(second);
  BOOST_TEST(rig.session->held().find("3 lines which are not known to be published") !=
             std::string::npos);
  // Once they are published, another spool is no question any more.
  rig.connect(first);
  rig.settle(first);
  BOOST_REQUIRE(rig.session->all_final());
  rig.crash();
  rig.connect(second);
  BOOST_TEST(rig.session->held() == "");
  rig.written["f0"] = 5;
  rig.read_batch("a", {"f0"}, 10);
  rig.settle(second);
  BOOST_TEST(rig.session->held() == "");
  const auto& lines = second.durable.streams[1].lines;
  BOOST_REQUIRE(lines.size() == 2u);
  BOOST_TEST(lines[0].at == 30u);
}

BOOST_AUTO_TEST_CASE(a_lost_journal) {
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  rig.written["f0"] = 3;
  rig.read_batch("a", {"f0"}, 10);
  rig.settle(local);
  rig.disk.clear();
  rig.start();
  rig.connect(local);
  BOOST_TEST(rig.session->held() == "");
  BOOST_TEST(rig.read["f0"] == 30u);
  rig.written["f0"] = 4;
  rig.read_batch("a", {"f0"}, 10);
  rig.settle(local);
  judge(rig, local);
}

// Behind a gap the Local has no hashes: ours, of the same place, stay.
BOOST_AUTO_TEST_CASE(hashes_that_the_local_has_lost) {
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  rig.written["f0"] = 3;
  rig.read_batch("a", {"f0"}, 10);
  rig.settle(local);
  const FilePosition known = rig.session->state().file_of("f0")->acked;
  for (auto* tables : {&local.taken, &local.durable})
    for (auto& [id, file] : tables->files) file.next.head_hash = file.next.tail_hash = 0;
  rig.crash();
  rig.connect(local);
  BOOST_CHECK(rig.session->state().file_of("f0")->acked == known);
  BOOST_TEST(!known.unproven());
}

BOOST_AUTO_TEST_CASE(a_liar) {
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  rig.written["f0"] = 3;
  rig.read_batch("a", {"f0"}, 10);
  rig.session->ack(1, 2);
  BOOST_TEST(rig.session->held().find("where no batch ends") != std::string::npos);
  rig.connect(local);
  rig.session->ack(1, 4);
  BOOST_TEST(!rig.session->live());
  rig.connect(local);
  rig.session->ack(9, 4);
  BOOST_TEST(!rig.session->live());
  rig.connect(local);
  rig.session->committed({{local.sink, 1, 77}});
  BOOST_TEST(rig.session->held().find("no such line was sent") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(gaps_and_ends_are_told_until_they_are_known) {
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  rig.written["f0"] = 3;
  rig.read_batch("a", {"f0"}, 10);
  const FileId id = rig.session->state().file_of("f0")->id;
  rig.session->gap(id, 30, UINT64_MAX, "copytruncate");
  rig.session->gone(id, 30);
  rig.carry_out();
  BOOST_CHECK(rig.to_local.back().kind == SessionAction::Kind::file_gap);  // gone waits for the ack
  rig.crash();  // nothing of it had arrived
  rig.connect(local);
  BOOST_TEST(rig.session->gaps() == 1u);  // the lines that died with the process
  rig.settle(local);
  BOOST_TEST(local.durable.gaps.size() == 2u);
  rig.written["f1"] = 1;
  rig.read_batch("a", {"f1"}, 10);
  rig.settle(local);
  BOOST_TEST(rig.session->state().notices.empty());
  BOOST_TEST(!rig.session->state().file(id));
  BOOST_TEST(!local.durable.files.contains(id));
}

// A folder of many files that is removed: the work is that of each file, however many there are.
// Half of them have a batch under way and wait for its ack.
BOOST_AUTO_TEST_CASE(many_files_end_together) {
  constexpr FileId kFiles = 20'000;
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  rig.written["f0"] = 1;
  rig.read_batch("a", {"f0"}, 10);
  rig.settle(local);
  const FileId first = rig.session->state().next_file;
  for (FileId i = 0; i < kFiles; ++i)
    (void)rig.session->define_file("many" + std::to_string(i), "/f", 0, "a");
  const std::clock_t start = std::clock();
  for (FileId i = 0; i < kFiles; ++i) rig.session->gone(first + i, i % 2 * 10);
  BOOST_TEST(std::clock() - start < 3 * CLOCKS_PER_SEC);  // of the CPU; it takes a tenth
  std::vector<FileId> told;
  std::vector<FileId> want;
  for (const SessionAction& a : rig.session->actions())
    if (a.kind == SessionAction::Kind::file_gone) told.push_back(a.file);
  for (FileId i = 0; i < kFiles; i += 2) want.push_back(first + i);
  BOOST_TEST((told == want));
  // All are told again to whoever is connected next; those that wait are given up with the process.
  rig.carry_out();
  rig.crash();
  rig.connect(local);
  rig.settle(local);
  BOOST_TEST(local.durable.gaps.size() == kFiles / 2);
  BOOST_TEST(rig.session->gaps() == kFiles / 2);
}

BOOST_AUTO_TEST_CASE(flush_is_said_again) {
  Rig rig;
  ModelLocal local(1);
  rig.connect(local);
  rig.written["f0"] = 1;
  rig.read_batch("a", {"f0"}, 10);
  rig.session->flush();
  rig.disconnect();
  rig.connect(local);
  while (!rig.to_local.empty()) rig.deliver_to_local(local);
  BOOST_TEST(local.flushed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
