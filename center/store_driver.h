// Carries a store procedure out: each request on a worker of the store's, what may succeed later
// again. Thread: the road. The only place at a Center where a store's trouble is waited out.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/workers.h"
#include "center/names.h"
#include "center/store_procedure.h"

namespace tailrace {

class StoreDriver {
 public:
  // All must outlive the driver; records and files the workers, too. `tmp_name` gives a tmp path
  // never used before.
  StoreDriver(asio::io_context& road, Workers& workers, Records& records, Files& files,
              std::function<std::string()> tmp_name);

  // Drives `procedure` to its end. `current` is asked before each step: false ends it untouched
  // (its incarnation is over, and what it refers to with it). Returns whether it came to its own
  // end.
  asio::awaitable<bool> drive(std::shared_ptr<StoreProcedure> procedure,
                              std::function<bool()> current);
  // One request, repeated while the answer is retry_later (not PublishRequest). Of ReadsRequest
  // each read is on a worker of its own, and repeated by itself.
  asio::awaitable<StoreReply> perform(StoreRequest request, std::function<bool()> current);
  // Not empty: what the store says to the call that has been repeated for the longest time.
  [[nodiscard]] std::string trouble() const {
    return troubles_.empty() ? std::string() : troubles_.begin()->second;
  }

 private:
  struct Several;
  asio::awaitable<void> pause(int64_t ms);
  asio::awaitable<StoreReply> read_all(std::vector<std::string> names,
                                       std::function<bool()> current);
  asio::awaitable<void> read_one(std::shared_ptr<Several> several, size_t at, std::string name,
                                 std::function<bool()> current);

  asio::io_context& road_;
  Workers& workers_;
  Records& records_;
  Files& files_;
  std::function<std::string()> tmp_name_;
  uint64_t calls_ = 0;
  std::map<uint64_t, std::string> troubles_;  // of calls that are repeated now, by their number
};

}  // namespace tailrace
