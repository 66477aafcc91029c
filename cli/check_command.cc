#include "cli/check_command.h"

#include <asio/io_context.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/source_rules.h"
#include "agent/tree_walk.h"
#include "base/units.h"
#include "cli/config/role_config.h"
#include "cli/probe.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kGood = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kWrongSettings = 78;

// What the agent would find now.
struct WouldRead {
  uint64_t files = 0;
  uint64_t bytes = 0;
  int64_t oldest_ms = INT64_MAX;
  std::vector<SkippedFile> unreadable;
};

WouldRead look(const AgentSettings& settings) {
  WouldRead out;
  const auto rules = SourceRules::compile(settings.sources, settings.never_below);
  if (!rules) return out;
  TreeWalk walk = walk_sources(*rules);
  for (const FoundFile& file : walk.files) {
    ++out.files;
    out.bytes += file.place.facts.size;
    out.oldest_ms = std::min(out.oldest_ms, file.place.facts.written_ms);
  }
  for (SkippedFile& file : walk.skipped)
    if (file.unreadable) out.unreadable.push_back(std::move(file));
  return out;
}

// Start goes on from here with the roles' constructors: so does the check, without open(), which
// would touch the state.
void construct(const RoleConfig& config) {
  asio::io_context road(1);
  if (config.agent) Agent(road, config.agent->settings, nullptr);
  if (config.local) Local(road, config.local->settings, nullptr);
  if (config.center)
    Center(road, config.center->settings,
           std::vector<SinkStore>(config.center->settings.sinks.size()));
  if (config.run) Road(road, *config.run);
}

void show(const std::string& file, const RoleConfig& config) {
  for (const std::string& notice : config.notices) std::fprintf(stderr, "%s\n", notice.c_str());
  for (const ConfigProblem& problem : config.problems) std::fputs(problem.show().c_str(), stderr);
  if (!config.good()) return;
  std::printf("%s: good settings of role %s\n", file.c_str(), config.role.c_str());
  if (config.reads() == nullptr) return;
  const WouldRead would = look(*config.reads());
  if (would.files == 0)
    std::printf("  no file matches now\n");
  else
    std::printf("  %s %s, %s, oldest %s\n", show_count(would.files).c_str(),
                would.files == 1 ? "file" : "files", show_size(would.bytes).c_str(),
                show_utc(would.oldest_ms).substr(0, 10).c_str());
  for (const SkippedFile& skipped : would.unreadable)
    std::printf("  cannot read %s: %s\n", escape(skipped.path).c_str(), skipped.reason.c_str());
}

void show(const Probes& probes) {
  for (const Probe& probe : probes) {
    std::printf("  %-4s  %s: %s: %s\n", std::string(verdict_name(probe.verdict)).c_str(),
                escape(probe.about).c_str(), escape(probe.tried, 1024).c_str(),
                escape(probe.found, 1024).c_str());
    if (!probe.mend.empty()) std::printf("        %s\n", escape(probe.mend, 1024).c_str());
  }
}

Json as_json(const Probes& probes) {
  Json out = Json::array();
  for (const Probe& probe : probes)
    out.push_back({{"verdict", verdict_name(probe.verdict)},
                   {"about", probe.about},
                   {"tried", probe.tried},
                   {"found", probe.found},
                   {"mend", probe.mend}});
  return out;
}

Json as_json(const std::string& file, const RoleConfig& config) {
  Json out;
  out["file"] = file;
  out["role"] = config.role;
  out["good"] = config.good();
  out["problems"] = Json::array();
  for (const ConfigProblem& p : config.problems)
    out["problems"].push_back({{"file", p.file},
                               {"line", p.line},
                               {"column", p.column},
                               {"text", p.text},
                               {"hint", p.hint}});
  out["notices"] = config.notices;
  if (!config.good() || config.reads() == nullptr) return out;
  const WouldRead would = look(*config.reads());
  out["would_read"] = {{"files", would.files}, {"bytes", would.bytes}};
  if (would.files > 0) out["would_read"]["oldest_ms"] = would.oldest_ms;
  out["would_read"]["unreadable"] = Json::array();
  for (const SkippedFile& skipped : would.unreadable)
    out["would_read"]["unreadable"].push_back({{"path", skipped.path}, {"reason", skipped.reason}});
  return out;
}

int run_check(const Arguments& arguments) {
  const std::string_view format = arguments.value("format");
  if (arguments.operands().empty() || (format != "text" && format != "json")) {
    std::fprintf(stderr, "tailrace check: %s\nSee: tailrace check --help\n",
                 arguments.operands().empty() ? "which FILE?" : "--format is text or json");
    return kWrongUsage;
  }
  const bool json = format == "json";
  bool good = true, all_there = true;
  Json all = Json::array();
  for (const std::string& file : arguments.operands()) {
    const RoleConfig config = read_role_config(file, "");
    if (config.good()) construct(config);
    good = good && config.good();
    const bool connect = arguments.given("connect") && config.good();
    const Probes probes = connect ? probe(config) : Probes();
    for (const Probe& of : probes) all_there = all_there && of.verdict != Probe::Verdict::fail;
    if (!json) {
      show(file, config);
      show(probes);
      continue;
    }
    all.push_back(as_json(file, config));
    if (connect) all.back()["probes"] = as_json(probes);
  }
  if (json) std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  if (!good) return kWrongSettings;
  return all_there ? kGood : kFailed;
}

constexpr Option kOptions[] = {
    {"connect", "", "",
     "also try what the settings name: HDFS, directories, ZooKeeper, Centers, the Local"},
    {"format", "text|json", "text", "json: an array with an object for each FILE"},
};
}  // namespace

const Command& check_command() {
  static const Command kCommand = {
      .name = "check",
      .summary = "says what is wrong with settings, each error with its line; exit 78 if any is",
      .synopsis = "[--connect] [--format json] FILE...",
      .examples =
          "  tailrace check /etc/tailrace/agent.yaml\n"
          "  sudo -u tailrace tailrace check --connect /etc/tailrace/center.yaml\n",
      .operands = "FILE...",
      .notes =
          "The agent's conf.d/*.yaml beside FILE are read with it. It also says what would be "
          "read now.\n"
          "--connect goes the way of a file at each sink: small files are written, renamed and "
          "removed,\n"
          "in the output and in the control directory. Run it as the program's user. Each line is "
          "ok, warn\n"
          "or FAIL, with what to do below it.\n\n"
          "Exit codes: 0 good, 1 something that was tried fails, 2 wrong usage, 78 wrong "
          "settings.\n",
      .options = kOptions,
      .run = run_check,
  };
  return kCommand;
}

}  // namespace tailrace
