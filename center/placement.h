// Which of the Centers that live should own a lane: everybody computes the same from the same list,
// so nobody is in charge. Thread: any; pure functions. docs/protocol.md, "Several Centers".
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "flow/stream.h"

namespace tailrace {

inline constexpr uint8_t kSplitParts = 8;  // of a lane that is split
inline constexpr uint8_t kMostParts = 64;  // of a category

// The one among `centers` (their state_uuids; not empty) whose lane it is. The parts of a category,
// in order, take the best Center by rendezvous hash that holds fewer than ceil(parts / centers) of
// them: a Center that comes or goes moves about its share of the lanes, and hardly any others.
[[nodiscard]] uint64_t center_of(const Lane& lane, const std::vector<uint64_t>& centers);

// The lane of a category that a stream is in once it was split into so many parts.
[[nodiscard]] Lane lane_of(const std::string& category, const StreamKey& stream, uint8_t parts);
// The lane that was split into this one and seven others; nullopt: it is a whole category.
[[nodiscard]] std::optional<Lane> parent_of(const Lane& lane);

}  // namespace tailrace
