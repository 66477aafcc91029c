// When a Local that no Center answers looks for others: not at once, since a Center that restarts
// comes back, and never all of a fleet at the same moment. A pure machine. Thread: the road.
// docs/protocol.md, "Several Centers".
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace tailrace {

class CenterSearch {
 public:
  explicit CenterSearch(Rng rng) : rng_(rng) {}

  // True: look now; ended() follows. `answers`: a Center is connected; `known`: how many are known.
  bool due(bool answers, size_t known, int64_t now_ms);
  void ended(int64_t now_ms);

 private:
  Rng rng_;
  bool looking_ = false;
  int64_t at_ms_ = -1;  // -1: a Center answers
  int64_t pause_ms_ = 0;
};

}  // namespace tailrace
