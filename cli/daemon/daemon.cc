#include "cli/daemon/daemon.h"

#include <sys/stat.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>

#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/units.h"
#include "cli/config/keys.h"
#include "cli/config/role_config.h"
#include "cli/options.h"
#include "cli/process.h"
#include "cli/state_lock.h"
#include "cli/stop_signals.h"
#include "cli/watch/admin_door.h"

namespace tailrace {

namespace {
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kWrongSettings = 78;
constexpr int64_t kMostStopMs = 30'000;
constexpr int64_t kMostConnectMs = 5'000;
constexpr int64_t kDrainedMs = 2'000;

using Unix = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

int failed(const std::string& text) {
  log::error(text);
  return kFailed;
}

void say(const RoleConfig& config) {
  for (const std::string& notice : config.notices) log::info(notice);
  for (const ConfigProblem& problem : config.problems) std::fputs(problem.show().c_str(), stderr);
}

// --- ways in and out

Result<StreamSocket> connect_unix(asio::io_context& road, const std::string& path) {
  asio::error_code error;
  Unix::socket socket(road);
  socket.open(Unix(), error);
  if (!error) socket.non_blocking(true, error);
  if (!error) socket.connect(Unix::endpoint(path), error);
  if (error)
    return Error{Error::Kind::retry_later,
                 "no Local answers on " + path + " (" + error.message() + ")"};
  return StreamSocket(std::move(socket));
}

Error no_center(const std::string& name, const std::string& why) {
  return Error{Error::Kind::retry_later,
               "no Center answers on " + name + " (" + why + "); it is tried again"};
}

asio::awaitable<Result<StreamSocket>> connect_tcp(asio::io_context& road, std::string name) {
  const auto to = parse_host_port(name, kCenterPort);
  if (!to) co_return no_center(name, to.error().text);
  asio::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  Tcp::resolver resolver(road);
  const Tcp::resolver::results_type found =
      co_await resolver.async_resolve(to->host, std::to_string(to->port), token);
  if (error) co_return no_center(name, error.message());
  const auto socket = std::make_shared<Tcp::socket>(road);
  for (const auto& entry : found) {
    asio::error_code ignored;
    socket->close(ignored);
    socket->open(entry.endpoint().protocol(), ignored);
    // A host that is gone does not even refuse: the kernel would try for two minutes.
    asio::steady_timer patience(road, std::chrono::milliseconds(kMostConnectMs));
    patience.async_wait([socket](const asio::error_code& cancelled) {
      asio::error_code closed;
      if (!cancelled) socket->close(closed);
    });
    const Tcp::endpoint at = entry.endpoint();
    co_await socket->async_connect(at, token);
    if (!error && socket->is_open()) {
      socket->set_option(Tcp::no_delay(true), ignored);
      co_return StreamSocket(std::move(*socket));
    }
  }
  co_return no_center(name, error ? error.message() : "no address");
}

template <class Protocol>
asio::awaitable<void> accept_all(typename Protocol::acceptor& door,
                                 std::function<void(StreamSocket)> take) {
  for (;;) {
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    typename Protocol::socket socket = co_await door.async_accept(token);
    if (error == asio::error::operation_aborted || !door.is_open()) co_return;
    if (error) {  // out of descriptors, or the peer has gone already
      asio::steady_timer timer(door.get_executor(), std::chrono::milliseconds(100));
      co_await timer.async_wait(asio::use_awaitable);
      continue;
    }
    if constexpr (std::is_same_v<Protocol, Tcp>) {
      asio::error_code ignored;
      socket.set_option(Tcp::no_delay(true), ignored);
    }
    take(StreamSocket(std::move(socket)));
  }
}

Result<void> listen_unix(Unix::acceptor& door, const std::string& path) {
  if (auto made = make_directories(parent_path(path)); !made) return made;
  (void)::unlink(path.c_str());  // the state's lock is held: nobody listens there any more
  asio::error_code error;
  door.open(Unix(), error);
  if (!error) door.bind(Unix::endpoint(path), error);
  if (!error && ::chmod(path.c_str(), 0660) != 0)
    error = asio::error_code(errno, asio::error::get_system_category());
  if (!error) door.listen(16, error);
  if (error) return Error{Error::Kind::rejected, "listening on " + path + ": " + error.message()};
  return {};
}

Result<void> listen_tcp(Tcp::acceptor& door, const HostPort& where) {
  asio::error_code error;
  const auto address = asio::ip::make_address(where.host, error);
  const Tcp::endpoint at(address, where.port);
  if (!error) door.open(at.protocol(), error);
  if (!error) door.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) door.bind(at, error);
  if (!error) door.listen(4096, error);
  if (error)
    return Error{Error::Kind::rejected, "listening on " + where.show() + ": " + error.message()};
  return {};
}

// --- a role's life ----------------------------------------------------------------------------

// Runs `role`, answers on its admin port, and calls `stop` once a signal asks for it, `reload` on
// each SIGHUP.
class Life {
 public:
  Life(asio::io_context& road, StopSignals& signals, const RoleConfig& config)
      : road_(road), signals_(signals), config_(config), hangup_(road, SIGHUP) {}

