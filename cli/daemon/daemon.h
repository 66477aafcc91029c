// One role as a program of its own: tailrace-agent, tailrace-local, tailrace-center. They read
// their settings, take the lock of their state, listen, and run until SIGTERM. Thread: main, which
// becomes the road.
#pragma once

#include <asio/io_context.hpp>
#include <span>
#include <string>

#include "cli/config/role_config.h"
#include "cli/stop_signals.h"

namespace tailrace {

// One of cli/daemon/roles.h.
using DaemonRole = int (*)(asio::io_context& road, StopSignals& signals, const RoleConfig& config);

// Exit codes: 0 stopped in order, 1 could not start, 2 wrong usage, 78 wrong settings (as
// sysexits.h has it).
[[nodiscard]] int run_daemon(const std::string& role, DaemonRole run,
                             std::span<const std::string> words);

// What was passed over in settings, and what is wrong with them.
void say_settings(const RoleConfig& config);

}  // namespace tailrace
