// What a program of ours looks like at one moment, and what of it keeps it from being ready.
// Thread: the road; plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "center/center.h"
#include "discovery/membership.h"
#include "local/local.h"

namespace tailrace {

struct Snapshot {
  std::string role;
  std::string cluster;
  int64_t started_ms = 0;  // wall
  int64_t now_ms = 0;
  // Those that this process has.
  std::optional<AgentStatus> agent;
  std::optional<LocalStatus> local;
  std::optional<CenterStatus> center;
  std::optional<DiscoveryStatus> discovery;  // of a Center with ZooKeeper
};

// One line's way through all roles that this process has, by category. At rest (nothing under way
// between two roles) read = published + in_flight + lost; else in_flight may count a line twice.
struct Balance {
  uint64_t read = 0;  // by the agent, and what the spool held when the process started
  uint64_t in_flight = 0;
  uint64_t published = 0;
  uint64_t lost = 0;
};
// Empty unless the process has all three roles.
[[nodiscard]] std::map<std::string, Balance> balance_of(const Snapshot& now);

// --- ready or not ----------------------------------------------------------------------------
struct Obstacle {
  std::string what;  // a fixed word
  std::string text;
  int64_t since_ms = 0;  // wall
  std::string sink{};    // whose it is; empty: no sink's
};

// Judged by what is not delivered and by the spool's fill, never by a count of errors.
class Readiness {
 public:
  // At least each 10 s, so that `since` is true.
  void look(const Snapshot& now);
  [[nodiscard]] const std::vector<Obstacle>& obstacles() const { return obstacles_; }
  [[nodiscard]] bool ready() const { return obstacles_.empty(); }

 private:
  std::vector<Obstacle> obstacles_;
};

}  // namespace tailrace
