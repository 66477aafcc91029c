// How fast a figure grows, from looks at it now and then. Thread: any; plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace tailrace {

class RateTrack {
 public:
  // Over the last `samples` looks that were a second apart or more.
  explicit RateTrack(size_t samples) : samples_(samples) {}

  void seen(uint64_t figure, int64_t now_ms) {
    if (!looks_.empty() && now_ms < looks_.back().ms) looks_.clear();  // the clock was set
    if (!looks_.empty() && now_ms - looks_.back().ms < kApartMs) return;
    looks_.push_back({now_ms, figure});
    if (looks_.size() > samples_) looks_.pop_front();
  }
  // Below 0: it shrinks. 0 until there were two looks.
  [[nodiscard]] double per_second() const {
    if (looks_.size() < 2) return 0;
    return (static_cast<double>(looks_.back().figure) -
            static_cast<double>(looks_.front().figure)) *
           1000 / static_cast<double>(looks_.back().ms - looks_.front().ms);
  }

 private:
  static constexpr int64_t kApartMs = 900;
  struct Look {
    int64_t ms = 0;
    uint64_t figure = 0;
  };
  size_t samples_;
  std::deque<Look> looks_;
};

}  // namespace tailrace
