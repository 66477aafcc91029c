// What each daemon does once its settings are read and its state is locked; each in a file of its
// own, so that a program links only what its role needs. Thread: main, which becomes the road.
#pragma once

#include <asio/io_context.hpp>

#include "cli/config/role_config.h"
#include "cli/stop_signals.h"

namespace tailrace {

// Until it has stopped; the exit code.
int run_agent(asio::io_context& road, StopSignals& signals, const RoleConfig& config);
int run_local(asio::io_context& road, StopSignals& signals, const RoleConfig& config);
int run_center(asio::io_context& road, StopSignals& signals, const RoleConfig& config);

}  // namespace tailrace
