// Where ZooKeeper is, and who we are to it. Thread: any; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "discovery/member.h"

namespace tailrace {

struct ZooKeeperServers {
  std::string hosts;   // host:port,host:port
  std::string chroot;  // "" or "/a/b": everything of ours stands below it
};
// "h1:2181,h2:2181/a/b"; without a port 2181. rejected: what is wrong with it.
[[nodiscard]] Result<ZooKeeperServers> parse_zookeeper(std::string_view text);

// Everything that a program needs to find others through ZooKeeper.
struct ZooKeeperSettings {
  ZooKeeperServers servers;  // hosts empty: there is no ZooKeeper
  std::string auth;          // user:password of the digest scheme; empty: none. Never shown
  int64_t session_ms = 10'000;
  std::string cluster;
  AddressRules allow;
  [[nodiscard]] bool given() const { return !servers.hosts.empty(); }
};

// Ours below the chroot: /tailrace/<cluster>, and what stands in it.
[[nodiscard]] std::string zookeeper_root(const ZooKeeperSettings& settings);
inline constexpr std::string_view kCentersNode = "/centers";
inline constexpr std::string_view kPausedNode = "/paused";
inline constexpr std::string_view kDrainNode = "/drain";

}  // namespace tailrace
