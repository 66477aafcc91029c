// `tailrace files`: what was published, when, how large, of how many hosts.
// Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& files_command();

}  // namespace tailrace
