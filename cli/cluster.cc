#include "cli/cluster.h"

#include <unistd.h>

#include <cstdio>

#include "base/units.h"
#include "cli/operator_nodes.h"

namespace tailrace {

namespace {
constexpr const char* kUsual[] = {"/etc/tailrace/local.yaml", "/etc/tailrace/center.yaml"};
}  // namespace

Result<RoleConfig> good_settings(const std::string& file) {
  RoleConfig config = read_role_config(file, "");
  if (!config.good())
    return Error{Error::Kind::rejected, escape(file) + ": " + config.problems.front().show() +
                                            "See: tailrace check " + escape(file)};
  return config;
}

Result<Cluster> cluster_of(const Arguments& arguments) {
  Cluster out;
  out.file = arguments.value("config");
  for (const char* usual : kUsual)
    if (out.file.empty() && ::access(usual, R_OK) == 0) out.file = usual;
  if (out.file.empty())
    return Error{Error::Kind::rejected,
                 "neither /etc/tailrace/local.yaml nor center.yaml is here to say which cluster is "
                 "meant: name the settings of a Local or a Center with --config"};
  const auto settings = good_settings(out.file);
  if (!settings) return settings.error();
  const RoleConfig& config = *settings;
  out.name = config.cluster;
  out.number = cluster_number(config.cluster);
  if (config.local) {
    out.seeds = config.local->settings.centers;
    out.zookeeper = config.local->zookeeper;
  } else if (config.center) {
    if (!config.center->settings.address.empty()) out.seeds = {config.center->settings.address};
    out.zookeeper = config.center->zookeeper;
  } else {
    return Error{Error::Kind::rejected, escape(out.file) + " is neither a Local's nor a Center's"};
  }
  return out;
}

Result<std::vector<std::string>> centers_of(const Cluster& cluster) {
  std::vector<std::string> out = cluster.seeds;
  if (!cluster.zookeeper.given()) return out;
  const auto announced = announced_centers(cluster.zookeeper);
  if (!announced && out.empty()) return announced.error();
  if (!announced)
    std::fprintf(stderr, "%s; asking the Centers that the settings name\n",
                 announced.error().text.c_str());
  else
    out.insert(out.end(), announced->begin(), announced->end());
  return out;
}

}  // namespace tailrace
