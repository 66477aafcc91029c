// When a keytab is used to get tickets anew: from the middle of their life on, so that they never
// end while a KDC answers; and not all the time while none does.
// Thread: belongs to one owner. Pure: monotonic milliseconds come in.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tailrace {

class TicketLife {
 public:
  static constexpr int64_t kPauseMs = 5'000;  // after a failure

  // Whether there are tickets that have not ended.
  [[nodiscard]] bool usable(int64_t now_ms) const { return now_ms < end_ms_; }
  // Whether a KDC may be asked; if not, the last answer still counts.
  [[nodiscard]] bool may_ask(int64_t now_ms) const { return now_ms >= pause_end_ms_; }
  // Whether new tickets are to be got now.
  [[nodiscard]] bool due(int64_t now_ms) const { return now_ms >= renew_ms_ && may_ask(now_ms); }

  void got(int64_t now_ms, int64_t life_ms) {
    end_ms_ = now_ms + life_ms;
    renew_ms_ = now_ms + life_ms / 2;
    pause_end_ms_ = now_ms;
  }
  void failed(int64_t now_ms) { pause_end_ms_ = now_ms + kPauseMs; }
  // A server did not take them: its key may be another by now.
  void refused(int64_t now_ms) { renew_ms_ = std::min(renew_ms_, now_ms + kPauseMs); }

 private:
  int64_t end_ms_ = INT64_MIN;
  int64_t renew_ms_ = INT64_MIN;
  int64_t pause_end_ms_ = INT64_MIN;
};

}  // namespace tailrace
