// What one stop of the road did with one category's lines since it started. The stops are chained:
// what one passed, the next has taken; so the figures of all must add up (docs/metrics.md).
// Thread: any; plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tailrace {

struct Tally {
  uint64_t before = 0;   // waited here when it started
  uint64_t taken = 0;    // came since
  uint64_t waiting = 0;  // are here now
  uint64_t passed = 0;   // went on, to the slowest sink
  uint64_t lost = 0;     // can't be had any more
  uint64_t refused = 0;  // came and were not taken, each as often as it came
  bool operator==(const Tally&) const = default;
};

using Tallies = std::map<std::string, Tally>;  // by category

}  // namespace tailrace
