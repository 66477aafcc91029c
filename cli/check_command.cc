#include "cli/check_command.h"

#include "cli/daemon/daemon.h"

namespace tailrace {

namespace {
int run_check(const Arguments& arguments) { return check_settings(arguments.operands()); }
}  // namespace

const Command& check_command() {
  static const Command kCommand = {
      .name = "check",
      .summary = "says what is wrong with settings, each error with its line; exit 78 if any is",
      .synopsis = "FILE...",
      .examples = "  tailrace check /etc/tailrace/agent.yaml\n",
      .operands = "FILE...",
      .notes = "",
      .options = {},
      .run = run_check,
  };
  return kCommand;
}

}  // namespace tailrace
