#include "cli/run_command.h"

#include <cstdio>
#include <filesystem>

#include "cli/run.h"
#include "cli/run_settings.h"

namespace tailrace {

namespace {

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

int run_run(const Arguments& arguments) {
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
      .synopsis = "--from [CATEGORY=]GLOB... --to DIR [--once] [OPTIONS]",
      .examples = kExamples,
      .notes = kNotes,
      .options = run_options(),
      .run = run_run,
  };
  return kCommand;
}

}  // namespace tailrace
