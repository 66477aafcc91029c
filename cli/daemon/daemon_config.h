// The settings files of the daemons: YAML into the roles' settings. One reader a role; starting and
// `tailrace check` use the same. Thread: main; reads files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/config.h"
#include "center/center.h"
#include "local/local.h"

namespace tailrace {

struct AgentConfig {
  AgentSettings settings;
  std::string local_socket;
};

struct LocalConfig {
  LocalSettings settings;
  std::string state;
  std::string agent_socket;
  struct Address {
    std::string host;
    std::string port;
  };
  std::vector<Address> centers;
};

struct CenterConfig {
  CenterSettings settings;
  std::string output;
  std::string listen_host;  // an IP address
  uint16_t listen_port = 0;
};

// What a file and the conf.d/*.yaml beside it say. Exactly one of the three is there if nothing is
// wrong, none if something is.
struct DaemonConfig {
  std::string role;
  std::optional<AgentConfig> agent;
  std::optional<LocalConfig> local;
  std::optional<CenterConfig> center;
  std::vector<ConfigProblem> problems;
  std::vector<std::string> notices;  // what was passed over

  [[nodiscard]] bool good() const { return problems.empty(); }
  [[nodiscard]] const std::string& state() const;
};

// `role`: the only one that is wanted; "": whichever the file names.
[[nodiscard]] DaemonConfig read_daemon_config(const std::string& file, const std::string& role);

// Hosts of one cluster know each other by this number of its name.
[[nodiscard]] uint64_t cluster_number(const std::string& name);

}  // namespace tailrace
