// What an operator's command asks of ZooKeeper: which Centers are there, and the nodes by which
// they are told what to do. Thread: main; each call blocks, 15 s at most.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "discovery/servers.h"

namespace tailrace {

// Addresses of all Centers that are announced.
[[nodiscard]] Result<std::vector<std::string>> announced_centers(const ZooKeeperSettings& settings);

// `node`: below the cluster's path ("/paused", "/drain/center-1"). That it stands, or does not, is
// so afterwards, whoever made it so. rejected: the text says what ZooKeeper refuses.
Result<void> make_node(const ZooKeeperSettings& settings, const std::string& node,
                       const std::string& value);
Result<void> remove_node(const ZooKeeperSettings& settings, const std::string& node);
// Its value; nullopt: it is not there.
[[nodiscard]] Result<std::optional<std::string>> read_node(const ZooKeeperSettings& settings,
                                                           const std::string& node);

}  // namespace tailrace
