#include "cli/daemon/daemon.h"

#include <sys/stat.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <cstdio>
#include <functional>
#include <memory>

#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/units.h"
#include "cli/daemon/daemon_config.h"
#include "cli/process.h"
#include "cli/state_lock.h"
#include "cli/stop_signals.h"
#include "sinks/store/directory_store.h"

namespace tailrace {

namespace {
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kWrongSettings = 78;
constexpr int64_t kMostStopMs = 30'000;

using Unix = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

int failed(const std::string& text) {
  log::error(text);
  return kFailed;
}

void say(const DaemonConfig& config) {
  for (const ConfigProblem& problem : config.problems) std::fputs(problem.show().c_str(), stderr);
}

// --- ways in and out
// ------------------------------------------------------------------------------

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

// Each call tries the next of the Centers.
class CenterDial {
 public:
  CenterDial(asio::io_context& road, std::vector<LocalConfig::Address> centers)
      : road_(road), resolver_(road), centers_(std::move(centers)) {}

  asio::awaitable<Result<StreamSocket>> connect() {
    const LocalConfig::Address& to = centers_[next_++ % centers_.size()];
    const std::string name = to.host + ":" + to.port;
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    const Tcp::resolver::results_type found =
        co_await resolver_.async_resolve(to.host, to.port, token);
    if (error) co_return failed(name, error);
    Tcp::socket socket(road_);
    for (const auto& entry : found) {
      asio::error_code ignored;
      socket.close(ignored);
      socket.open(entry.endpoint().protocol(), ignored);
      const Tcp::endpoint at = entry.endpoint();
      co_await socket.async_connect(at, token);
      if (!error) {
        socket.set_option(Tcp::no_delay(true), ignored);
        co_return StreamSocket(std::move(socket));
      }
    }
    co_return failed(name, error);
  }

 private:
  static Error failed(const std::string& name, const asio::error_code& error) {
    return Error{Error::Kind::retry_later,
                 "no Center answers on " + name + " (" + error.message() + "); it is tried again"};
  }
  asio::io_context& road_;
  Tcp::resolver resolver_;
  std::vector<LocalConfig::Address> centers_;
  size_t next_ = 0;
};

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

Result<void> listen_tcp(Tcp::acceptor& door, const std::string& host, uint16_t port) {
  asio::error_code error;
  const auto address = asio::ip::make_address(host, error);
  const Tcp::endpoint at(address, port);
  if (!error) door.open(at.protocol(), error);
  if (!error) door.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) door.bind(at, error);
  if (!error) door.listen(4096, error);
  if (error)
    return Error{Error::Kind::rejected,
                 "listening on " + host + ":" + std::to_string(port) + ": " + error.message()};
  return {};
}

// --- a role's life ----------------------------------------------------------------------------

// Runs `role`, and `stop` once a signal asks for it.
class Life {
 public:
  Life(asio::io_context& road, StopSignals& signals) : road_(road), signals_(signals) {}

  int live(asio::awaitable<void> role, std::function<void()> stop) {
    spawn(road_, "role", run(std::move(role)));
    spawn(road_, "signals", wait(std::move(stop)));
    while (!over_) road_.run_one();
    return kDone;
  }

