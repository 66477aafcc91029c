// `tailrace spool`: looks at a Local's spool, proves it, or sets it aside. Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& spool_command();

}  // namespace tailrace
