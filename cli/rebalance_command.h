// `tailrace rebalance`: whether lanes move for balance. Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& rebalance_command();

}  // namespace tailrace
