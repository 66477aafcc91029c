// Worker, Bell and spawn: how the road waits for other threads and for itself.
#include <asio/executor_work_guard.hpp>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/bell.h"
#include "base/clock.h"
#include "base/pool.h"
#include "base/spawn.h"
#include "base/workers.h"

using namespace tailrace;

namespace {

asio::awaitable<void> ask(Worker& worker, int job, std::vector<int>& begun,
                          std::vector<int>& resumed, std::thread::id& ran_on) {
  auto work = [job, &begun, &ran_on] {
    begun.push_back(job);
    ran_on = std::this_thread::get_id();
  };
  co_await worker.run(work);
  resumed.push_back(job);
}

asio::awaitable<void> wait_on(Bell& bell, int64_t most_ms, int& woken) {
  co_await bell.wait(most_ms);
  ++woken;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(road)

BOOST_AUTO_TEST_CASE(work_runs_elsewhere_in_order_and_comes_back) {
  asio::io_context io(1);
  std::vector<int> begun, resumed;
  std::thread::id ran_on;
  Worker worker(io, "test-worker");
  for (int job = 0; job < 50; ++job) spawn(io, "ask", ask(worker, job, begun, resumed, ran_on));
  io.run();  // an outstanding job keeps the road going
  std::vector<int> all(50);
  for (int i = 0; i < 50; ++i) all[static_cast<size_t>(i)] = i;
  BOOST_TEST(begun == all, boost::test_tools::per_element());
  BOOST_TEST(resumed == all, boost::test_tools::per_element());
  BOOST_TEST((ran_on != std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(a_job_whose_caller_has_gone_still_ends) {
  std::vector<int> begun, resumed;
  std::thread::id ran_on;
  {
    asio::io_context io(1);
    Worker worker(io, "test-worker");
    spawn(io, "ask", ask(worker, 1, begun, resumed, ran_on));
    io.run_one();  // the coroutine starts and asks
    io.stop();
  }  // the worker joins, then the road drops the caller
  BOOST_TEST(begun == std::vector<int>{1}, boost::test_tools::per_element());
  BOOST_TEST(resumed.empty());
}

// As a role does: its coroutines are all that keeps it and its worker alive.
BOOST_AUTO_TEST_CASE(a_road_that_dies_waits_for_work_that_would_come_back) {
  std::weak_ptr<Worker> worker;
  std::atomic<bool> done = false;
  {
    asio::io_context io(1);
    auto made = std::make_shared<Worker>(io, "test-worker");
    worker = made;
    const auto task = [](std::shared_ptr<Worker> self,
                         std::atomic<bool>& d) -> asio::awaitable<void> {
      std::function<void()> work = [&d] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        d = true;
      };
      co_await self->run(std::move(work));
    };
    spawn(io, "task", task(std::move(made), done));
    io.run_one();
    BOOST_TEST(!worker.expired());
  }
  BOOST_TEST(done);
  BOOST_TEST(worker.expired());
}

BOOST_AUTO_TEST_CASE(a_worker_lets_go_of_what_it_was_given_before_the_caller_goes_on) {
  asio::io_context io(1);
  Worker worker(io, "test-worker");
  auto held = std::make_shared<int>(1);
  long uses = 0;
  const auto task = [](Worker& w, std::shared_ptr<int>& h, long& u) -> asio::awaitable<void> {
    std::function<void()> work = [copy = h] {};
    co_await w.run(std::move(work));
    u = h.use_count();
  };
  spawn(io, "task", task(worker, held, uses));
  io.run();
  BOOST_TEST(uses == 1);
}

BOOST_AUTO_TEST_CASE(one_of_several_workers_that_waits_holds_up_no_other) {
  asio::io_context io(1);
  Workers workers(io, "test-worker", 2);
  std::atomic<bool> let_go = false;
  std::vector<int> ended;
  const auto task = [](Workers& w, std::function<void()> work, int job,
                       std::vector<int>& into) -> asio::awaitable<void> {
    co_await w.run(std::move(work));
    into.push_back(job);
  };
  std::function<void()> waits = [&let_go] {
    while (!let_go) std::this_thread::yield();
  };
  spawn(io, "waits", task(workers, waits, 0, ended));
  for (int job = 1; job <= 3; ++job) {
    spawn(io, "task",
          task(
              workers, [] {}, job, ended));
    while (ended.size() < static_cast<size_t>(job)) io.run_one();
  }
  BOOST_TEST(ended == (std::vector<int>{1, 2, 3}), boost::test_tools::per_element());
  let_go = true;
  io.run();
  BOOST_TEST(ended.back() == 0);
}

BOOST_AUTO_TEST_CASE(a_bell_rung_before_the_wait_is_heard) {
  asio::io_context io(1);
  const auto work = asio::make_work_guard(io);
  Bell bell(io);
  int woken = 0;
  bell.ring();
  bell.ring();  // kept as one
  spawn(io, "wait", wait_on(bell, -1, woken));
  io.poll();
  BOOST_TEST(woken == 1);
  spawn(io, "wait", wait_on(bell, -1, woken));
  io.poll();
  BOOST_TEST(woken == 1);
  bell.ring();
  io.poll();
  BOOST_TEST(woken == 2);
}

BOOST_AUTO_TEST_CASE(a_bell_waits_no_longer_than_told) {
  asio::io_context io(1);
  Bell bell(io);
  int woken = 0;
  const int64_t start = mono_ms();
  spawn(io, "wait", wait_on(bell, 20, woken));
  io.run();
  BOOST_TEST(woken == 1);
  BOOST_TEST(mono_ms() - start >= 19);
  spawn(io, "wait", wait_on(bell, 60'000, woken));
  io.restart();
  io.poll();
  BOOST_TEST(woken == 1);
  bell.ring();
  io.run();
  BOOST_TEST(woken == 2);
}

BOOST_AUTO_TEST_CASE(clocks_agree_with_time) {
  const int64_t a = mono_ms();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  BOOST_TEST(mono_ms() - a >= 4);
  BOOST_TEST(wall_ms() > 1'700'000'000'000);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(pool)

struct Thing {
  std::string text;
  int resets = 0;
  void reset() {
    text.clear();
    ++resets;
  }
};

BOOST_AUTO_TEST_CASE(what_is_let_go_of_is_used_again_with_its_memory) {
  Pool<Thing> things(4);
  auto first = things.get();
  first->text.assign(1000, 'x');
  const Thing* address = first.get();
  first.reset();
  const auto again = things.get();
  BOOST_TEST(again.get() == address);
  BOOST_TEST(again->text.empty());
  BOOST_TEST(again->text.capacity() >= 1000u);
  BOOST_TEST(again->resets == 1);
}

BOOST_AUTO_TEST_CASE(nothing_is_lent_twice) {
  Pool<Thing> things(3);
  std::vector<std::shared_ptr<Thing>> lent;
  for (int i = 0; i < 10; ++i) lent.push_back(things.get());  // more than it keeps
  for (size_t i = 0; i < lent.size(); ++i)
    for (size_t j = i + 1; j < lent.size(); ++j) BOOST_TEST(lent[i] != lent[j]);
  std::vector<Thing*> kept;
  for (int i = 0; i < 3; ++i) kept.push_back(lent[static_cast<size_t>(i)].get());
  lent.clear();
  for (int i = 0; i < 3; ++i) lent.push_back(things.get());
  for (const auto& thing : lent) BOOST_TEST(std::count(kept.begin(), kept.end(), thing.get()) == 1);
}

BOOST_AUTO_TEST_CASE(other_threads_may_let_go) {
  Pool<Thing> things(2);
  const Thing* seen = nullptr;
  for (int i = 0; i < 200; ++i) {
    auto thing = things.get();
    thing->text = std::to_string(i);
    seen = thing.get();
    std::thread([moved = std::move(thing)]() mutable { moved->text += "!"; }).join();
  }
  const auto a = things.get();
  const auto b = things.get();
  BOOST_TEST((a.get() == seen || b.get() == seen));
}

BOOST_AUTO_TEST_SUITE_END()
