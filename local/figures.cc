#include "local/figures.h"

#include <algorithm>

#include "base/random.h"

namespace tailrace {

LocalFigures::LocalFigures(const Spool& spool, const Uplinks& uplinks, int64_t wall_ms)
    : spool_(spool), uplinks_(uplinks), no_center_since_ms_(wall_ms) {
  for (const auto& [id, info] : spool_.tables().streams)
    beginnings_[id] = {info.next.seq, passed_by_all(info)};
}

// The first line that some sink has not committed; without any sink, the first that is kept.
uint64_t LocalFigures::passed_by_all(const StreamInfo& info) const {
  uint64_t least = UINT64_MAX;
  for (const uint64_t sink : sinks_of(spool_.tables()))
    least = std::min(least, spool_.cursor(sink, info.stream).seq);
  return least == UINT64_MAX ? info.oldest.seq : least;
}

Tallies LocalFigures::tallies() const {
  Tallies out;
  for (const auto& [id, info] : spool_.tables().streams) {
    const auto known = beginnings_.find(id);
    const Beginning begin = known == beginnings_.end() ? Beginning{} : known->second;
    const uint64_t passed = passed_by_all(info);
    Tally& tally = out[info.category];
    tally.before += begin.next - begin.passed;
    tally.taken += info.next.seq - begin.next;
    tally.waiting += info.next.seq - passed;
    tally.passed += std::max(passed, begin.passed) - begin.passed;
  }
  for (const auto& [key, lines] : uplinks_.delivery().lines_lost) {
    Tally& tally = out[key.first];
    tally.lost += lines;
    tally.passed -= lines;
  }
  return out;
}

void LocalFigures::tick(int64_t wall_ms) {
  uint64_t taken = 0, passed = 0;
  for (const auto& [id, info] : spool_.tables().streams) {
    taken += info.next.seq;
    passed += passed_by_all(info);
  }
  ages_.seen(taken, passed, wall_ms);
  fills_.seen(spool_.used_bytes(), wall_ms);
  if (!uplinks_.centers().empty())
    no_center_since_ms_ = -1;
  else if (no_center_since_ms_ < 0)
    no_center_since_ms_ = wall_ms;
}

void LocalFigures::show(LocalStatus& status) const {
  status.categories = tallies();
  status.lines_lost = uplinks_.delivery().lines_lost;
  const auto& names = uplinks_.delivery().sink_names;
  for (const auto& [key, at] : spool_.tables().cursors) {
    const auto name = names.find(key.first);
    const auto stream = spool_.tables().streams.find(key.second);
    if (stream == spool_.tables().streams.end()) continue;
    const std::string sink = name == names.end() ? hex16(key.first) : name->second;
    status.waiting_at[{sink, stream->second.category}] += stream->second.next.seq - at.seq;
  }
  status.fills_bytes_per_second = fills_.per_second();
  status.center = uplinks_.centers();
  status.no_center_since_ms = no_center_since_ms_;
  status.oldest_waiting_ms = ages_.oldest_ms();
}

}  // namespace tailrace
