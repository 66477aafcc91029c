#include "center/ranges.h"

#include <algorithm>

#include "base/random.h"

namespace tailrace {

namespace {
constexpr size_t kMostShown = 16;  // ranges
}

void join_ranges(const std::vector<LaneRanges>& from, std::vector<LaneRanges>& to) {
  for (const LaneRanges& lane : from) {
    auto mine = std::find_if(to.begin(), to.end(),
                             [&](const LaneRanges& l) { return l.lane == lane.lane; });
    if (mine == to.end()) {
      to.push_back(lane);
      continue;
    }
    for (const StreamRange& range : lane.ranges) {
      const auto same = std::find_if(mine->ranges.rbegin(), mine->ranges.rend(),
                                     [&](const StreamRange& r) { return r.key == range.key; });
      if (same == mine->ranges.rend() || same->to_seq != range.from_seq) {
        mine->ranges.push_back(range);
        continue;
      }
      same->to_seq = range.to_seq;
      same->chain_to = range.chain_to;
      same->flags |= range.flags;
      same->gaps.insert(same->gaps.end(), range.gaps.begin(), range.gaps.end());
    }
  }
}

std::string show_ranges(const std::vector<LaneRanges>& lanes, const std::string& category) {
  std::string out;
  size_t shown = 0, more = 0;
  for (const LaneRanges& lane : lanes) {
    if (lane.lane.category != category) continue;
    for (const StreamRange& range : lane.ranges) {
      if (shown == kMostShown) {
        ++more;
        continue;
      }
      if (shown++ > 0) out += ", ";
      out += "Local " + hex16(range.key.local_id) + " lines " + std::to_string(range.from_seq) +
             " to " + std::to_string(range.to_seq);
    }
  }
  if (more > 0) out += " and of " + std::to_string(more) + " streams more";
  return out;
}

}  // namespace tailrace