  // `drain`: the role can be taken out of service (tailrace drain).
  int live(asio::awaitable<void> role, std::function<void()> stop, std::function<void()> reload,
           std::function<void(Snapshot&)> look, std::function<void()> drain = {}) {
    AdminDoor door(road_, config_.role, config_.cluster, std::move(look));
    if (drain)
      door.on_drain([this, drain = std::move(drain)] {
        drained_ = true;
        drain();
      });
    if (auto opened = door.open(config_.admin); !opened) return failed(opened.error().text);
    spawn(road_, "role", run(std::move(role)));
    spawn(road_, "signals", wait(std::move(stop)));
    spawn(road_, "SIGHUP", hear_hangups(std::move(reload)));
    while (!over_) road_.run_one();
    return kDone;
  }

 private:
  asio::awaitable<void> run(asio::awaitable<void> role) {
    co_await std::move(role);
    if (drained_) {  // whoever asked for it shall see how it ended
      asio::steady_timer linger(road_, std::chrono::milliseconds(kDrainedMs));
      co_await linger.async_wait(asio::use_awaitable);
    }
    over_ = true;
    signals_.cancel();
  }
  asio::awaitable<void> wait(std::function<void()> stop) {
    co_await signals_.wait();
    if (over_) co_return;
    log::info("stopping; a second signal ends at once, and loses nothing");
    stop();
    asio::steady_timer patience(road_, std::chrono::milliseconds(kMostStopMs));
    co_await patience.async_wait(asio::use_awaitable);
    if (over_) co_return;
    log::warning("not stopped in order within " + show_duration(kMostStopMs) +
                 ": it ends at once, like kill -9, which loses nothing; the next start goes on");
    std::_Exit(kFailed);
  }
  asio::awaitable<void> hear_hangups(std::function<void()> reload) {
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    while (!over_ && !error) {
      co_await hangup_.async_wait(token);
      if (!error) reload();
    }
  }
  asio::io_context& road_;
  StopSignals& signals_;
  const RoleConfig& config_;
  asio::signal_set hangup_;
  bool over_ = false;
  bool drained_ = false;
};

void nothing_to_reload() {
  log::info("SIGHUP: this program has no pipelines to read again; restart it for other settings");
}

int run_agent(asio::io_context& road, StopSignals& signals, const RoleConfig& config) {
  const std::string& path = config.agent->local_socket;
  Agent agent(road, config.agent->settings, [&road, &path] { return connect_unix(road, path); });
  if (auto opened = agent.open(); !opened) return failed(opened.error().text);
  log::info("agent: " + std::to_string(config.agent->settings.sources.size()) +
            " pipelines, to the Local on " + path);
  return Life(road, signals, config)
      .live(
          agent.run(), [&agent] { agent.leave(); },
          [&agent, &config] { reload_pipelines(config, agent); },
          [&agent](Snapshot& now) { now.agent = agent.status(); },
          [&agent] { agent.drain_for_good(); });
}

int run_local(asio::io_context& road, StopSignals& signals, const RoleConfig& config) {
  const LocalConfig& local_config = *config.local;
  Local local(road, local_config.settings,
              [&road](std::string address) { return connect_tcp(road, std::move(address)); });
  if (auto opened = local.open(); !opened) return failed(opened.error().text);
  Unix::acceptor door(road);
  if (auto listens = listen_unix(door, local_config.agent_socket); !listens)
    return failed(listens.error().text);
  const std::function<void(StreamSocket)> take = [&local](StreamSocket socket) {
    local.accept_agent(std::move(socket));
  };
  spawn(road, "agents", accept_all<Unix>(door, take));
  log::info("Local: takes an agent on " + local_config.agent_socket + ", sends to " +
            local_config.settings.centers.front() +
            (local_config.settings.centers.size() > 1 ? " and others" : ""));
  const auto stop = [&local, &door] {
    door.close();
    local.leave();
  };
  return Life(road, signals, config)
      .live(local.run(), stop, nothing_to_reload,
            [&local](Snapshot& now) { now.local = local.status(); });
}

int run_center(asio::io_context& road, StopSignals& signals, const RoleConfig& config) {
  const CenterConfig& center_config = *config.center;
  std::string into;
  for (const SinkSettings& sink : center_config.settings.sinks) {
    if (auto made = make_directories(sink.root); !made) return failed(made.error().text);
    into += (into.empty() ? "" : " and ") + sink.root;
  }
  auto stores = open_stores(center_config.settings);
  if (!stores) return failed(stores.error().text);
  Center center(road, center_config.settings, std::move(*stores));
  if (auto opened = center.open(); !opened) return failed(opened.error().text);
  Tcp::acceptor door(road);
  if (auto listens = listen_tcp(door, center_config.listen); !listens)
    return failed(listens.error().text);
  const std::function<void(StreamSocket)> take = [&center](StreamSocket socket) {
    center.accept_local(std::move(socket));
  };
  spawn(road, "Locals", accept_all<Tcp>(door, take));
  log::info("Center " + center_config.settings.name + ": takes Locals on " +
            center_config.listen.show() + " as " + center_config.settings.address +
            ", publishes into " + into);
  const auto stop = [&center, &door] {
    door.close();
    center.stop(false);
  };
  return Life(road, signals, config)
      .live(center.run(), stop, nothing_to_reload,
            [&center](Snapshot& now) { now.center = center.status(); });
}

int start(const RoleConfig& config) {
  if (config.log_json) log::set_format(log::Format::json);
  log::set_role(config.agent ? "agent" : config.local ? "local" : "center");
  raise_open_files();
  if (auto made = make_directories(config.state); !made) return failed(made.error().text);
  const auto lock = StateLock::take(config.state);
  if (!lock) return failed(lock.error().text);
  asio::io_context road(1);
  StopSignals signals(road);
  if (auto installed = signals.install(); !installed) return failed(installed.error().text);
  if (config.agent) return run_agent(road, signals, config);
  if (config.local) return run_local(road, signals, config);
  return run_center(road, signals, config);
}

constexpr Option kOptions[] = {
    {"config", "FILE", "", "settings (/etc/tailrace/ROLE.yaml)"},
    {"admin", "ADDR", "", "host:port of /metrics, /readyz and the like, over the key 'admin'"},
};
}  // namespace

