// Owned file descriptors and the few calls on them, with Results and without short reads or writes.
// Thread: any for the functions; an Fd belongs to one owner. All calls may block.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

struct iovec;

namespace tailrace {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC; the error names the path.
[[nodiscard]] Result<Fd> open_file(const std::string& path, int flags, unsigned mode = 0640);
// Reads up to n bytes at offset, fewer only at the end of the file; returns how many.
[[nodiscard]] Result<size_t> read_at(int fd, char* buffer, size_t n, uint64_t offset);
[[nodiscard]] Result<void> write_at(int fd, std::string_view bytes, uint64_t offset);
// Gathers; `pieces` is used up.
[[nodiscard]] Result<void> write_at(int fd, std::vector<iovec>& pieces, uint64_t offset);
[[nodiscard]] Result<void> write_all(int fd, std::string_view bytes);
// fdatasync; a failure is fatal by rule and never tried again.
[[nodiscard]] Result<void> sync_data(int fd);
// Makes the names in a directory durable (after create, rename, unlink).
[[nodiscard]] Result<void> sync_directory(const std::string& path);

[[nodiscard]] Result<std::string> read_file(const std::string& path, size_t limit_bytes);
// tmp, fdatasync, rename over the old one, directory synced.
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view bytes);
// Like mkdir -p; directories that had to be made are synced into their parents.
[[nodiscard]] Result<void> make_directories(const std::string& path);
[[nodiscard]] std::string parent_path(const std::string& path);
// The path of `name` in that folder, which is not empty and may be "/".
[[nodiscard]] std::string path_in(const std::string& folder, std::string_view name);

}  // namespace tailrace
