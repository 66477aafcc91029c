// The program's front door: which command is meant, --help, --version, and what to say to a typo.
// Exit codes: 0 done, 1 not done (stderr says why), 2 the command line is wrong.
// Thread: main.
#pragma once

#include <span>
#include <string>

namespace tailrace {

// `words`: what follows the program's name. Returns the exit code.
[[nodiscard]] int command_line(std::span<const std::string> words);

}  // namespace tailrace
