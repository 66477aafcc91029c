// Which of the Centers that live should own a lane: everybody computes the same from the same list,
// so nobody is in charge. Thread: any; pure functions. docs/protocol.md, "Several Centers".
#pragma once

#include <cstdint>
#include <vector>

#include "flow/stream.h"

namespace tailrace {

// The one among `centers` (their state_uuids; not empty) whose lane it is. The parts of a category,
// in order, take the best Center by rendezvous hash that holds fewer than ceil(parts / centers) of
// them: a Center that comes or goes moves about its share of the lanes, and hardly any others.
[[nodiscard]] uint64_t center_of(const Lane& lane, const std::vector<uint64_t>& centers);

}  // namespace tailrace
