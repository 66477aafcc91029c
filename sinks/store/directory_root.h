// A directory held open, and the few durable calls on paths below it. Held open, so that the file
// system cannot be unmounted from under a running Center, which would then go on below the mount
// point. Thread: any; every call may block. Errors: retry_later whatever the store may get over (no
// space, no right, an I/O error); rejected what it never will; fatal after a failed fsync.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace tailrace {

// How a name is given without ever replacing another. `link` is what `rename` falls back to where
// the file system does not know RENAME_NOREPLACE.
enum class Exclusive { rename, link };

// An absolute path is taken as it stands.
class DirectoryRoot {
 public:
  // `path` must be a directory.
  [[nodiscard]] static Result<DirectoryRoot> open(const std::string& path, Exclusive exclusive);

  [[nodiscard]] Result<Fd> open_at(const std::string& path, int flags) const;
  // Makes what is missing of `path`. durable: syncs every level, also those that stood: who made
  // them may have died before he did.
  enum class Durability { later, durable };
  [[nodiscard]] Result<void> make_directory(const std::string& path, Durability durability) const;
  [[nodiscard]] Result<bool> is_directory(const std::string& path) const;
  [[nodiscard]] Result<bool> exists(const std::string& path) const;
  // Whether `path` is the name of this open file.
  [[nodiscard]] Result<bool> is_name_of(const std::string& path, int fd) const;
  [[nodiscard]] Result<void> sync_directory(const std::string& path) const;
  enum class Moved {
    yes,
    taken,
    absent
  };  // taken: `to` stands; absent: `from` or a directory does not
  [[nodiscard]] Result<Moved> move(const std::string& from, const std::string& to) const;
  // A file or an empty directory; false: it was absent. Not durable by itself.
  [[nodiscard]] Result<bool> remove(const std::string& path) const;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) const;
  [[nodiscard]] std::string shown(const std::string& path) const;  // for messages

 private:
  DirectoryRoot(Fd fd, std::string path, Exclusive exclusive)
      : fd_(std::move(fd)), path_(std::move(path)), exclusive_(exclusive) {}
  [[nodiscard]] Error failed(int err, std::string_view doing, const std::string& path) const;

  Fd fd_;
  std::string path_;
  Exclusive exclusive_;
};

}  // namespace tailrace
