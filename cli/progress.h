// What a running road tells: a line of rate, lag and files published, and at the end of --once the
// summary and the reasons why something is missing.
// Thread: any; pure, time is passed in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/road.h"

namespace tailrace {

class Progress {
 public:
  // `start_ms`: a clock that only grows. `where`: the output, as it was given.
  Progress(int64_t start_ms, std::string where);

  // Rates are those since the last call.
  [[nodiscard]] std::string line(const RoadStatus& status, int64_t mono_ms, int64_t wall_ms);
  // Several lines, each ended.
  [[nodiscard]] std::string summary(const RoadStatus& status, int64_t mono_ms) const;
  // "1,234 lines read, 1,234 published in 3 files (1.2 MiB) in ./collected"
  [[nodiscard]] std::string totals(const RoadStatus& status) const;

 private:
  int64_t start_ms_;
  std::string where_;
  int64_t last_ms_;
  uint64_t last_bytes_ = 0;
  uint64_t last_lines_ = 0;
};

// What keeps the road from moving now; "" if nothing does.
[[nodiscard]] std::string trouble_of(const RoadStatus& status);
// Why not everything is published; empty if it is. all: also what of the files that were found
// could not be read (of those that are followed that was said when it was seen).
enum class Shown { unpublished, all };
[[nodiscard]] std::vector<std::string> shortcomings(const RoadStatus& status, Shown shown);

}  // namespace tailrace
