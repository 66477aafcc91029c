// The list of Centers that a Local has heard of, on its disk: one that starts again needs nobody to
// tell it where they are. Thread: any; blocks on the disk.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {

// A file of lines, host:port each; what is none is passed over. No file: none.
[[nodiscard]] std::vector<std::string> read_center_list(const std::string& path);
// Replaced as a whole.
[[nodiscard]] Result<void> keep_center_list(const std::string& path,
                                            const std::vector<std::string>& centers);

}  // namespace tailrace
