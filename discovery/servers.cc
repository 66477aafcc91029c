#include "discovery/servers.h"

#include <algorithm>

#include "base/address.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr uint16_t kZooKeeperPort = 2181;

bool is_path(std::string_view path) {
  if (path.empty()) return true;
  if (path.front() != '/' || path.back() == '/' || path.find("//") != std::string_view::npos)
    return false;
  return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < '\x7f'; }) &&
         path.find("/./") == std::string_view::npos &&
         path.find("/../") == std::string_view::npos && !path.ends_with("/.") &&
         !path.ends_with("/..");
}
}  // namespace

Result<ZooKeeperServers> parse_zookeeper(std::string_view text) {
  ZooKeeperServers out;
  const size_t slash = std::min(text.find('/'), text.size());
  out.chroot = std::string(text.substr(slash));
  if (out.chroot == "/") out.chroot.clear();
  if (!is_path(out.chroot))
    return Error{Error::Kind::rejected, "'" + escape(out.chroot, 64) +
                                            "' is no path of ZooKeeper's: expected "
                                            "host:2181,host:2181/path"};
  std::string_view hosts = text.substr(0, slash);
  for (;;) {
    const size_t comma = std::min(hosts.find(','), hosts.size());
    const auto at = parse_host_port(hosts.substr(0, comma), kZooKeeperPort);
    if (!at) return at.error().within("expected host:2181,host:2181/path");
    out.hosts += (out.hosts.empty() ? "" : ",") + at->show();
    if (comma == hosts.size()) return out;
    hosts.remove_prefix(comma + 1);
  }
}

std::string zookeeper_root(const ZooKeeperSettings& settings) {
  return settings.servers.chroot + "/tailrace/" + settings.cluster;
}

}  // namespace tailrace
