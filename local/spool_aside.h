// A spool that another one takes the place of. Thread: main, or the road while nothing is served;
// may block.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {

// Renames the spool's directory to <directory>.aside-<seconds>; nothing is deleted. In its place
// comes one in which the next start makes a new spool. `replaces`: the ids of those that a person
// has set aside for it, which it tells the agent. Returns the old one's new name.
[[nodiscard]] Result<std::string> set_spool_aside(const std::string& directory,
                                                  const std::vector<uint64_t>& replaces);
// What was given when the spool in that directory was to be made; mostly nothing.
[[nodiscard]] Result<std::vector<uint64_t>> spool_replaces(const std::string& directory);

}  // namespace tailrace
