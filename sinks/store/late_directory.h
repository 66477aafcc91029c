// A directory store that is opened when it is first asked, and again on request: a root that is not
// there, or not mounted yet, keeps nobody from starting. Thread: as records.h and files.h say.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sinks/store/directory_store.h"

namespace tailrace {

struct LateDirectory {
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
  // Opens anew whatever stands at the path now, made if nothing does. On the records' worker, and
  // only before a file was staged.
  std::function<Result<void>()> reopen;
};
[[nodiscard]] LateDirectory late_directory_store(const std::string& root);

}  // namespace tailrace
