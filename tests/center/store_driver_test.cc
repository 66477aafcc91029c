// What is left of a driver's calls when its Center ends.
#include "center/store_driver.h"

#include <boost/test/unit_test.hpp>
#include <future>

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

}  // namespace
}  // namespace tailrace::testing
