#include "local/figures.h"

#include <algorithm>
#include <functional>

#include "base/units.h"

namespace tailrace {

LocalFigures::LocalFigures(const Spool& spool, const Uplinks& uplinks, int64_t wall_ms)
    : spool_(spool), uplinks_(uplinks), no_center_since_ms_(wall_ms) {
  for (const auto& [id, info] : spool_.tables().streams)
    beginnings_[id] = {info.next.seq, passed_by_all(info)};
}

// The first line that some required sink has not committed (if none is required, some sink);
// without any sink, the first that is kept.
uint64_t LocalFigures::passed_by_all(const StreamInfo& info) const {
  const uint64_t least = spool_.slowest(sinks_of(spool_.tables()), std::identity(), info.stream);
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

// Of the sinks that are required the one that lacks most.
std::string LocalFigures::why_full() const {
  std::map<uint64_t, uint64_t> lacks;
  for (const auto& [key, at] : spool_.tables().cursors) {
    const auto stream = spool_.tables().streams.find(key.second);
    if (stream != spool_.tables().streams.end() && spool_.required(key.first))
      lacks[key.first] += stream->second.next.seq - at.seq;
  }
  const auto most = std::max_element(
      lacks.begin(), lacks.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == lacks.end()) return "the spool is full until a Center commits";
  return "the spool is full until sink '" + uplinks_.delivery().sink_name(most->first) +
         "' commits, for which " + show_count(most->second) + " lines wait";
}

void LocalFigures::show(LocalStatus& status) const {
  status.categories = tallies();
  const Delivery& delivery = uplinks_.delivery();
  status.lines_lost = delivery.lines_lost;
  for (const auto& [key, at] : spool_.tables().cursors) {
    const auto stream = spool_.tables().streams.find(key.second);
    if (stream == spool_.tables().streams.end()) continue;
    status.waiting_at[{delivery.sink_name(key.first), stream->second.category}] +=
        stream->second.next.seq - spool_.settled(key.first, key.second).seq;
  }
  for (const auto& [key, lines] : spool_.lines_given_up())
    status.lines_given_up[{delivery.sink_name(key.first), key.second}] += lines;
  status.fills_bytes_per_second = fills_.per_second();
  status.center = uplinks_.centers();
  status.no_center_since_ms = no_center_since_ms_;
  status.oldest_waiting_ms = ages_.oldest_ms();
}

}  // namespace tailrace
