// A bell on the road: one coroutine waits, others ring. Rings while nobody waits are kept as one.
// Thread: the road; belongs to the object whose state it announces.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>

namespace tailrace {

class Bell {
 public:
  explicit Bell(asio::io_context& road) : timer_(road) {}

  void ring() {
    rung_ = true;
    timer_.cancel();
  }
  // Returns when rung (at once if it rang since the last wait) or after `most_ms`, if that is >= 0.
  asio::awaitable<void> wait(int64_t most_ms = -1) {
    if (!rung_) {
      if (most_ms >= 0)
        timer_.expires_after(std::chrono::milliseconds(most_ms));
      else
        timer_.expires_at(asio::steady_timer::time_point::max());
      asio::error_code ignored;
      auto token = asio::redirect_error(asio::use_awaitable, ignored);
      co_await timer_.async_wait(token);
    }
    rung_ = false;
  }

 private:
  asio::steady_timer timer_;
  bool rung_ = false;
};

}  // namespace tailrace
