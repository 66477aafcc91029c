#include "cli/rebalance_command.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cluster.h"
#include "cli/operator_nodes.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr const char* kNode = "/paused";

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "tailrace rebalance: %s\n", text.c_str());
  return code;
}

// Who paused it, for whoever finds it so later.
std::string signature() {
  char host[256] = "";
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = 0;
  return "from " + std::string(host) + " at " + show_utc(wall_ms());
}

int run_rebalance(const Arguments& arguments) {
  const auto& operands = arguments.operands();
  const std::string word = operands.size() == 1 ? operands.front() : "";
  if (word != "pause" && word != "resume" && word != "status")
    return complain("expected pause, resume or status", kWrongUsage);
  const auto cluster = cluster_of(arguments);
  if (!cluster) return complain(cluster.error().text, kWrongUsage);
  if (!cluster->zookeeper.given())
    return complain(escape(cluster->file) +
                        " names no ZooKeeper (discovery.zookeeper), by which the Centers are told",
                    kWrongUsage);
  const ZooKeeperSettings& zookeeper = cluster->zookeeper;
  Result<void> done;
  if (word == "pause") done = make_node(zookeeper, kNode, signature());
  if (word == "resume") done = remove_node(zookeeper, kNode);
  if (!done) return complain(done.error().text, kFailed);
  const auto node = read_node(zookeeper, kNode);
  if (!node) return complain(node.error().text, kFailed);
  const bool paused = node->has_value();
  if (arguments.value("format") == "json") {
    const Json out = {{"cluster", cluster->name},
                      {"paused", paused},
                      {"why", paused ? Json(escape(**node, 256)) : Json(nullptr)}};
    std::printf("%s\n", out.dump(2).c_str());
  } else if (paused) {
    std::printf(
        "rebalance of '%s' is paused (%s): no lane moves for balance, none is split; lanes of a "
        "Center that leaves or dies are taken all the same\n",
        escape(cluster->name, 64).c_str(), escape(**node, 256).c_str());
  } else {
    std::printf("rebalance of '%s' is on\n", escape(cluster->name, 64).c_str());
  }
  return kDone;
}

constexpr Option kOptions[] = {
    kClusterOption,
    {"format", "text|json", "text", "json: an object with cluster, paused and why"},
};
}  // namespace

const Command& rebalance_command() {
  static const Command kCommand = {
      .name = "rebalance",
      .summary = "pauses and resumes the moving of lanes for balance, by ZooKeeper",
      .synopsis = "pause|resume|status [--config FILE] [--format json]",
      .examples =
          "  tailrace rebalance pause      # before several Centers are restarted one by one\n"
          "  tailrace rebalance resume\n",
      .operands = "pause|resume|status",
      .notes = "Exit codes: 0 it is so, 1 ZooKeeper does not answer or refuses, 2 wrong usage.\n",
      .options = kOptions,
      .run = run_rebalance,
  };
  return kCommand;
}

}  // namespace tailrace
