// Runs what a test stands on until something is true. Thread: the road.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace tailrace::test {

// False: it never was, for `patience_ms`.
template <class Done>
[[nodiscard]] bool run_until(asio::io_context& context, int64_t patience_ms, Done done) {
  const int64_t end_ms = mono_ms() + patience_ms;
  while (!done()) {
    if (mono_ms() > end_ms) return false;
    context.restart();
    context.run_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace tailrace::test
