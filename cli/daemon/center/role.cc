// The Center's daemon.
#include "base/log.h"
#include "base/spawn.h"
#include "center/center.h"
#include "cli/daemon/life.h"
#include "cli/daemon/roles.h"
#include "cli/daemon/ways.h"
#include "cli/lines_place.h"
#include "discovery/discovery.h"

namespace tailrace {

namespace {
std::unique_ptr<Discovery> discover(asio::io_context& road, const CenterConfig& config,
                                    Center& center, Life& life) {
  MembershipOptions options;
  options.settings = config.zookeeper;
  log::info("this Center is announced in ZooKeeper at " + options.settings.servers.hosts + ", " +
            zookeeper_root(options.settings));
  const std::function<Member()> me = [&center, cluster = options.settings.cluster] {
    Member member = center.member();
    member.cluster = cluster;
    return member;
  };
  const std::string& name = config.settings.name;
  return std::make_unique<Discovery>(road, std::move(options), me,
                                     [&center, &life, &name](const Presence& now) {
                                       center.presence(now);
                                       if (!now.drain.contains(name)) return;
                                       life.drain();
                                     });
}
}  // namespace

int run_center(asio::io_context& road, StopSignals& signals, const RoleConfig& config) {
  const CenterConfig& center_config = *config.center;
  const std::string into = places_of(center_config.settings);
  auto stores = open_stores(center_config.settings);
  if (!stores) return failed(stores.error().text);
  Center center(road, center_config.settings, std::move(*stores));
  if (auto opened = open_center(center, center_config.settings); !opened)
    return failed(opened.error().text);
  TcpDoor door(road);
  if (auto listens = listen_tcp(door, center_config.listen); !listens)
    return failed(listens.error().text);
  const std::function<void(StreamSocket)> take = [&center](StreamSocket socket) {
    center.accept_local(std::move(socket));
  };
  spawn(road, "Locals", accept_all(door, take));
  log::info("Center " + center_config.settings.name + ": takes Locals on " +
            center_config.listen.show() + " as " + center_config.settings.address +
            ", publishes into " + into);
  std::unique_ptr<Discovery> discovery;
  Life life(road, signals, config);
  if (center_config.zookeeper.given()) discovery = discover(road, center_config, center, life);
  // The door stays open: whoever follows the end of it asks there.
  const auto stop = [&center] { center.stop(false); };
  const auto drain = [&center] {
    log::info("draining: what is worth a file is committed, the lanes go to others, then it ends");
    center.stop(false);
  };
  const auto look = [&center, &discovery](Snapshot& now) {
    now.center = center.status();
    if (discovery) now.discovery = discovery->status();
  };
  return life.live(center.run(), stop, nothing_to_reload, look, drain);
}

}  // namespace tailrace
