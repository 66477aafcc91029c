// Says once that a store has not done for a while what it was asked for, and once that it does
// again: whoever reads the log need not ask for the status. Thread: belongs to one owner. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/units.h"

namespace tailrace {

class StoreTrouble {
 public:
  static constexpr int64_t kSaidAfterMs = 10'000;  // what is over sooner is nobody's concern

  explicit StoreTrouble(int64_t now_ms) : well_ms_(now_ms) {}

  // `trouble`: what it says now to a call that is repeated; empty: there is none. What is to be
  // said of `whose`; empty: nothing.
  std::string look(const std::string& trouble, const std::string& whose, int64_t now_ms) {
    if (trouble.empty()) {
      well_ms_ = now_ms;
      return std::exchange(said_, false) ? whose + " does again what it is asked for" : "";
    }
    if (now_ms - well_ms_ < kSaidAfterMs || std::exchange(said_, true)) return "";
    return whose + " has not done for " + show_duration(now_ms - well_ms_) +
           " what it was asked for: " + trouble + "; it is asked again until it does";
  }
  [[nodiscard]] bool said() const { return said_; }

 private:
  int64_t well_ms_;
  bool said_ = false;
};

}  // namespace tailrace
