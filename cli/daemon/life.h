// A daemon's life: runs a role, answers on its admin port, hears signals. Thread: main, which
// becomes the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <functional>

#include "cli/config/role_config.h"
#include "cli/stop_signals.h"
#include "cli/watch/snapshot.h"

namespace tailrace {

class Life {
 public:
  Life(asio::io_context& road, StopSignals& signals, const RoleConfig& config);

  // Runs `role` to its end and returns the exit code. `stop` is called once a signal asks for it,
  // `reload` on each SIGHUP, `look` when somebody wants to know how it is. `drain`: the role can be
  // taken out of service (tailrace drain).
  int live(asio::awaitable<void> role, std::function<void()> stop, std::function<void()> reload,
           std::function<void(Snapshot&)> look, std::function<void()> drain = {});
  // The same as if it had been asked for on the admin port; while it lives.
  void drain();

 private:
  asio::awaitable<void> run(asio::awaitable<void> role);
  asio::awaitable<void> wait(std::function<void()> stop);
  asio::awaitable<void> hear_hangups(std::function<void()> reload);

  asio::io_context& road_;
  StopSignals& signals_;
  const RoleConfig& config_;
  asio::signal_set hangup_;
  std::function<void()> drain_;
  bool over_ = false;
  bool drained_ = false;
};

// What SIGHUP means to a role that reads nothing again.
void nothing_to_reload();
// Says why a daemon cannot start; its exit code.
[[nodiscard]] int failed(const std::string& text);

}  // namespace tailrace
