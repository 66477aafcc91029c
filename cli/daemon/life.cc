#include "cli/daemon/life.h"

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "base/spawn.h"
#include "base/units.h"
#include "cli/watch/admin_door.h"

namespace tailrace {

namespace {
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int64_t kMostStopMs = 30'000;
constexpr int64_t kDrainedMs = 1'000;
}  // namespace

int failed(const std::string& text) {
  log::error(text);
  return kFailed;
}

void nothing_to_reload() {
  log::info("SIGHUP: this program has no pipelines to read again; restart it for other settings");
}

Life::Life(asio::io_context& road, StopSignals& signals, const RoleConfig& config)
    : road_(road), signals_(signals), config_(config), hangup_(road, SIGHUP) {}

int Life::live(asio::awaitable<void> role, std::function<void()> stop, std::function<void()> reload,
               std::function<void(Snapshot&)> look, std::function<void()> drain) {
  AdminDoor door(road_, config_.role, config_.cluster, std::move(look));
  drain_ = std::move(drain);
  if (drain_)
    door.on_drain([this] {
      log::info("asked on the admin port to drain: what it has is handed on, then it ends");
      this->drain();
    });
  if (auto opened = door.open(config_.admin); !opened) return failed(opened.error().text);
  spawn(road_, "role", run(std::move(role)));
  spawn(road_, "signals", wait(std::move(stop)));
  spawn(road_, "SIGHUP", hear_hangups(std::move(reload)));
  while (!over_) road_.run_one();
  return kDone;
}

void Life::drain() {
  if (std::exchange(drained_, true)) return;
  drain_();
}

asio::awaitable<void> Life::run(asio::awaitable<void> role) {
  co_await std::move(role);
  if (drained_) {  // whoever asked for it shall see how it ended
    asio::steady_timer linger(road_, std::chrono::milliseconds(kDrainedMs));
    co_await linger.async_wait(asio::use_awaitable);
  }
  over_ = true;
  signals_.cancel();
}

asio::awaitable<void> Life::wait(std::function<void()> stop) {
  co_await signals_.wait();
  if (over_) co_return;
  log::info("stopping; a second signal ends at once, and loses nothing");
  stop();
  asio::steady_timer patience(road_, std::chrono::milliseconds(kMostStopMs));
  co_await patience.async_wait(asio::use_awaitable);
  if (over_) co_return;
  log::warning("not stopped in order within " + show_duration(kMostStopMs) +
               ": it ends at once, like kill -9, which loses nothing; the next start goes on");
  std::_Exit(kFailed);
}

asio::awaitable<void> Life::hear_hangups(std::function<void()> reload) {
  asio::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  while (!over_ && !error) {
    co_await hangup_.async_wait(token);
    if (!error) reload();
  }
}

}  // namespace tailrace
