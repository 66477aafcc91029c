// `tailrace run`: its help and its options.
// Thread: main.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& run_command();

}  // namespace tailrace
