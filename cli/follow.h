// Waiting for what somebody else does, and saying how far it is: a line that is written over on a
// terminal, else one every few seconds. Thread: main; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace tailrace {

struct HowFar {
  bool over = false;   // there is nothing more to wait for: done, or it cannot be
  std::string text{};  // how far it is
};

enum class Followed {
  over,
  unanswered,  // `look` has failed
  too_long,    // it took `most_ms` and goes on
};
// Looks five times a second. `most_ms`: -1: as long as it takes; `plain_ms`: between lines where
// there is no terminal, -1: none.
[[nodiscard]] Followed follow(const std::function<Result<HowFar>()>& look, int64_t most_ms,
                              int64_t plain_ms);

}  // namespace tailrace
