// Which of the servers of one HDFS is asked first, and how long it is waited for. One that was
// silent comes last for a while and gets little time, so that another one that has become active
// meanwhile is found at once; then it gets its full time again, since it may only be slow.
// Thread: belongs to one owner. Pure: monotonic milliseconds come in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tailrace {

class ServerChoice {
 public:
  static constexpr int64_t kPatienceMs = 10'000;  // then another one may be active
  static constexpr int64_t kLittleMs = 2'000;
  static constexpr int64_t kDoubtMs = 30'000;

  explicit ServerChoice(size_t servers) : doubted_until_ms_(servers, INT64_MIN) {}

  // All of them, as they are to be asked.
  [[nodiscard]] std::vector<size_t> order(int64_t now_ms) const {
    std::vector<size_t> out;
    for (size_t i = 0; i < doubted_until_ms_.size(); ++i)
      out.push_back((serving_ + i) % doubted_until_ms_.size());
    std::stable_partition(out.begin(), out.end(), [&](size_t at) { return !doubted(at, now_ms); });
    return out;
  }
  [[nodiscard]] int64_t patience_ms(size_t at, int64_t now_ms) const {
    const bool others = doubted_until_ms_.size() > 1;
    return others && doubted(at, now_ms) ? kLittleMs : kPatienceMs;
  }

  // It said something, if only that it is on standby.
  void answered(size_t at) { doubted_until_ms_[at] = INT64_MIN; }
  // It did what it was asked for.
  void served(size_t at) {
    answered(at);
    serving_ = at;
  }
  // From `asked_ms` to `now_ms` it said nothing.
  void silent(size_t at, int64_t asked_ms, int64_t now_ms) {
    if (!doubted(at, asked_ms)) doubted_until_ms_[at] = now_ms + kDoubtMs;
  }

 private:
  [[nodiscard]] bool doubted(size_t at, int64_t now_ms) const {
    return now_ms < doubted_until_ms_[at];
  }
  size_t serving_ = 0;
  std::vector<int64_t> doubted_until_ms_;
};

}  // namespace tailrace
