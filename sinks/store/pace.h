// How long to wait so that all who send together stay below so many bytes a second.
// Thread: belongs to one owner. Pure: monotonic milliseconds come in.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tailrace {

class Pace {
 public:
  explicit Pace(uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  // Milliseconds until these bytes may be sent; they count as sent then. What was not used before
  // is lost: a pause is followed by no burst.
  int64_t wait_ms(uint64_t bytes, int64_t now_ms) {
    const int64_t now_us = now_ms * 1'000;
    const int64_t begin_us = std::max(free_us_, now_us);
    free_us_ = begin_us + static_cast<int64_t>(bytes * 1'000'000 / bytes_per_second_);
    return (begin_us - now_us) / 1'000;
  }

 private:
  uint64_t bytes_per_second_;
  int64_t free_us_ = INT64_MIN;
};

}  // namespace tailrace
