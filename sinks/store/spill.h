// Bytes appended to an open file of this machine, kept in order whatever fails: what a staged file
// is written into. Thread: append() on the road, the rest on a worker, one after the other.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace tailrace {

class Spill {
 public:
  // `shown`: what it is called in messages.
  Spill(Fd fd, std::string shown) : fd_(std::move(fd)), shown_(std::move(shown)) {}

  // retry_later. After an error nothing of the call counts: the next one writes over what it left.
  Result<void> append(const std::vector<std::string_view>& pieces);
  [[nodiscard]] Result<std::string> read(uint64_t offset, size_t n) const;
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] Error shorter_than_written() const;

 private:
  Fd fd_;
  std::string shown_;
  uint64_t size_ = 0;
  std::vector<iovec> pieces_;  // kept for its memory
};

}  // namespace tailrace
