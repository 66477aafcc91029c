// Ranges of streams, grouped by lane, as commit records list them.
// Thread: any; pure functions.
#pragma once

#include <string>
#include <vector>

#include "center/record.h"

namespace tailrace {

// Adds `from`, which was written later, to `to`: ranges of a stream that continue each other become
// one; where the lane was another Center's in between they stay apart.
void join_ranges(const std::vector<LaneRanges>& from, std::vector<LaneRanges>& to);

// For a person: "Local 00f3… lines 0 to 200, …" of one category's ranges; of many, the first ones.
[[nodiscard]] std::string show_ranges(const std::vector<LaneRanges>& lanes,
                                      const std::string& category);

}  // namespace tailrace
