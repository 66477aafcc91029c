// One role as a program of its own: tailrace-agent, tailrace-local, tailrace-center. They read
// their settings, take the lock of their state, listen, and run until SIGTERM. Thread: main, which
// becomes the road.
#pragma once

#include <span>
#include <string>

#include "agent/agent.h"
#include "cli/config/role_config.h"

namespace tailrace {

// Exit codes: 0 stopped in order, 1 could not start, 2 wrong usage, 78 wrong settings (as
// sysexits.h has it).
[[nodiscard]] int run_daemon(const std::string& role, std::span<const std::string> words);

// Reads the settings again and gives the agent their pipelines; on any error, which is said, the
// old ones stay.
void reload_pipelines(const RoleConfig& config, Agent& agent);

}  // namespace tailrace
