// The Local's daemon.
#include "base/log.h"
#include "base/spawn.h"
#include "cli/daemon/life.h"
#include "cli/daemon/roles.h"
#include "cli/daemon/ways.h"
#include "discovery/errand.h"
#include "local/local.h"

namespace tailrace {

namespace {
constexpr size_t kMostLookedUp = 16;

std::string to_whom(const LocalConfig& config) {
  const auto& centers = config.settings.centers;
  std::string out = centers.empty() ? "" : centers.front();
  if (centers.size() > 1) out += " and others";
  if (!config.zookeeper.given()) return out;
  return (out.empty() ? "" : out + ", or ") + "those that ZooKeeper at " +
         config.zookeeper.servers.hosts + " names";
}
}  // namespace

int run_local(asio::io_context& road, StopSignals& signals, const RoleConfig& config) {
  const LocalConfig& local_config = *config.local;
  CenterLookUp list(road, local_config.zookeeper);
  Local::LookUp look_up;
  if (local_config.zookeeper.given()) look_up = [&list] { return list.look(kMostLookedUp); };
  Local local(
      road, local_config.settings,
      [&road](std::string address) { return connect_tcp(road, std::move(address)); }, look_up);
  if (auto opened = local.open(); !opened) return failed(opened.error().text);
  UnixDoor door(road);
  if (auto listens = listen_unix(door, local_config.agent_socket); !listens)
    return failed(listens.error().text);
  const std::function<void(StreamSocket)> take = [&local](StreamSocket socket) {
    local.accept_agent(std::move(socket));
  };
  spawn(road, "agents", accept_all(door, take));
  log::info("Local: takes an agent on " + local_config.agent_socket + ", sends to " +
            to_whom(local_config));
  const auto stop = [&local, &door, &list] {
    door.close();
    list.cancel();
    local.leave();
  };
  return Life(road, signals, config)
      .live(local.run(), stop, nothing_to_reload,
            [&local](Snapshot& now) { now.local = local.status(); });
}

}  // namespace tailrace
