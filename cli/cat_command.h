// `tailrace cat`: prints published lines, whatever the codec.
// Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& cat_command();

}  // namespace tailrace
