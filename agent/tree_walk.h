// Lists the files that the sources mean now, and the folders in which new ones may appear.
// Thread: any (a worker's, where trees are large); blocks on the disk.
#pragma once

#include <string>
#include <vector>

#include "agent/open_log.h"
#include "agent/source_rules.h"

namespace tailrace {

struct FoundFile {
  std::string path;
  size_t source = 0;
  LogPlace place;
};
struct SkippedFile {
  std::string path;
  std::string reason;
  bool unreadable = false;  // it may hold lines, but we may not look
};

struct TreeWalk {
  std::vector<FoundFile> files;          // each path once, its first source
  std::vector<std::string> directories;  // sorted, each once
  std::vector<SkippedFile> skipped;
  bool complete = true;  // false: a folder could not be listed; `skipped` says which
};

[[nodiscard]] TreeWalk walk_sources(const SourceRules& rules);

}  // namespace tailrace
