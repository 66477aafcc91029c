// Asks Centers how they are, at the port where Locals reach them. Thread: main; blocks.
#pragma once

#include <string>
#include <vector>

#include "control.pb.h"

namespace tailrace {

struct CenterAnswer {
  std::string address;  // that was asked
  proto::CenterReport report;
  std::string why;  // not empty: there is no answer
};

// The one at that address. `cluster`: its number.
[[nodiscard]] CenterAnswer ask_center(const std::string& address, uint64_t cluster);

// Those at `seeds`, and all that their answers name; each is given 5 s. By name; one that is known
// under several addresses comes once.
[[nodiscard]] std::vector<CenterAnswer> ask_centers(const std::vector<std::string>& seeds,
                                                    uint64_t cluster);

}  // namespace tailrace
