// `tailrace drain CENTER`: a Center gives its lanes away and ends. Thread: main; blocks.
#pragma once

#include <string>

#include "cli/options.h"

namespace tailrace {

// The exit code. `most_ms`: how long to wait for its end; -1: as long as it takes.
[[nodiscard]] int drain_center(const Arguments& arguments, const std::string& name,
                               int64_t most_ms);

}  // namespace tailrace
