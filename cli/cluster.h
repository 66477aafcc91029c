// Which cluster an operator's command is about: settings of a program on this host say so.
// Thread: main; reads files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/config/role_config.h"
#include "cli/options.h"
#include "discovery/servers.h"

namespace tailrace {

struct Cluster {
  std::string file;  // that says so
  std::string name;
  uint64_t number = 0;
  std::vector<std::string> seeds;  // addresses of Centers
  ZooKeeperSettings zookeeper;     // not given(): there is none
};

// What a program's settings say. rejected: the first thing that is wrong with them.
[[nodiscard]] Result<RoleConfig> good_settings(const std::string& file);
// --config, else /etc/tailrace/local.yaml or center.yaml. rejected: the text says what is missing.
[[nodiscard]] Result<Cluster> cluster_of(const Arguments& arguments);
// Its seeds, and who is announced in ZooKeeper. retry_later: that does not answer, and there are no
// seeds; with seeds it is said on stderr.
[[nodiscard]] Result<std::vector<std::string>> centers_of(const Cluster& cluster);

inline constexpr Option kClusterOption = {
    "config", "FILE", "",
    "settings of a Local or a Center of the cluster (/etc/tailrace/local.yaml or center.yaml)"};

}  // namespace tailrace
