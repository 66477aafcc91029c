// A Center's discovery without its Center, for tests against a real ZooKeeper: what it sees is a
// line on stdout whenever it changes. stdin: "state draining", "incarnation NAME"; its end is a
// stop in order. Thread: the road, and one that reads stdin.
//
//   discovery_probe SERVERS CLUSTER NAME UUID SESSION_MS [AUTH]
//   discovery_probe lookup SERVERS CLUSTER               the addresses that a Local finds
//   discovery_probe create SERVERS PATH BYTES            what becomes of a node of so many bytes
#include <unistd.h>

#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "base/random.h"
#include "base/spawn.h"
#include "discovery/discovery.h"
#include "discovery/errand.h"

namespace tailrace {
namespace {

struct Probe {
  asio::io_context road{1};
  ZooKeeperSettings settings;
  Member me;
  std::string said;
  bool over = false;
  int code = 0;

  void say(const std::string& line) {
    if (std::exchange(said, line) == line) return;
    std::puts(line.c_str());
    std::fflush(stdout);
  }
};

std::string in_words(const Presence& p, const DiscoveryStatus& s) {
  std::string out = "fresh=" + std::to_string(p.fresh) + " members=";
  for (const Member& m : p.members)
    out += m.name + (m.state == Member::State::draining ? "(draining)," : ",");
  out += " gone=";
  for (const std::string& incarnation : p.gone) out += incarnation + ",";
  out += " paused=" + std::to_string(p.paused) + " drain=";
  for (const std::string& name : p.drain) out += name + ",";
  return out + " announced=" + std::to_string(s.announced) +
         " ignored=" + std::to_string(s.ignored) + " trouble=" + s.trouble;
}

asio::awaitable<void> hear(Probe& probe) {
  asio::posix::stream_descriptor in(probe.road, ::dup(STDIN_FILENO));
  std::string buffer;
  for (;;) {
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    const size_t n = co_await asio::async_read_until(in, asio::dynamic_buffer(buffer), '\n', token);
    if (error) break;
    const std::string line = buffer.substr(0, n - 1);
    buffer.erase(0, n);
    if (line == "state draining") probe.me.state = Member::State::draining;
    if (line.starts_with("incarnation ")) probe.me.incarnations[7] = line.substr(12);
  }
  probe.over = true;
}

asio::awaitable<void> look(Probe& probe, Discovery& discovery) {
  asio::steady_timer timer(probe.road);
  while (!probe.over) {
    probe.say(in_words(discovery.presence(), discovery.status()));
    timer.expires_after(std::chrono::milliseconds(50));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

int stay(Probe& probe, char** words) {
  probe.me.cluster = probe.settings.cluster = words[2];
  probe.me.name = words[3];
  probe.me.address = "127.0.0.1:17410";
  probe.me.version = TAILRACE_VERSION;
  probe.me.state_uuid = parse_hex16(words[4]);
  probe.me.incarnations[7] = "1764000000000-" + std::string(words[4]);
  probe.settings.session_ms = std::atoll(words[5]);
  MembershipOptions options;
  options.settings = probe.settings;
  {
    Discovery discovery(
        probe.road, std::move(options), [&probe] { return probe.me; }, [](const Presence&) {});
    spawn(probe.road, "stdin", hear(probe));
    spawn(probe.road, "looking", look(probe, discovery));
    while (!probe.over) probe.road.run_one();
  }
  return 0;
}

asio::awaitable<void> look_up(Probe& probe) {
  CenterLookUp looking(probe.road, probe.settings);
  const auto found = co_await looking.look(16);
  if (!found) std::printf("error %s\n", found.error().text.c_str());
  if (found)
    for (const std::string& address : *found) std::printf("%s\n", address.c_str());
  probe.over = true;
}

asio::awaitable<void> create(Probe& probe, std::string path, size_t bytes) {
  Errand errand(probe.road, probe.settings, 10'000);
  ZooRequest request;
  request.kind = ZooRequest::Kind::create;
  request.path = std::move(path);
  request.value = std::string(bytes, 'x');
  const auto reply = co_await errand.ask(std::move(request));
  std::printf("%s\n", reply ? reply->text.c_str() : reply.error().text.c_str());
  co_await errand.end();
  probe.code = reply && reply->outcome == ZooReply::Outcome::ok ? 0 : 1;
  probe.over = true;
}

int run(int count, char** words) {
  Probe probe;
  const std::string first = count > 1 ? words[1] : "";
  const bool errand = first == "lookup" || first == "create";
  if (count < (errand ? 4 : 6)) return 2;
  auto servers = parse_zookeeper(errand ? words[2] : first);
  if (!servers) return 2;
  probe.settings.servers = std::move(*servers);
  if (!errand && count > 6) probe.settings.auth = words[6];
  if (!errand) return stay(probe, words);
  probe.settings.cluster = words[3];
  if (first == "lookup") spawn(probe.road, "lookup", look_up(probe));
  if (first == "create")
    spawn(probe.road, "create", create(probe, words[3], std::strtoull(words[4], nullptr, 10)));
  while (!probe.over) probe.road.run_one();
  return probe.code;
}

}  // namespace
}  // namespace tailrace

int main(int count, char** words) { return tailrace::run(count, words); }
