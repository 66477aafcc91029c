// `tailrace check`: what is wrong with a daemon's settings, all of it.
// Thread: main.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& check_command();

}  // namespace tailrace
