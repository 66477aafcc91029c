// The settings files of the programs: YAML, checked against the table of keys, into the roles'
// settings. One reader a role; starting and `tailrace check` use the same.
// Thread: main; reads files.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/address.h"
#include "base/config.h"
#include "center/center.h"
#include "cli/road.h"
#include "discovery/servers.h"
#include "local/local.h"

namespace tailrace {

inline constexpr uint16_t kCenterPort = 17410;  // where an address names none

struct AgentConfig {
  AgentSettings settings;
  std::string local_socket;
};

struct LocalConfig {
  LocalSettings settings;
  std::string agent_socket;
  ZooKeeperSettings zookeeper;
};

struct CenterConfig {
  CenterSettings settings;
  HostPort listen;  // its host is an IP address
  ZooKeeperSettings zookeeper;
};

struct AdminConfig {
  HostPort at;
  bool chosen = false;  // by the operator: it must be this one
};

// One file as it was read; its maps refer to it.
struct ConfigFile {
  ConfigText text;
  YamlNode root;
  bool dropped = false;  // of conf.d
};

// What a file and the conf.d/*.yaml beside it say. Of agent, local, center and run exactly one is
// there if nothing is wrong, none if something is.
struct RoleConfig {
  std::string role;
  std::string state;  // directory; one program at a time has its lock
  std::string cluster;
  AdminConfig admin;
  bool log_json = false;
  std::optional<AgentConfig> agent;
  std::optional<LocalConfig> local;
  std::optional<CenterConfig> center;
  std::optional<RoadSettings> run;

  std::vector<ConfigProblem> problems;
  std::vector<std::string> notices;  // what was passed over
  std::deque<ConfigFile> files;      // the main one first

  [[nodiscard]] bool good() const { return problems.empty(); }
  // What is read from files; null: this role reads none.
  [[nodiscard]] const AgentSettings* reads() const;
};

// `role`: the only one that is wanted; "": whichever the file names.
[[nodiscard]] RoleConfig read_role_config(const std::string& file, const std::string& role);

// An --admin option, over what the file says. rejected: no host:port.
[[nodiscard]] Result<void> choose_admin(std::string_view address, AdminConfig& admin);

// Hosts of one cluster know each other by this number of its name.
[[nodiscard]] uint64_t cluster_number(const std::string& name);

}  // namespace tailrace
