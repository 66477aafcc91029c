// tailrace, the operator's program: everything stands in cli/command_line.h.
#include <csignal>
#include <string>
#include <vector>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE,
              SIG_IGN);  // a reader that goes is an error of write(), told where it happens
  const std::vector<std::string> words(argv + 1, argv + argc);
  return tailrace::command_line(words);
}
