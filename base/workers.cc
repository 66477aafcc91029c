#include "base/workers.h"

#include <algorithm>

namespace tailrace {

Workers::Workers(asio::io_context& road, const std::string& name, size_t count) {
  for (size_t i = 0; i < std::max<size_t>(count, 1); ++i)
    all_.push_back(std::make_unique<One>(road, name));
}

asio::awaitable<void> Workers::run(std::function<void()> work) {
  One& one = **std::min_element(all_.begin(), all_.end(),
                                [](const auto& a, const auto& b) { return a->jobs < b->jobs; });
  ++one.jobs;
  co_await one.worker.run(std::move(work));
  --one.jobs;
}

}  // namespace tailrace
