// Where a sink's records are kept, as a person names it. Thread: any. Pure.
#pragma once

#include <string>
#include <string_view>

#include "center/names.h"

namespace tailrace {

// Leaves out the slashes at its end. Whether a store can have it: a path below its root, or an
// absolute one.
[[nodiscard]] inline bool take_control_path(std::string& control) {
  while (control.ends_with('/')) control.pop_back();
  const std::string_view path = control;
  return valid_store_path(path.substr(path.starts_with('/') ? 1 : 0));
}

}  // namespace tailrace
