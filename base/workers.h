// Several workers of one name: each piece of work goes to the one that has least to do, so that one
// that waits for an answer holds up no other. Thread: the road, as base/worker.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/worker.h"

namespace tailrace {

class Workers {
 public:
  // `count`: at least 1. With more than one, work does not run in the order in which it is asked
  // for.
  Workers(asio::io_context& road, const std::string& name, size_t count);

  // As Worker::run().
  asio::awaitable<void> run(std::function<void()> work);

 private:
  struct One {
    One(asio::io_context& road, const std::string& name) : worker(road, name) {}
    Worker worker;
    size_t jobs = 0;  // that it has or that wait for it
  };
  std::vector<std::unique_ptr<One>> all_;
};

}  // namespace tailrace
