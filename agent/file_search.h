// Finds a file that stands under its name no more: by who it is, wherever that can be asked.
// Thread: any; blocks on the disk.
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace tailrace {

// The name under which an open file stands now; `otherwise` if it has none.
[[nodiscard]] std::string name_of_open(int fd, const std::string& otherwise);

// By handle, else among its neighbours: in the folder of `path`, under which it stood, and in that
// of its target if `path` is a symlink. `target`: where a symlink led when it was last seen.
// The name that it has now goes to `path`.
// closed: it exists no more, or is not to be found; retry_later: we could not look, also because
// the file's disk is not mounted there now. The error's text is for what cannot be read.
[[nodiscard]] Result<Fd> search_file(const std::string& identity, std::string& path,
                                     const std::string& target = {});

}  // namespace tailrace
