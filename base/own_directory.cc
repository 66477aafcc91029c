#include "base/own_directory.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"

namespace tailrace {

bool is_own_directory(const std::string& directory) {
  struct stat st {};
  for (const std::string_view mark : {kOutputMark, kStateMark})
    if (::lstat((directory + "/").append(mark).c_str(), &st) == 0) return true;
  return false;
}

bool leads_into_own_directory(const std::string& path) {
  char real[PATH_MAX];
  if (!::realpath(path.c_str(), real)) return false;
  std::string at = real;
  while (at != "/") {
    at = parent_path(at);
    if (is_own_directory(at)) return true;
  }
  return false;
}

}  // namespace tailrace
