// Proof that nobody else works on a state directory: a lock that dies with its process.
// Thread: main.
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace tailrace {

class StateLock {
 public:
  // Takes <state>/lock, at once if its last holder is dead. rejected: who holds it, and what to do.
  [[nodiscard]] static Result<StateLock> take(const std::string& state);

 private:
  explicit StateLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace tailrace
