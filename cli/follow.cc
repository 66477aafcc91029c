#include "cli/follow.h"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>

#include "base/clock.h"
#include "cli/live_line.h"

namespace tailrace {

namespace {
constexpr std::chrono::milliseconds kPause(200);
}  // namespace

Followed follow(const std::function<Result<HowFar>()>& look, int64_t most_ms, int64_t plain_ms) {
  LiveLine live;
  const int64_t began_ms = mono_ms();
  int64_t said_ms = began_ms;
  asio::io_context context(1);
  for (;; asio::steady_timer(context, kPause).wait()) {
    const auto now = look();
    if (!now) return Followed::unanswered;
    if (now->over) return Followed::over;
    if (most_ms >= 0 && mono_ms() - began_ms >= most_ms) return Followed::too_long;
    live.show(now->text);
    if (live.on_terminal() || plain_ms < 0 || mono_ms() - said_ms < plain_ms) continue;
    said_ms = mono_ms();
    std::printf("%s\n", now->text.c_str());
    std::fflush(stdout);
  }
}

}  // namespace tailrace
