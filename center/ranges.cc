#include "center/ranges.h"

#include <algorithm>

namespace tailrace {

void join_ranges(const std::vector<LaneRanges>& from, std::vector<LaneRanges>& to) {
  for (const LaneRanges& lane : from) {
    auto mine = std::find_if(to.begin(), to.end(),
                             [&](const LaneRanges& l) { return l.lane == lane.lane; });
    if (mine == to.end()) {
      to.push_back(lane);
      continue;
    }
    for (const StreamRange& range : lane.ranges) {
      auto same = std::find_if(mine->ranges.begin(), mine->ranges.end(),
                               [&](const StreamRange& r) { return r.key == range.key; });
      if (same == mine->ranges.end()) {
        mine->ranges.push_back(range);
        continue;
      }
      TAILRACE_CHECK(same->to_seq == range.from_seq,
                     "ranges of a stream do not continue each other");
      same->to_seq = range.to_seq;
      same->chain_to = range.chain_to;
      same->flags |= range.flags;
      same->gaps.insert(same->gaps.end(), range.gaps.begin(), range.gaps.end());
    }
  }
}

}  // namespace tailrace
