// Which category a --from pattern means, when it is not named: `--from [CATEGORY=]GLOB`.
// Thread: any; pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace {

struct From {
  std::string category;
  std::string glob;      // absolute
  bool derived = false;  // the category was chosen here: say so
};

// `cwd` makes a relative pattern absolute. A '=' after a '/' belongs to the pattern, not to a
// category. rejected: a category that is none (what they look like is in the text), an empty
// pattern.
[[nodiscard]] Result<From> parse_from(std::string_view text, std::string_view cwd);

// The last folder of `glob` without wildcards that is not log, logs, var, data, tmp or current;
// else the file's stem; else, where that is all wildcards, the last folder without them after all.
// Lower case; what no category may hold becomes '-'.
[[nodiscard]] std::string derive_category(std::string_view glob);

}  // namespace tailrace
