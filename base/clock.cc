#include "base/clock.h"

#include <ctime>

namespace tailrace {

namespace {
int64_t now_ms(clockid_t id) {
  timespec t{};
  ::clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}
}  // namespace

int64_t wall_ms() { return now_ms(CLOCK_REALTIME); }
int64_t mono_ms() { return now_ms(CLOCK_MONOTONIC); }

}  // namespace tailrace
