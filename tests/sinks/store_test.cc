// The stores: the suite that all must pass, and what is particular to a directory and to memory.
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "base/random.h"
#include "sinks/store/directory_store.h"
#include "tests/sinks/conformance.h"
#include "tests/sinks/memory_store.h"
#include "tests/sinks/scratch_directory.h"

using namespace tailrace;
using namespace tailrace::testing;

namespace {

std::function<StoreClient()> directory_store(Exclusive exclusive) {
  const auto scratch = std::make_shared<ScratchDirectory>();
  return [scratch, exclusive] {
    auto store = must(open_directory_store(scratch->path(), exclusive));
    return StoreClient{std::move(store.records), std::move(store.files)};
  };
}

std::function<StoreClient()> memory_store() {
  return [store = MemoryStore::make()] { return StoreClient{store->records(), store->files()}; };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(store)

BOOST_AUTO_TEST_CASE(directory_conforms_by_rename) {
  check_store([] { return directory_store(Exclusive::rename); });
}
BOOST_AUTO_TEST_CASE(directory_conforms_by_link) {
  check_store([] { return directory_store(Exclusive::link); });
}
BOOST_AUTO_TEST_CASE(memory_conforms) { check_store(memory_store); }

BOOST_AUTO_TEST_CASE(of_many_who_try_one_wins) {
  constexpr int kThreads = 4, kNames = 50;
  for (const Exclusive exclusive : {Exclusive::rename, Exclusive::link}) {
    const auto client = directory_store(exclusive);
    std::atomic<int> wins[kNames] = {};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        const auto records = client().records;
        for (int i = 0; i < kNames; ++i) {
          const std::string id = std::to_string(t) + "-" + std::to_string(i);
          const auto cas = records->cas("c/" + std::to_string(i), "record " + id,
                                        Records::Parent::make, "tmp/" + id);
          if (cas.ok() && *cas == Cas::won) ++wins[i];
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const auto& n : wins) BOOST_TEST(n == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_root_must_exist) {
  const ScratchDirectory scratch;
  const auto absent = open_directory_store(scratch.path() + "/absent");
  BOOST_REQUIRE(!absent.ok());
  BOOST_TEST(absent.error().text.find(scratch.path() + "/absent") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_control_directory_can_be_set_apart) {
  const ScratchDirectory scratch, apart;
  const auto store = must(open_directory_store(scratch.path()));
  const std::string name = apart.path() + "/c/0", tmp = apart.path() + "/t/1";
  BOOST_TEST((must(store.records->cas(name, "x", Records::Parent::make, tmp)) == Cas::won));
  BOOST_TEST(must(read_file(name, 10)) == "x");
}

// One of each changing call; tests/store_durability_test.py watches its system calls.
BOOST_AUTO_TEST_CASE(for_the_durability_test) {
  const ScratchDirectory scratch;
  const auto store = must(open_directory_store(scratch.path()));
  BOOST_TEST(
      (must(store.records->cas("c/log/0", "x", Records::Parent::make, "c/tmp/1")) == Cas::won));
  BOOST_TEST(must(store.records->read("c/log/0")).has_value());
  const auto file = must(store.files->stage("app/_stage/1/a"));
  must(file->append({"x"}));
  must(file->finish());
  BOOST_TEST((must(store.files->publish("app/_stage/1/a", "app/d/f")) == Published::now));
  must(store.records->remove("c/log/0"));
}

BOOST_AUTO_TEST_CASE(a_crash_between_link_and_unlink_is_mended) {
  // What is left: the record under its name and under its tmp, the file at stage and at its end.
  const ScratchDirectory scratch;
  const auto store = must(open_directory_store(scratch.path(), Exclusive::link));
  const auto file = must(store.files->stage("app/_stage/1/a"));
  must(file->append({"x"}));
  must(file->finish());
  must(store.records->make_directory("app/d"));
  must(store.records->make_directory("c"));
  BOOST_REQUIRE(::link((scratch.path() + "/app/_stage/1/a").c_str(),
                       (scratch.path() + "/app/d/f").c_str()) == 0);
  BOOST_TEST((must(store.files->publish("app/_stage/1/a", "app/d/f")) == Published::now));
  BOOST_TEST(must(store.files->list("app/_stage/1")).empty());

  must(store.records->cas("c/0", "mine", Records::Parent::make, "t/1"));
  BOOST_REQUIRE(::link((scratch.path() + "/c/0").c_str(), (scratch.path() + "/t/1").c_str()) == 0);
  // The same tmp again, with other bytes: the record that is linked to it stays as it is.
  BOOST_TEST((must(store.records->cas("c/0", "other", Records::Parent::make, "t/1")) == Cas::lost));
  BOOST_TEST(must(store.records->read("c/0")).value() == "mine");
}

BOOST_AUTO_TEST_CASE(no_space_is_no_loss) {
  // A limit on file size stands for a full disk: part of the write succeeds, then none.
  const ScratchDirectory scratch;
  const auto store = must(open_directory_store(scratch.path()));
  const auto file = must(store.files->stage("app/_stage/1/a"));
  must(file->append({"0123456789"}));
  struct rlimit before {
  }, small{};
  BOOST_REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  small = before;
  small.rlim_cur = 15;
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto refused = file->append({"abcdefgh", "ijkl"});
  const auto record =
      store.records->cas("c/0", std::string(100, 'r'), Records::Parent::make, "t/1");
  BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, previous);
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST((refused.error().kind == Error::Kind::retry_later));
  BOOST_TEST(refused.error().text.find("app/_stage/1/a") != std::string::npos);
  BOOST_REQUIRE(!record.ok());
  BOOST_TEST((record.error().kind == Error::Kind::retry_later));
  BOOST_TEST(!must(store.records->read("c/0")).has_value());
  BOOST_TEST(must(store.records->list("t")).empty());
  // What the failed call left behind is longer than what comes now: finish() cuts it off.
  BOOST_TEST(file->size() == 10u);
  must(file->append({"AB"}));
  must(file->finish());
  BOOST_TEST(must(store.records->read("app/_stage/1/a")).value() == "0123456789AB");
}

// Each try to write on a full disk would leave a piece there that nobody owns.
BOOST_AUTO_TEST_CASE(what_is_given_up_leaves_nothing) {
  const ScratchDirectory scratch;
  const auto store = must(open_directory_store(scratch.path(), Exclusive::rename));
  const auto left = [&] { return must(store.files->list("a/_stage/x")).size(); };
  auto given_up = must(store.files->stage("a/_stage/x/1"));
  BOOST_TEST(given_up->append({"half a file"}).ok());
  BOOST_TEST(left() == 1u);
  given_up.reset();
  BOOST_TEST(left() == 0u);
  auto finished = must(store.files->stage("a/_stage/x/2"));
  BOOST_TEST(finished->append({"a file"}).ok());
  BOOST_TEST(finished->finish().ok());
  finished.reset();
  BOOST_TEST(left() == 1u);
  // What somebody put in its place is his.
  auto removed = must(store.files->stage("a/_stage/x/3"));
  BOOST_TEST(store.files->remove("a/_stage/x/3").ok());
  const auto other = must(store.files->stage("a/_stage/x/3"));
  removed.reset();
  BOOST_TEST(left() == 2u);
}

BOOST_AUTO_TEST_CASE(files_of_others_are_left_alone) {
  const ScratchDirectory scratch;
  must(make_directories(scratch.path() + "/app/d"));
  must(replace_file(scratch.path() + "/app/d/part-0.gz", "theirs"));
  const auto store = must(open_directory_store(scratch.path()));
  const auto file = must(store.files->stage("app/_stage/1/a"));
  must(file->finish());
  must(store.files->publish("app/_stage/1/a", "app/d/f"));
  BOOST_TEST(must(read_file(scratch.path() + "/app/d/part-0.gz", 10)) == "theirs");
  BOOST_TEST(!store.files->remove("app/d").ok());
}

BOOST_AUTO_TEST_CASE(what_stands_in_the_way_is_named) {
  const ScratchDirectory scratch;
  must(replace_file(scratch.path() + "/app", "a file where the category's directory should be"));
  const auto store = must(open_directory_store(scratch.path()));
  const auto staged = store.files->stage("app/_stage/1/a");
  BOOST_REQUIRE(!staged.ok());
  BOOST_TEST(staged.error().text.find(scratch.path() + "/app") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(faults_do_what_they_say) {
  const auto store = MemoryStore::make();
  const auto records = store->records();
  const auto files = store->files();
  Fault next = Fault::none;
  store->set_faults([&](const StoreCall&) { return std::exchange(next, Fault::none); });
  const auto cas = [&](const char* name, Fault fault) {
    next = fault;
    return records->cas(name, name, Records::Parent::make, std::string("t/") + name);
  };
  BOOST_TEST((cas("c/refused", Fault::refused).error().kind == Error::Kind::retry_later));
  BOOST_TEST(!must(records->read("c/refused")).has_value());
  BOOST_TEST((cas("c/lost", Fault::answer_lost).error().kind == Error::Kind::retry_later));
  BOOST_TEST(must(records->read("c/lost")).has_value());
  BOOST_TEST(!cas("c/late", Fault::late).ok());
  BOOST_TEST(!must(records->read("c/late")).has_value());
  BOOST_TEST(store->run_late() == 1u);
  BOOST_TEST(must(records->read("c/late")).has_value());
  // A late rename finds the name taken, or its tmp taken away, and changes nothing.
  BOOST_TEST(!cas("c/a", Fault::late).ok());
  BOOST_TEST((must(records->cas("c/a", "another", Records::Parent::make, "t/other")) == Cas::won));
  BOOST_TEST(!cas("c/b", Fault::late).ok());
  must(records->remove("t/c/b"));
  BOOST_TEST(store->run_late() == 2u);
  BOOST_TEST(must(records->read("c/a")).value() == "another");
  BOOST_TEST(!must(records->read("c/b")).has_value());
  // A remove that comes twice takes the name's next holder away.
  next = Fault::twice;
  must(records->remove("c/a"));
  must(cas("c/a", Fault::none));
  store->run_late();
  BOOST_TEST(!must(records->read("c/a")).has_value());
}

// Whatever a power cut leaves: all that was promised stands, and nothing that never was.
BOOST_AUTO_TEST_CASE(a_power_cut_takes_what_no_answer_promised) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto store = MemoryStore::make();
    store->may_lose_power();
    const auto records = store->records();
    const auto files = store->files();
    const auto cas = [&](const std::string& name) {
      must(records->cas(name, name, Records::Parent::make, "t/" + std::to_string(seed)));
    };
    cas("c/answered");
    store->durable(store->take_promise());
    cas("d/read");
    must(records->read("d/read"));
    const auto whole = must(files->stage("app/_stage/whole"));
    must(whole->append({"whole"}));
    must(whole->finish());
    const auto part = must(files->stage("app/_stage/part"));
    must(part->append({"part"}));
    must(files->publish("app/_stage/whole", "app/d/whole"));
    cas("c/unheard");
    const uint64_t before = store->power_cuts();
    Rng rng(seed);
    store->power_cut(rng);
    BOOST_TEST(store->power_cuts() == before + 1);
    const auto left = store->content();
    BOOST_TEST(left.contains("c/answered"));
    BOOST_TEST(left.contains("d/read"));
    // Under its old name, its new one, or both; and whole.
    BOOST_TEST((left.contains("app/_stage/whole") || left.contains("app/d/whole")));
    for (const auto& [path, bytes] : left) {
      if (path.ends_with("/whole")) BOOST_TEST(bytes == "whole");
      if (path.ends_with("/part")) BOOST_TEST(std::string("part").starts_with(bytes));
    }
    for (const char* path : {"c/unheard", "app/_stage/whole", "app/d/whole", "app/_stage/part"})
      outcomes.insert(path + std::string(left.contains(path) ? " stands" : " is gone"));
  }
  BOOST_TEST(outcomes.size() == 8u);
}

BOOST_AUTO_TEST_CASE(retrying_through_any_faults_gives_each_name_once) {
  const uint64_t seed = os_random();
  BOOST_TEST_CONTEXT("seed " << seed) {
    const auto store = MemoryStore::make();
    store->set_faults(MemoryStore::random_faults(seed, 0.5));
    Rng rng(seed);
    const auto records = store->records();
    uint64_t tmp = 0;
    for (int name = 0; name < 200; ++name) {
      int winners = 0;
      std::string winner;
      for (const std::string who : {"a", "b", "c"}) {
        while (true) {
          const auto cas = records->cas("c/" + std::to_string(name), who, Records::Parent::make,
                                        "t/" + std::to_string(++tmp));
          if (rng.chance(0.3)) store->run_late(1);
          if (!cas.ok()) continue;
          BOOST_REQUIRE((*cas != Cas::no_directory));
          if (*cas == Cas::won) ++winners, winner = who;
          break;
        }
      }
      BOOST_REQUIRE(winners == 1);
      store->run_late();
      BOOST_TEST(store->content()["c/" + std::to_string(name)] == winner);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