void reload_pipelines(const RoleConfig& config, Agent& agent) {
  const std::string& file = config.files.front().text.file();
  log::info("SIGHUP: reading " + file + " again");
  const RoleConfig fresh = read_role_config(file, config.role);
  say(fresh);
  if (!fresh.good())
    return log::error("SIGHUP: the settings are wrong (see above); the old pipelines stay");
  const std::vector<AgentSource>& sources = fresh.reads()->sources;
  if (const auto taken = agent.reload(sources); !taken)
    return log::error("SIGHUP: the old pipelines stay: " + taken.error().text);
  log::info("SIGHUP: " + std::to_string(sources.size()) + " pipelines from now on");
}

int run_daemon(const std::string& role, std::span<const std::string> words) {
  const std::string program = "tailrace-" + role;
  const Command command = {
      .name = role,
      .summary = "SIGTERM stops in order, SIGHUP reads pipelines again.",
      .synopsis = "[--config FILE] [--admin ADDR]",
      .examples = "",
      .options = kOptions,
  };
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") {
      std::fputs((daemon_help(command) + "\n" + keys_as_help(role)).c_str(), stdout);
      return kDone;
    }
    if (word == "--version") {
      std::printf("%s %s\n", program.c_str(), TAILRACE_VERSION);
      return kDone;
    }
  }
  const auto arguments = parse_arguments(command, words);
  if (!arguments) {
    std::fprintf(stderr, "%s: %s\nSee: %s --help\n", program.c_str(),
                 arguments.error().text.c_str(), program.c_str());
    return kWrongUsage;
  }
  const std::string file = arguments->given("config") ? std::string(arguments->value("config"))
                                                      : "/etc/tailrace/" + role + ".yaml";
  RoleConfig config = read_role_config(file, role);
  say(config);
  if (!config.good()) return kWrongSettings;
  if (arguments->given("admin"))
    if (auto chosen = choose_admin(arguments->value("admin"), config.admin); !chosen) {
      std::fprintf(stderr, "%s: %s\n", program.c_str(), chosen.error().text.c_str());
      return kWrongUsage;
    }
  return start(config);
}

}  // namespace tailrace
