#include "cli/probe.h"

#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/random.h"
#include "base/units.h"
#include "cli/center_client.h"
#include "cli/operator_nodes.h"
#include "sinks/store/directory_root.h"

namespace tailrace {

namespace {
using Verdict = Probe::Verdict;
constexpr size_t kRollsOfRoom = 4;

// --- programs of ours, and ZooKeeper

void probe_center(const std::string& address, uint64_t cluster, Probes& out) {
  const CenterAnswer answer = ask_center(address, cluster);
  if (answer.why.empty())
    out.push_back({Verdict::ok, "Center", "ask " + address,
                   "it is " + escape(answer.report.name(), 64) + ", version " +
                       escape(answer.report.version(), 32),
                   ""});
  else
    out.push_back({Verdict::fail, "Center", "ask " + address, answer.why,
                   "is tailrace-center running there, does its `listen` name that port, does a "
                   "firewall stand between, and is its `cluster` this one?"});
}

void probe_zookeeper(const ZooKeeperSettings& settings, bool center, Probes& out) {
  if (!settings.given()) return;
  const std::string tried = "look for Centers at " + settings.servers.hosts;
  const auto found = announced_centers(settings);
  if (!found) {
    out.push_back({Verdict::fail, "zookeeper", tried, found.error().text,
                   "does one of these servers run, is the port right, and does `auth` belong to "
                   "who made the nodes?"});
    return;
  }
  const bool nobody = found->empty() && !center;
  out.push_back({nobody ? Verdict::warn : Verdict::ok, "zookeeper", tried,
                 show_count(found->size()) + (found->size() == 1 ? " Center" : " Centers") +
                     " announced below " + zookeeper_root(settings),
                 nobody ? "start a Center with the same `zookeeper` and `cluster`" : ""});
}

void probe_local(const std::string& path, Probes& out) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int failed = ENAMETOOLONG;
  if (path.size() < sizeof address.sun_path) {
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const auto* to = reinterpret_cast<const sockaddr*>(&address);
    failed = ::connect(fd.get(), to, sizeof address) == 0 ? 0 : errno;
  }
  if (failed == 0)
    out.push_back({Verdict::ok, "Local", "connect to " + path, "it takes connections", ""});
  else
    out.push_back({Verdict::fail, "Local", "connect to " + path, std::strerror(failed),
                   failed == EACCES ? "run this as the agent's user, who needs to be of the "
                                      "group that owns the socket"
                                    : "is tailrace-local running, and is its `listen` this path?"});
}

// --- a directory

std::string first_that_stands(std::string path) {
  while (path.size() > 1 && ::access(path.c_str(), F_OK) != 0) path = parent_path(path);
  return path;
}

// What a Center does there: a directory, a file whose bytes are synced, a name given away once.
Result<void> try_directory(const DirectoryRoot& root, const std::string& directory) {
  const std::string first = directory + "/first", second = directory + "/second";
  const std::string name = directory + "/name";
  if (auto r = root.make_directory(directory, DirectoryRoot::Durability::durable); !r) return r;
  for (const std::string& path : {first, second}) {
    const auto fd = root.open_at(path, O_RDWR | O_CREAT | O_EXCL);
    if (!fd) return fd.error();
    if (auto r = write_all(fd->get(), "tailrace check\n"); !r) return r;
    if (auto r = sync_data(fd->get()); !r) return r;
  }
  using Moved = DirectoryRoot::Moved;
  const auto moved = root.move(first, name);
  if (!moved) return moved.error();
  const auto again = root.move(second, name);
  if (!again) return again.error();
  if (*moved == Moved::yes && *again == Moved::taken) return {};
  return Error{Error::Kind::rejected,
               "a rename went over a name that was taken: this file system cannot be used"};
}

void clear_directory(const DirectoryRoot& root, const std::string& directory) {
  for (const char* name : {"/first", "/second", "/name", ""}) {
    const auto removed = root.remove(directory + name);
    static_cast<void>(removed);
  }
}

void probe_writing(const std::string& path, const std::string& about, Probes& out) {
  const std::string stands = first_that_stands(path);
  const std::string tried = "write and rename in " + path;
  const auto root = DirectoryRoot::open(stands, Exclusive::rename);
  const std::string directory = "_check-" + hex16(os_random());
  const auto done = root ? try_directory(*root, directory) : Result<void>(root.error());
  if (root) clear_directory(*root, directory);
  const std::string where = stands == path ? "" : ", in " + stands + ", where it will be made";
  if (done)
    out.push_back({Verdict::ok, about, tried, "works" + where, ""});
  else
    out.push_back({Verdict::fail, about, tried, done.error().text,
                   "the Center's user needs to write in " + stands +
                       "; is the file system mounted, read-write, and not full?"});
}

void probe_role(const CenterSettings& settings, const std::set<std::string>& categories,
                Probes& out) {
  uint64_t spilled = 0;
  for (const SinkSettings& sink : settings.sinks) {
    const std::string about = "sink " + sink.name;
    if (sink.is_kafka()) {
      probe_kafka(sink, about, categories, out);
      continue;
    }
    if (sink.hdfs.empty()) {
      probe_directory(sink, about, out);
      continue;
    }
    probe_hdfs(sink, about, out);
    spilled += kRollsOfRoom * sink.roll_bytes;
  }
  probe_room(settings.state_dir, spilled, "state", out);
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  return verdict == Verdict::ok ? "ok" : verdict == Verdict::warn ? "warn" : "FAIL";
}

void probe_room(const std::string& path, uint64_t bytes, const std::string& about, Probes& out) {
  const std::string stands = first_that_stands(path);
  struct statvfs room {};
  const std::string tried = "room in " + path;
  if (::statvfs(stands.c_str(), &room) != 0) {
    out.push_back({Verdict::fail, about, tried, std::strerror(errno), "can it be entered?"});
    return;
  }
  const uint64_t left = static_cast<uint64_t>(room.f_bavail) * room.f_frsize;
  const bool enough = left >= bytes && left > 0 && (room.f_favail > 0 || room.f_files == 0);
  out.push_back(
      {enough ? Verdict::ok : Verdict::warn, about, tried,
       show_size(left) + " left" +
           (room.f_favail > 0 || room.f_files == 0 ? "" : ", but no inode for another file"),
       enough ? "" : "make room: " + show_size(bytes) + " are for a few open files"});
}

void probe_directory(const SinkSettings& sink, const std::string& about, Probes& out) {
  probe_writing(sink.root, about, out);
  if (sink.control.starts_with('/')) probe_writing(sink.control, about, out);
  probe_room(sink.root, kRollsOfRoom * sink.roll_bytes, about, out);
}

Probes probe(const RoleConfig& config) {
  Probes out;
  if (config.agent) probe_local(config.agent->local_socket, out);
  if (config.local) {
    const LocalConfig& local = *config.local;
    probe_room(config.state, 64u << 20, "spool", out);
    for (const std::string& address : local.settings.centers)
      probe_center(address, cluster_number(config.cluster), out);
    probe_zookeeper(local.zookeeper, false, out);
  }
  if (config.center) {
    probe_role(config.center->settings, {}, out);
    probe_zookeeper(config.center->zookeeper, true, out);
  }
  std::set<std::string> categories;  // whose lines go straight to these sinks
  if (config.run)
    for (const auto& source : config.reads()->sources) categories.insert(source.category);
  if (config.run) probe_role(config.run->center, categories, out);
  return out;
}

}  // namespace tailrace
