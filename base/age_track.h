// For how long the oldest of what came in has been waiting to go out, from two counters that are
// looked at now and then. Thread: any; plain values.
#pragma once

#include <cstdint>
#include <deque>

namespace tailrace {

class AgeTrack {
 public:
  // `taken` and `passed` only grow, and `passed` never beyond `taken`.
  void seen(uint64_t taken, uint64_t passed, int64_t now_ms);
  // When the oldest that still waits was first seen, at worst a little earlier than it came; -1:
  // nothing waits.
  [[nodiscard]] int64_t oldest_ms() const { return marks_.empty() ? -1 : marks_.front().ms; }

 private:
  struct Mark {
    uint64_t taken = 0;  // all below was there then
    int64_t ms = 0;
  };
  std::deque<Mark> marks_;  // of the oldest first; few, whatever happens
};

}  // namespace tailrace
