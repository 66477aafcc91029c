#include "local/delivery.h"

#include "base/random.h"

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

std::string Delivery::sink_name(uint64_t sink) const {
  const auto name = sink_names.find(sink);
  return name == sink_names.end() ? hex16(sink) : name->second;
}

}  // namespace tailrace
