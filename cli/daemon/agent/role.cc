// The agent's daemon.
#include "agent/agent.h"
#include "base/log.h"
#include "cli/daemon/daemon.h"
#include "cli/daemon/life.h"
#include "cli/daemon/roles.h"
#include "cli/daemon/ways.h"

namespace tailrace {

namespace {
// Reads the settings again and gives the agent their pipelines; on any error, which is said, the
// old ones stay.
void reload_pipelines(const RoleConfig& config, Agent& agent) {
  const std::string& file = config.files.front().text.file();
  log::info("SIGHUP: reading " + file + " again");
  const RoleConfig fresh = read_role_config(file, config.role);
  say_settings(fresh);
  if (!fresh.good())
    return log::error("SIGHUP: the settings are wrong (see above); the old pipelines stay");
  const std::vector<AgentSource>& sources = fresh.reads()->sources;
  if (const auto taken = agent.reload(sources); !taken)
    return log::error("SIGHUP: the old pipelines stay: " + taken.error().text);
  log::info("SIGHUP: " + std::to_string(sources.size()) + " pipelines from now on");
}
}  // namespace

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

}  // namespace tailrace
