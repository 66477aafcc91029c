// `tailrace status`: asks the admin ports of the programs on this host and shows what they say.
// Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& status_command();

}  // namespace tailrace
