// `tailrace topics`: what a sink of Kafka needs there, and what is. Thread: main; blocks.
#pragma once

#include "cli/options.h"

namespace tailrace {

[[nodiscard]] const Command& topics_command();

}  // namespace tailrace
