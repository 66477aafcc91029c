// `tailrace config`: what settings count, and from which line each comes; and what keys there are.
// Thread: main.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& config_command();

}  // namespace tailrace
