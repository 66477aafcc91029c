// When an event happens: by the clock that never jumps, for whatever waits, and by the wall's, for
// what people and directories call it. Thread: any; a plain value.
#pragma once

#include <cstdint>

namespace tailrace {

struct Moment {
  int64_t mono_ms = 0;
  int64_t wall_ms = 0;  // since 1970, UTC
};

}  // namespace tailrace
