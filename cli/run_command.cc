#include "cli/run_command.h"

#include <cstdio>
#include <filesystem>

#include "cli/run.h"
#include "cli/run_settings.h"

namespace tailrace {

namespace {

constexpr int kWrongSettings = 78;

constexpr std::string_view kExamples =
    "  tailrace run --from '/var/log/nginx/*.log' --to ./collected         until Ctrl-C\n"
    "  tailrace run --from '/var/log/nginx/*.log' --to ./collected --once  what is there now, then "
    "end\n"
    "  tailrace run --from web='/srv/*/logs/access.log' --from app='/srv/app/**/*.log' --to "
    "/data/logs\n"
    "  tailrace cat ./collected                                            look at what came\n";

constexpr std::string_view kNotes =
    "Each whole line that stands in a watched file appears once in the published files, whatever "
    "is\n"
    "killed on the way. Files are published whole: what lies below --to can be read at any time, "
    "but for\n"
    "names that begin with '_'.\n"
    "\n"
    "Ctrl-C (or SIGTERM) publishes everything, then leaves; a second one leaves at once. That, "
    "like\n"
    "kill -9, loses nothing: the next start with the same --to and --state goes on where this one "
    "was.\n"
    "\n"
    "Exit codes: 0 all that was read is published; 1 something is missing, and stderr says what; 2 "
    "the\n"
    "command line is wrong. Sizes are written 64KiB, 128MiB, 1GiB; times 500ms, 10s, 5m, 1h.\n";

int wrong(std::string_view text) {
  std::fprintf(stderr, "tailrace run: %.*s\nSee: tailrace run --help\n",
               static_cast<int>(text.size()), text.data());
  return 2;
}

// By a settings file: what it does not say has the file's defaults, not those of the options.
int run_file(const Arguments& arguments) {
  for (const Option& option : run_options())
    if (option.name != "config" && option.name != "once" && option.name != "admin" &&
        arguments.given(option.name))
      return wrong("--" + std::string(option.name) + " does not go with --config: write it there");
  RoleConfig config = read_role_config(std::string(arguments.value("config")), "run");
  for (const std::string& notice : config.notices) std::fprintf(stderr, "%s\n", notice.c_str());
  for (const ConfigProblem& problem : config.problems) std::fputs(problem.show().c_str(), stderr);
  if (!config.good()) return kWrongSettings;
  if (arguments.given("admin"))
    if (auto chosen = choose_admin(arguments.value("admin"), config.admin); !chosen)
      return wrong(chosen.error().text);
  return run_with(config, arguments.given("once"));
}

int run_run(const Arguments& arguments) {
  if (arguments.given("config")) return run_file(arguments);
  std::error_code error;
  const auto cwd = std::filesystem::current_path(error);
  if (error) return wrong("the current directory: " + error.message());
  const auto settings = run_settings(arguments, cwd.native());
  if (!settings) return wrong(settings.error().text);
  return run(*settings);
}

}  // namespace

const Command& run_command() {
  static const Command kCommand = {
      .name = "run",
      .summary = "collects log files into few large files, each line exactly once",
      .synopsis = "--from [CATEGORY=]GLOB... --to DIR [--once] [OPTIONS] | --config FILE [--once]",
      .examples = kExamples,
      .notes = kNotes,
      .options = run_options(),
      .run = run_run,
  };
  return kCommand;
}

}  // namespace tailrace