 private:
  asio::awaitable<void> run(asio::awaitable<void> role) {
    co_await std::move(role);
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
  asio::io_context& road_;
  StopSignals& signals_;
  bool over_ = false;
};

int run_agent(asio::io_context& road, StopSignals& signals, const AgentConfig& config) {
  Agent agent(road, config.settings,
              [&road, path = config.local_socket] { return connect_unix(road, path); });
  if (auto opened = agent.open(); !opened) return failed(opened.error().text);
  log::info("agent: " + std::to_string(config.settings.sources.size()) +
            " pipelines, to the Local on " + config.local_socket);
  return Life(road, signals).live(agent.run(), [&agent] { agent.leave(); });
}

int run_local(asio::io_context& road, StopSignals& signals, const LocalConfig& config) {
  CenterDial dial(road, config.centers);
  Local local(road, config.settings, [&dial] { return dial.connect(); });
  if (auto opened = local.open(); !opened) return failed(opened.error().text);
  Unix::acceptor door(road);
  if (auto listens = listen_unix(door, config.agent_socket); !listens)
    return failed(listens.error().text);
  const std::function<void(StreamSocket)> take = [&local](StreamSocket socket) {
    local.accept_agent(std::move(socket));
  };
  spawn(road, "agents", accept_all<Unix>(door, take));
  log::info("Local: takes an agent on " + config.agent_socket + ", sends to " +
            config.centers.front().host + ":" + config.centers.front().port +
            (config.centers.size() > 1 ? " and others" : ""));
  return Life(road, signals).live(local.run(), [&local, &door] {
    door.close();
    local.leave();
  });
}

int run_center(asio::io_context& road, StopSignals& signals, const CenterConfig& config) {
  if (auto made = make_directories(config.output); !made) return failed(made.error().text);
  auto store = open_directory_store(config.output);
  if (!store) return failed(store.error().text);
  Center center(road, config.settings, std::move(store->records), std::move(store->files));
  if (auto opened = center.open(); !opened) return failed(opened.error().text);
  Tcp::acceptor door(road);
  if (auto listens = listen_tcp(door, config.listen_host, config.listen_port); !listens)
    return failed(listens.error().text);
  const std::function<void(StreamSocket)> take = [&center](StreamSocket socket) {
    center.accept_local(std::move(socket));
  };
  spawn(road, "Locals", accept_all<Tcp>(door, take));
  log::info("Center " + config.settings.name + ": takes Locals on " + config.listen_host + ":" +
            std::to_string(config.listen_port) + ", publishes into " + config.output);
  return Life(road, signals).live(center.run(), [&center, &door] {
    door.close();
    center.stop(false);
  });
}

int start(const DaemonConfig& config) {
  raise_open_files();
  if (auto made = make_directories(config.state()); !made) return failed(made.error().text);
  const auto lock = StateLock::take(config.state());
  if (!lock) return failed(lock.error().text);
  asio::io_context road(1);
  StopSignals signals(road);
  if (auto installed = signals.install(); !installed) return failed(installed.error().text);
  if (config.agent) return run_agent(road, signals, *config.agent);
  if (config.local) return run_local(road, signals, *config.local);
  return run_center(road, signals, *config.center);
}

std::string usage(const std::string& role) {
  return "tailrace-" + role + " [--config FILE]\n\n  --config FILE   settings (/etc/tailrace/" +
         role +
         ".yaml)\n\n`tailrace check FILE` says what is wrong with settings. SIGTERM stops in "
         "order.\n";
}
}  // namespace

int run_daemon(const std::string& role, std::span<const std::string> words) {
  std::string file = "/etc/tailrace/" + role + ".yaml";
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--help" || words[i] == "-h") {
      std::fputs(usage(role).c_str(), stdout);
      return kDone;
    }
    if (words[i] == "--version") {
      std::printf("tailrace-%s %s\n", role.c_str(), TAILRACE_VERSION);
      return kDone;
    }
    if (words[i] == "--config" && i + 1 < words.size()) {
      file = words[++i];
    } else if (words[i].starts_with("--config=")) {
      file = words[i].substr(9);
    } else {
      std::fprintf(stderr, "tailrace-%s: '%s' is not expected here\n\n%s", role.c_str(),
                   escape(words[i], 64).c_str(), usage(role).c_str());
      return kWrongUsage;
    }
  }
  const DaemonConfig config = read_daemon_config(file, role);
  for (const std::string& notice : config.notices) log::info(notice);
  say(config);
  return config.good() ? start(config) : kWrongSettings;
}

int check_settings(std::span<const std::string> files) {
  bool good = true;
  for (const std::string& file : files) {
    const DaemonConfig config = read_daemon_config(file, "");
    say(config);
    good = good && config.good();
    if (config.good())
      std::printf("%s: good settings of a %s\n", file.c_str(), config.role.c_str());
  }
  return good ? kDone : kWrongSettings;
}

}  // namespace tailrace
