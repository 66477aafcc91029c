#include "center/placement.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"

namespace tailrace {

uint64_t center_of(const Lane& lane, const std::vector<uint64_t>& centers) {
  TAILRACE_CHECK(!centers.empty(), "a lane is placed among no Centers");
  const size_t most = (lane.parts + centers.size() - 1) / centers.size();
  std::vector<size_t> holds(centers.size());
  const uint64_t category = xxh3(lane.category);
  size_t best = 0;
  for (unsigned part = 0; part <= lane.part; ++part) {
    uint64_t highest = 0;
    bool any = false;
    for (size_t i = 0; i < centers.size(); ++i) {
      if (holds[i] >= most) continue;
      const uint64_t weight = mix64(mix64(category ^ part) ^ centers[i]);
      // Of equal hashes the lesser one, so that the order of the list means nothing.
      if (any && (weight < highest || (weight == highest && centers[best] < centers[i]))) continue;
      best = i;
      highest = weight;
      any = true;
    }
    ++holds[best];
  }
  return centers[best];
}

Lane lane_of(const std::string& category, const StreamKey& stream, uint8_t parts) {
  return {category, parts, lane_part(stream, parts)};
}

std::optional<Lane> parent_of(const Lane& lane) {
  if (lane.parts == 1) return std::nullopt;
  return Lane{lane.category, static_cast<uint8_t>(lane.parts / kSplitParts),
              static_cast<uint8_t>(lane.part / kSplitParts)};
}

}  // namespace tailrace
