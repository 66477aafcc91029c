#include "local/delivery.h"

namespace tailrace {

std::string Delivery::held() const {
  if (!held_all.empty()) return held_all;
  if (!held_streams.empty()) return held_streams.begin()->second;
  for (const auto& [way, trouble] : troubles)
    if (!trouble.held.empty()) return trouble.held;
  return {};
}

std::vector<SpoolHole> Delivery::holes() const {
  std::vector<SpoolHole> holes;
  for (const auto& [way, trouble] : troubles)
    if (trouble.hole) holes.push_back({way.first, way.second, trouble.store});
  return holes;
}

}  // namespace tailrace
