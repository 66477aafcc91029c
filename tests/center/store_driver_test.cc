// What is left of a driver's calls when its Center ends.
#include "center/store_driver.h"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <utility>

#include "base/spawn.h"
#include "tests/sinks/memory_store.h"

namespace tailrace::testing {
namespace {

const std::string kName = "_tailrace/lane";

asio::awaitable<void> write(StoreDriver& driver) {
  StoreRequest request = CasRequest{kName, "a claim", Records::Parent::make};
  std::function<bool()> always = [] { return true; };
  static_cast<void>(co_await driver.perform(std::move(request), std::move(always)));
}

// A store that can be read, and written to once it has room.
class FullRecords final : public Records {
 public:
  Result<Cas> cas(const std::string&, std::string_view, Parent, const std::string&) override {
    if (full) return Error{Error::Kind::retry_later, "no room"};
    return Cas::won;
  }
  Result<std::optional<std::string>> read(const std::string&) override {
    return std::optional<std::string>();
  }
  Result<std::vector<std::string>> list(const std::string&) override {
    return std::vector<std::string>();
  }
  Result<void> remove(const std::string&) override { return {}; }
  Result<void> make_directory(const std::string&) override { return {}; }
  std::atomic<bool> full = true;
};

asio::awaitable<void> read(StoreDriver& driver, bool& done) {
  StoreRequest request = ReadRequest{kName};
  std::function<bool()> always = [] { return true; };
  static_cast<void>(co_await driver.perform(std::move(request), std::move(always)));
  done = true;
}

// Else a full store would look well for most of the time: who is there is looked at all the while.
BOOST_AUTO_TEST_CASE(what_one_call_waits_for_is_told_though_others_are_answered) {
  FullRecords records;
  const auto files = MemoryStore::make()->files();
  asio::io_context road;
  Workers workers(road, "store", 1);
  StoreDriver driver(road, workers, records, *files, [] { return std::string("tmp"); });
  spawn(road, "a commit", write(driver));
  while (driver.trouble().empty()) road.run_one();
  BOOST_TEST(driver.trouble() == "no room");
  bool done = false;
  spawn(road, "a look", read(driver, done));
  while (!done) road.run_one();
  BOOST_TEST(driver.trouble() == "no room");
  records.full = false;
  road.run();
  BOOST_TEST(driver.trouble().empty());
}

// The address sanitizer sees whether its worker looks at what is gone.
BOOST_AUTO_TEST_CASE(a_call_that_waits_for_its_worker_outlives_the_driver) {
  const auto store = MemoryStore::make();
  const auto records = store->records();
  const auto files = store->files();
  std::promise<void> others;
  asio::io_context road;
  {
    Workers workers(road, "store", 1);
    auto driver = std::make_unique<StoreDriver>(road, workers, *records, *files,
                                                [] { return std::string("_tailrace/tmp"); });
    std::function<void()> busy = [&others] { others.get_future().wait(); };
    spawn(road, "another call", workers.run(std::move(busy)));
    spawn(road, "a call", write(*driver));
    road.poll();
    driver.reset();
    others.set_value();
  }
  BOOST_TEST(records->read(kName).value().value() == "a claim");
}

// Answers only when all that it waits for have come; one of them must come twice.
class Meeting final : public Records {
 public:
  explicit Meeting(size_t guests) : guests_(guests) {}
  Result<std::optional<std::string>> read(const std::string& name) override {
    std::unique_lock lock(mutex_);
    ++came_;
    all_.notify_all();
    if (!all_.wait_for(lock, std::chrono::seconds(20), [this] { return came_ >= guests_; }))
      return Error{Error::Kind::rejected, name + " is alone"};
    if (name == "b" && !std::exchange(refused_, true))
      return Error{Error::Kind::retry_later, "once more"};
    if (name == "absent") return std::optional<std::string>();
    return std::optional<std::string>("of " + name);
  }
  Result<Cas> cas(const std::string&, std::string_view, Parent, const std::string&) override {
    return Cas::lost;
  }
  Result<std::vector<std::string>> list(const std::string&) override {
    return std::vector<std::string>();
  }
  Result<void> remove(const std::string&) override { return {}; }
  Result<void> make_directory(const std::string&) override { return {}; }

 private:
  const size_t guests_;
  std::mutex mutex_;
  std::condition_variable all_;
  size_t came_ = 0;
  bool refused_ = false;
};

asio::awaitable<void> read_all(StoreDriver& driver, StoreReply& reply) {
  StoreRequest request = ReadsRequest{{"a", "b", "absent", "c"}};
  std::function<bool()> always = [] { return true; };
  reply = co_await driver.perform(std::move(request), std::move(always));
}

BOOST_AUTO_TEST_CASE(reads_of_one_request_are_made_at_the_same_time) {
  Meeting records(4);
  const auto files = MemoryStore::make()->files();
  asio::io_context road;
  Workers workers(road, "store", 4);
  StoreDriver driver(road, workers, records, *files, [] { return std::string("_tailrace/tmp"); });
  StoreReply reply;
  spawn(road, "several reads", read_all(driver, reply));
  road.run();
  BOOST_TEST(!reply.error);
  const std::vector<std::optional<std::string>> expected = {"of a", "of b", std::nullopt, "of c"};
  BOOST_TEST((reply.records == expected));
}

}  // namespace
}  // namespace tailrace::testing
