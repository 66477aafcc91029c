// Who a file is, whatever its name: filesystem and file handle (inode and its generation) where the
// filesystem gives one, else inode and birth time. As bytes it is a serialised proto::FileIdentity.
// Thread: any; plain calls that may block.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace tailrace {

// What statx tells of a file.
struct FileFacts {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t birth_ns = 0;    // 0: not told
  int64_t written_ms = 0;  // wall time of the last write
  uint64_t size = 0;
  uint64_t links = 0;
  uint32_t mode = 0;
  uint32_t owner = 0;

  [[nodiscard]] bool regular() const;
  [[nodiscard]] bool symlink() const;
  [[nodiscard]] bool directory() const;
  // The same inode with the same birth. Nearly an identity, and free; but where an inode is given
  // away again within the clock's step, only the handle tells the two apart.
  [[nodiscard]] bool same_inode(const FileFacts& other) const {
    return inode == other.inode && device == other.device && birth_ns == other.birth_ns;
  }
};

// Of the name itself: a symlink is not followed. closed: nobody is there; retry_later: we could not
// look (rights, an I/O error). The error's text has no path.
[[nodiscard]] Result<FileFacts> facts_at(const std::string& path);
[[nodiscard]] Result<FileFacts> facts_of(int fd);
// "a FIFO", "a device"...: what a file that is not regular is, for messages.
[[nodiscard]] std::string_view kind_of_file(uint32_t mode);

// Of the name itself, or of an open file. Errors as above.
[[nodiscard]] Result<std::string> identity_at(const std::string& path);
[[nodiscard]] Result<std::string> identity_of(int fd);

// Whether the file's filesystem is the one that `folder` stands on (symlinks are followed).
[[nodiscard]] Result<bool> on_filesystem(std::string_view identity, const std::string& folder);
// The same file, of a filesystem that got another number since: some get one with each mount.
[[nodiscard]] bool same_but_filesystem(std::string_view a, std::string_view b);

// Opens a file by who it is, wherever it is now. `near`: any directory on its filesystem.
// closed: it exists no more. rejected: this filesystem or our rights do not allow it.
[[nodiscard]] Result<Fd> open_by_identity(std::string_view identity, const std::string& near);

}  // namespace tailrace
