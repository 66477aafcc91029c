// `tailrace centers`: who publishes into a store, and who owns which category.
// Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& centers_command();

}  // namespace tailrace
