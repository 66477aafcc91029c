#include "sinks/store/directory_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace tailrace {

namespace {
constexpr mode_t kDirectoryMode = 0750;
constexpr unsigned kFileMode = 0640;

bool never_changes(int err) {
  return err == ENOTDIR || err == EISDIR || err == ENAMETOOLONG || err == EINVAL || err == ELOOP ||
         err == EXDEV || err == ENOTEMPTY || err == EEXIST;
}
}  // namespace

Result<DirectoryRoot> DirectoryRoot::open(const std::string& path, Exclusive exclusive) {
  auto fd = open_file(path, O_PATH | O_DIRECTORY);
  if (!fd) return fd.error().within("the output directory (make it or mount it first)");
  return DirectoryRoot(*std::move(fd), path, exclusive);
}

std::string DirectoryRoot::shown(const std::string& path) const {
  return path.starts_with('/') ? path : path_ + "/" + path;
}

Error DirectoryRoot::failed(int err, std::string_view doing, const std::string& path) const {
  const auto kind = never_changes(err) ? Error::Kind::rejected : Error::Kind::retry_later;
  return errno_error(err, std::string(doing) + " " + shown(path), kind);
}

Result<Fd> DirectoryRoot::open_at(const std::string& path, int flags) const {
  const int fd = ::openat(fd_.get(), path.c_str(), flags | O_CLOEXEC, kFileMode);
  if (fd < 0) return failed(errno, "opening", path);
  return Fd(fd);
}

Result<void> DirectoryRoot::make_directory(const std::string& path, Durability durability) const {
  if (path.empty() || path == ".") return {};
  size_t end = 0;
  do {
    end = path.find('/', end + 1);
    const std::string level = path.substr(0, end);
    const bool made = ::mkdirat(fd_.get(), level.c_str(), kDirectoryMode) == 0;
    if (!made && errno != EEXIST) return failed(errno, "making directory", level);
    if (durability == Durability::later) continue;
    const std::string parent = parent_path(level);
    // A directory above ours that we may not even read: we put nothing into it.
    if (!made && ::faccessat(fd_.get(), parent.c_str(), R_OK, AT_EACCESS) != 0 && errno == EACCES)
      continue;
    if (auto r = sync_directory(parent); !r) return r;
  } while (end != std::string::npos);
  return {};
}

Result<bool> DirectoryRoot::is_directory(const std::string& path) const {
  struct stat st {};
  if (::fstatat(fd_.get(), path.c_str(), &st, 0) != 0) {
    if (errno == ENOENT) return false;
    return failed(errno, "looking for", path);
  }
  if (!S_ISDIR(st.st_mode)) return failed(ENOTDIR, "looking for", path);
  return true;
}

Result<bool> DirectoryRoot::exists(const std::string& path) const {
  struct stat st {};
  if (::fstatat(fd_.get(), path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT) return false;
  return failed(errno, "looking for", path);
}

Result<bool> DirectoryRoot::is_name_of(const std::string& path, int fd) const {
  struct stat name {
  }, file{};
  if (::fstat(fd, &file) != 0) return failed(errno, "fstat of", path);
  if (::fstatat(fd_.get(), path.c_str(), &name, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return false;
    return failed(errno, "looking for", path);
  }
  return name.st_dev == file.st_dev && name.st_ino == file.st_ino;
}

Result<void> DirectoryRoot::sync_directory(const std::string& path) const {
  auto dir = open_at(path, O_RDONLY | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::fsync(dir->get()) == 0) return {};
  return Error{Error::Kind::fatal, failed(errno, "fsync of directory", path).text};
}

Result<DirectoryRoot::Moved> DirectoryRoot::move(const std::string& from,
                                                 const std::string& to) const {
  const int root = fd_.get();
  if (exclusive_ == Exclusive::rename) {
    if (::renameat2(root, from.c_str(), root, to.c_str(), RENAME_NOREPLACE) == 0) return Moved::yes;
    if (errno == EEXIST) return Moved::taken;
    if (errno == ENOENT) return Moved::absent;
    if (errno != EINVAL && errno != ENOSYS) return failed(errno, "renaming onto", to);
  }
  if (::linkat(root, from.c_str(), root, to.c_str(), 0) != 0) {
    if (errno == EEXIST) return Moved::taken;
    if (errno == ENOENT) return Moved::absent;
    return failed(errno, "linking onto", to);
  }
  if (auto r = remove(from); !r) return r.error();
  return Moved::yes;
}

Result<bool> DirectoryRoot::remove(const std::string& path) const {
  if (::unlinkat(fd_.get(), path.c_str(), 0) == 0) return true;
  if (errno == EISDIR && ::unlinkat(fd_.get(), path.c_str(), AT_REMOVEDIR) == 0) return true;
  if (errno == ENOENT) return false;
  return failed(errno, "removing", path);
}

Result<std::vector<std::string>> DirectoryRoot::list(const std::string& path) const {
  std::vector<std::string> names;
  const int fd = ::openat(fd_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return names;
    return failed(errno, "listing", path);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(fd), ::closedir);
  if (!dir) {
    ::close(fd);
    return failed(errno, "listing", path);
  }
  for (errno = 0; const dirent* entry = ::readdir(dir.get()); errno = 0) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return failed(errno, "listing", path);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tailrace
