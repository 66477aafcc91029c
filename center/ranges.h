// Ranges of streams, grouped by lane, as commit records list them.
// Thread: any; pure functions.
#pragma once

#include <vector>

#include "center/record.h"

namespace tailrace {

// Adds `from` to `to`: ranges of a stream that continue each other become one. That they do is a
// check: what comes later in `from` must have been written after what stands in `to`.
void join_ranges(const std::vector<LaneRanges>& from, std::vector<LaneRanges>& to);

}  // namespace tailrace
