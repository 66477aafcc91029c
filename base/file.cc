#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tailrace {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Fd> open_file(const std::string& path, int flags, unsigned mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return errno_error(errno, "opening " + path);
  return Fd(fd);
}

Result<size_t> read_at(int fd, char* buffer, size_t n, uint64_t offset) {
  size_t done = 0;
  while (done < n) {
    const ssize_t k = ::pread(fd, buffer + done, n - done, static_cast<off_t>(offset + done));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return errno_error(errno, "reading");
    if (k == 0) break;
    done += static_cast<size_t>(k);
  }
  return done;
}

Result<void> write_at(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t k = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return errno_error(errno, "writing");
    bytes.remove_prefix(static_cast<size_t>(k));
    offset += static_cast<uint64_t>(k);
  }
  return {};
}

Result<void> write_at(int fd, std::vector<iovec>& pieces, uint64_t offset) {
  constexpr size_t kMost = 512;  // well below IOV_MAX
  size_t first = 0;
  while (first < pieces.size()) {
    const int n = static_cast<int>(std::min(pieces.size() - first, kMost));
    const ssize_t k = ::pwritev(fd, &pieces[first], n, static_cast<off_t>(offset));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return errno_error(errno, "writing");
    offset += static_cast<uint64_t>(k);
    size_t left = static_cast<size_t>(k);
    while (first < pieces.size() && left >= pieces[first].iov_len) left -= pieces[first++].iov_len;
    if (left > 0) {
      pieces[first].iov_base = static_cast<char*>(pieces[first].iov_base) + left;
      pieces[first].iov_len -= left;
    }
  }
  return {};
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t k = ::write(fd, bytes.data(), bytes.size());
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return errno_error(errno, "writing");
    bytes.remove_prefix(static_cast<size_t>(k));
  }
  return {};
}

Result<void> sync_data(int fd) {
  if (::fdatasync(fd) == 0) return {};
  return Error{Error::Kind::fatal, errno_error(errno, "fdatasync").text};
}

Result<void> sync_directory(const std::string& path) {
  auto dir = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::fsync(dir->get()) == 0) return {};
  return Error{Error::Kind::fatal, errno_error(errno, "fsync of directory " + path).text};
}

Result<std::string> read_file(const std::string& path, size_t limit_bytes) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return fd.error();
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return errno_error(errno, "fstat of " + path);
  if (static_cast<uint64_t>(st.st_size) > limit_bytes)
    return Error{Error::Kind::rejected, path + " is larger than it may be"};
  std::string bytes(static_cast<size_t>(st.st_size), '\0');
  auto n = read_at(fd->get(), bytes.data(), bytes.size(), 0);
  if (!n) return n.error().within(path);
  bytes.resize(*n);
  return bytes;
}

std::string parent_path(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string path_in(const std::string& folder, std::string_view name) {
  std::string path = folder;
  if (path.back() != '/') path += '/';
  return path.append(name);
}

Result<void> replace_file(const std::string& path, std::string_view bytes) {
  const std::string tmp = path + ".tmp";
  {
    auto fd = open_file(tmp, O_WRONLY | O_CREAT | O_TRUNC);
    if (!fd) return fd.error();
    if (auto r = write_all(fd->get(), bytes); !r) return r.error().within(tmp);
    if (auto r = sync_data(fd->get()); !r) return r.error().within(tmp);
  }
  if (::rename(tmp.c_str(), path.c_str()) != 0) return errno_error(errno, "renaming onto " + path);
  return sync_directory(parent_path(path));
}

Result<void> make_directories(const std::string& path) {
  if (path.empty() || path == "/" || path == ".") return {};
  struct stat st {};
  if (::stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return {};
    return Error{Error::Kind::rejected, path + " is in the way: it is not a directory"};
  }
  const std::string parent = parent_path(path);
  if (auto r = make_directories(parent); !r) return r;
  if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST)
    return errno_error(errno, "making directory " + path);
  return sync_directory(parent);
}

}  // namespace tailrace
