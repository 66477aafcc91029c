// Ctrl-C and SIGTERM: the first asks to stop, the second ends the process at once, even while the
// road is blocked in a call.
// Thread: the road. One at a time in a process: signals belong to it as a whole.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "base/result.h"

namespace tailrace {

class StopSignals {
 public:
  explicit StopSignals(asio::io_context& road) : reader_(road) {}
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  Result<void> install();
  // Returns when the first one has come (at once if it has), or when cancel() was called.
  asio::awaitable<void> wait();
  void cancel();
  [[nodiscard]] static bool came();

 private:
  asio::posix::stream_descriptor reader_;
};

}  // namespace tailrace
