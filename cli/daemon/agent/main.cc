// tailrace-agent: everything stands in cli/daemon/daemon.h and role.cc.
#include <csignal>
#include <string>
#include <vector>

#include "cli/daemon/daemon.h"
#include "cli/daemon/roles.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + 1, argv + argc);
  return tailrace::run_daemon("agent", tailrace::run_agent, words);
}
