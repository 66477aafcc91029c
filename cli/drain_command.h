// `tailrace drain`: takes this host out of service: its agent reads all files to their ends and
// ends once everything is published. Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& drain_command();

}  // namespace tailrace
