#include "cli/daemon/daemon.h"

#include <cstdio>

#include "base/file.h"
#include "base/log.h"
#include "cli/config/keys.h"
#include "cli/daemon/life.h"
#include "cli/options.h"
#include "cli/process.h"
#include "cli/state_lock.h"

namespace tailrace {

namespace {
constexpr int kDone = 0;
constexpr int kWrongUsage = 2;
constexpr int kWrongSettings = 78;

int start(const RoleConfig& config, DaemonRole run) {
  if (config.log_json) log::set_format(log::Format::json);
  log::set_role(config.agent ? "agent" : config.local ? "local" : "center");
  raise_open_files();
  if (auto made = make_directories(config.state); !made) return failed(made.error().text);
  const auto lock = StateLock::take(config.state);
  if (!lock) return failed(lock.error().text);
  asio::io_context road(1);
  StopSignals signals(road);
  if (auto installed = signals.install(); !installed) return failed(installed.error().text);
  return run(road, signals, config);
}

constexpr Option kOptions[] = {
    {"config", "FILE", "", "settings (/etc/tailrace/ROLE.yaml)"},
    {"admin", "ADDR", "", "host:port of /metrics, /readyz and the like, over the key 'admin'"},
};
}  // namespace

void say_settings(const RoleConfig& config) {
  for (const std::string& notice : config.notices) log::info(notice);
  for (const ConfigProblem& problem : config.problems) std::fputs(problem.show().c_str(), stderr);
}

int run_daemon(const std::string& role, DaemonRole run, std::span<const std::string> words) {
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
  say_settings(config);
  if (!config.good()) return kWrongSettings;
  if (arguments->given("admin"))
    if (auto chosen = choose_admin(arguments->value("admin"), config.admin); !chosen) {
      std::fprintf(stderr, "%s: %s\n", program.c_str(), chosen.error().text.c_str());
      return kWrongUsage;
    }
  return start(config, run);
}

}  // namespace tailrace
