#include "cli/command_line.h"

#include <cstdio>
#include <vector>

#include "base/nearest.h"
#include "base/units.h"
#include "cli/cat_command.h"
#include "cli/centers_command.h"
#include "cli/check_command.h"
#include "cli/config_command.h"
#include "cli/drain_command.h"
#include "cli/files_command.h"
#include "cli/options.h"
#include "cli/rebalance_command.h"
#include "cli/run_command.h"
#include "cli/spool_command.h"
#include "cli/status_command.h"
#include "cli/topics_command.h"

namespace tailrace {

namespace {

constexpr int kWrongUsage = 2;

std::vector<const Command*> commands() {
  return {&run_command(),    &cat_command(),       &check_command(),  &config_command(),
          &status_command(), &files_command(),     &topics_command(), &centers_command(),
          &drain_command(),  &rebalance_command(), &spool_command()};
}

void print_overview(FILE* to) {
  std::string text =
      "Tailrace collects log files into few large files, each line exactly once.\n"
      "\n"
      "  tailrace run --from '/var/log/nginx/*.log' --to ./collected    collect; Ctrl-C ends it\n"
      "  tailrace cat ./collected                                       look at what came\n"
      "\n"
      "Commands:\n";
  for (const Command* command : commands()) {
    std::string line = "  " + std::string(command->name);
    line.resize(13, ' ');
    text += line + std::string(command->summary) + "\n";
  }
  text += "\ntailrace COMMAND --help tells all of a command; tailrace --version the version.\n";
  std::fputs(text.c_str(), to);
}

bool asks_for_help(std::span<const std::string> words) {
  for (const std::string& word : words) {
    if (word == "--") return false;
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

int wrong(std::string_view text, std::string_view where) {
  std::fprintf(stderr, "tailrace%.*s%.*s: %.*s\nSee: tailrace%.*s%.*s --help\n",
               where.empty() ? 0 : 1, " ", static_cast<int>(where.size()), where.data(),
               static_cast<int>(text.size()), text.data(), where.empty() ? 0 : 1, " ",
               static_cast<int>(where.size()), where.data());
  return kWrongUsage;
}

int unknown_command(const std::string& word) {
  std::vector<std::string_view> names{"help", "--help", "--version"};
  for (const Command* command : commands()) names.push_back(command->name);
  std::string text = "there is no command '" + escape(word, 64) + "'";
  const std::string_view meant = nearest(word, names);
  if (!meant.empty()) text += "; did you mean '" + std::string(meant) + "'?";
  return wrong(text, "");
}

int finish_stdout(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fputs("tailrace: writing to stdout failed\n", stderr);
  return code == 0 ? 1 : code;
}

}  // namespace

int command_line(std::span<const std::string> words) {
  if (words.empty()) {
    print_overview(stderr);
    return kWrongUsage;
  }
  const std::string& first = words[0];
  if (first == "--version" || first == "version") {
    std::puts("tailrace " TAILRACE_VERSION);
    return finish_stdout(0);
  }
  const bool help = first == "help";
  if (first == "--help" || first == "-h" || (help && words.size() == 1)) {
    print_overview(stdout);
    return finish_stdout(0);
  }
  const std::string& name = help ? words[1] : first;
  for (const Command* command : commands()) {
    if (command->name != name) continue;
    const auto rest = words.subspan(1);
    if (help || asks_for_help(rest)) {
      std::fputs(help_text(*command).c_str(), stdout);
      return finish_stdout(0);
    }
    const auto arguments = parse_arguments(*command, rest);
    if (!arguments) return wrong(arguments.error().text, command->name);
    return finish_stdout(command->run(*arguments));
  }
  return unknown_command(name);
}

}  // namespace tailrace
