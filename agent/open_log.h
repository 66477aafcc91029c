// Opens a log file without being tricked: regular files only, never blocking, and a symlink only
// where neither the link nor its folder could have been put there by somebody who may not read its
// target. Thread: any; may block on the disk.
#pragma once

#include <string>

#include "agent/file_identity.h"
#include "base/file.h"
#include "base/result.h"

namespace tailrace {

// Where a name leads: itself, or through symlinks to `target`, which passed the ownership rule:
// each link and the folder it stands in belong to root or to the target's owner.
struct LogPlace {
  std::string target;
  FileFacts facts;  // of the target
  bool linked = false;
};
// closed: there is no such name (or its link leads nowhere). rejected: why it must not be followed,
// or is no regular file. retry_later: we could not look. The error's text has no path.
[[nodiscard]] Result<LogPlace> find_log(const std::string& path);
// False for what find_log() refuses and nobody misses: a folder, a FIFO, a socket, a device, also
// behind a symlink. True for what we may not look at.
[[nodiscard]] bool may_hold_lines(const std::string& path);

// The place, opened, and still what find_log saw (closed if not).
[[nodiscard]] Result<Fd> open_log(const LogPlace& place);

}  // namespace tailrace
