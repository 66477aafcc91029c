#include "center/category.h"

#include <algorithm>

#include "base/buggify.h"
#include "base/mutant.h"
#include "center/ranges.h"

namespace tailrace {

namespace {
template <class Times>
void widen(int64_t least, int64_t greatest, Times& times) {
  if (least == kUnknownTime) return;
  times.least_ms = times.least_ms == kUnknownTime ? least : std::min(times.least_ms, least);
  times.greatest_ms = std::max(times.greatest_ms, greatest);
}

bool all_among(const std::set<uint64_t>& hosts, const OpenFile::Extents& extents) {
  return std::includes(hosts.begin(), hosts.end(), extents.hosts.begin(), extents.hosts.end());
}

// What is kept of the file, added up.
void count(const OpenFile& file, CommittedFile& into) {
  std::set<uint64_t> hosts;
  for (const auto& [tag, extents] : file.extents) {
    into.lines += extents.lines;
    into.raw_bytes += extents.raw_bytes;
    widen(extents.least_ms, extents.greatest_ms, into);
    hosts.insert(extents.hosts.begin(), extents.hosts.end());
  }
  into.hosts = static_cast<uint32_t>(hosts.size());
}
}  // namespace

OpenFile* Category::find(const FileKey& key) {
  const auto found = open_.find(key);
  return found == open_.end() ? nullptr : &found->second;
}

bool Category::out_of_order(const FileKey& key, OpenFileId last) const {
  const auto found = open_.find(key);
  if (found == open_.end() || found->second.id >= last) return false;
  return std::any_of(open_.begin(), open_.end(), [&](const auto& f) {
    return f.second.id == last && f.first.directory_end_ms == key.directory_end_ms;
  });
}

OpenFile& Category::open(OpenFile file) {
  const FileKey key = file.key;
  return open_.emplace(key, std::move(file)).first->second;
}

void Category::forget_empty(const FileKey& key) {
  const auto found = open_.find(key);
  if (found != open_.end() && found->second.extents.empty()) open_.erase(found);
}

uint64_t Category::add(OpenFile& file, uint64_t tag, const Lane& lane, const StreamKey& stream,
                       const BatchFields& fields, uint64_t bytes, int64_t now_ms) {
  StreamRange& range = ranges_[file.key.directory_end_ms][lane][stream];
  if (range.to_seq == 0) {
    range.key = stream;
    range.from_seq = fields.first_seq;
  }
  range.to_seq = fields.end_seq();
  range.chain_to = fields.chain_after;
  // What waits to be compressed is estimated, so it may also shrink.
  const uint64_t kept = bytes - std::min(bytes, file.dropped_bytes);
  const uint64_t grown = kept - std::min(kept, file.bytes);
  file.bytes = kept;
  file.last_ms = now_ms;
  OpenFile::Extents& extents = file.extents[tag];
  extents.hosts.insert(stream.local_id);
  extents.lines += fields.count;
  extents.raw_bytes += fields.raw_len;
  extents.bytes += grown;
  const bool event_time = fields.least_event_ms != kUnknownTime;
  widen(event_time ? fields.least_event_ms : fields.first_read_ms,
        event_time ? fields.greatest_event_ms : fields.last_read_ms, extents);
  return grown;
}

void Category::add_gap(int64_t directory_end_ms, const Lane& lane, const StreamKey& stream,
                       GapRange gap, uint64_t chain_after) {
  StreamRange& range = ranges_[directory_end_ms][lane][stream];
  if (range.to_seq == 0) {
    range.key = stream;
    range.from_seq = gap.first_seq;
  }
  range.to_seq = gap.first_seq + gap.count;
  range.chain_to = chain_after;
  range.gaps.push_back(std::move(gap));
}

void Category::add_final(int64_t directory_end_ms, const Lane& lane, const StreamKey& stream,
                         const Position& at) {
  StreamRange& range = ranges_[directory_end_ms][lane][stream];
  if (range.to_seq == 0) {
    range.key = stream;
    range.from_seq = at.seq;
  }
  range.to_seq = at.seq;
  range.chain_to = at.chain;
  if (!mutant(Mutant::retire_in_memory)) range.flags |= kFinal;
}

std::optional<int64_t> Category::due(const RollPolicy& policy, Moment now) const {
  std::optional<int64_t> newest;
  for (const auto& [key, file] : open_) {
    const bool full = file.bytes >= policy.bytes_of(key.format);
    const bool old = policy.age_ms >= 0 && now.mono_ms - file.opened_ms >= policy.age_ms;
    const bool idle = policy.idle_ms >= 0 && now.mono_ms - file.last_ms >= policy.idle_ms;
    const bool ended = key.directory_end_ms != INT64_MAX &&
                       now.wall_ms >= key.directory_end_ms + policy.grace_ms + file.jitter_ms;
    if (full || old || idle || ended || buggify(Rare::roll_early))
      newest = std::max(newest.value_or(INT64_MIN), key.directory_end_ms);
  }
  return newest;
}

std::vector<FileToFinish> Category::close(int64_t directory_end_ms) {
  std::vector<FileToFinish> files;
  ClosingFiles closing;
  for (auto it = open_.begin(); it != open_.end();) {
    if (it->first.directory_end_ms > directory_end_ms) break;  // keys are ordered by it
    files.push_back({it->second.id, it->second.staged, it->second.dropped});
    closing.files.push_back(Closed{std::move(it->second)});
    it = open_.erase(it);
  }
  for (auto it = ranges_.begin(); it != ranges_.end() && it->first <= directory_end_ms;) {
    std::vector<LaneRanges> lanes;
    for (auto& [lane, streams] : it->second) {
      LaneRanges ranges{lane, {}};
      for (auto& [key, range] : streams) ranges.ranges.push_back(std::move(range));
      lanes.push_back(std::move(ranges));
    }
    join_ranges(lanes, closing.lanes);
    it = ranges_.erase(it);
  }
  if (files.empty() && closing.lanes.empty()) return files;
  // Named in the order in which they were opened: after a change of codec the older lines come
  // first.
  std::sort(closing.files.begin(), closing.files.end(),
            [](const Closed& a, const Closed& b) { return a.file.id < b.file.id; });
  closing_.push_back(std::move(closing));
  return files;
}

std::vector<FileToDrop> Category::drop(const Lane& lane, uint64_t tag) {
  std::vector<FileToDrop> out;
  for (auto& [directory_end_ms, lanes] : ranges_) lanes.erase(lane);
  for (auto it = open_.begin(); it != open_.end();) {
    OpenFile& file = it->second;
    const auto extents = file.extents.extract(tag);
    if (!extents.empty()) {
      if (!mutant(Mutant::released_extents_uncut)) file.dropped.push_back(tag);
      file.dropped_bytes += extents.mapped().bytes;
      file.bytes -= std::min(file.bytes, extents.mapped().bytes);
    }
    if (!file.extents.empty()) {
      ++it;
      continue;
    }
    out.push_back({file.id, file.staged});
    it = open_.erase(it);
  }
  return out;
}

void Category::forget(const Lane& lane, const std::set<uint64_t>& hosts) {
  for (auto& [directory_end_ms, lanes] : ranges_)
    if (const auto found = lanes.find(lane); found != lanes.end())
      std::erase_if(found->second, [&](const auto& r) { return hosts.contains(r.first.local_id); });
}

std::string Category::finished(OpenFileId id, uint64_t bytes, uint64_t xxh3,
                               const std::string& staged) {
  std::string useless;
  for (ClosingFiles& closing : closing_)
    for (Closed& closed : closing.files)
      if (closed.file.id == id) {
        closed.finished = true;
        closed.bytes = bytes;
        closed.xxh3 = xxh3;
        if (!staged.empty()) useless = std::exchange(closed.file.staged, staged);
      }
  return useless;
}

std::optional<Closing> Category::take_ready() {
  if (closing_.empty()) return std::nullopt;
  const auto ready = [](const ClosingFiles& closing) {
    return std::all_of(closing.files.begin(), closing.files.end(),
                       [](const Closed& c) { return c.finished; });
  };
  auto first = closing_.begin();
  if (mutant(Mutant::closings_out_of_order))
    first = std::find_if(closing_.begin(), closing_.end(), ready);
  if (first == closing_.end() || !ready(*first)) return std::nullopt;
  ClosingFiles& front = *first;
  Closing out;
  out.category = name_;
  out.lanes = std::move(front.lanes);
  for (Closed& closed : front.files) {
    OpenFile& file = closed.file;
    CommittedFile committed;
    committed.stage = file.staged;
    committed.bytes = closed.bytes;
    committed.xxh3 = closed.xxh3;
    committed.category = name_;
    committed.codec = file.key.codec;
    committed.format = file.key.format;
    committed.bucket = file.bucket;
    count(file, committed);
    out.files.push_back({std::move(committed), file.directory});
  }
  closing_.erase(first);
  return out;
}

uint64_t Category::largest_bytes() const {
  uint64_t most = 0;
  for (const auto& [key, file] : open_) most = std::max(most, file.bytes);
  return most;
}

int64_t Category::oldest_ms() const {
  int64_t oldest = INT64_MAX;
  for (const auto& [key, file] : open_) oldest = std::min(oldest, file.opened_ms);
  for (const ClosingFiles& closing : closing_)
    for (const Closed& closed : closing.files) oldest = std::min(oldest, closed.file.opened_ms);
  return oldest;
}

bool Category::holds_host(uint64_t local_id) const {
  return std::any_of(open_.begin(), open_.end(), [&](const auto& f) {
    return std::any_of(f.second.extents.begin(), f.second.extents.end(),
                       [&](const auto& e) { return e.second.hosts.contains(local_id); });
  });
}

bool Category::holds_other_than(const std::set<uint64_t>& hosts) const {
  return std::any_of(open_.begin(), open_.end(), [&](const auto& f) {
    return std::any_of(f.second.extents.begin(), f.second.extents.end(),
                       [&](const auto& e) { return !all_among(hosts, e.second); });
  });
}

bool Category::holds_other_than(const std::set<uint64_t>& hosts, uint64_t tag) const {
  return std::any_of(open_.begin(), open_.end(), [&](const auto& f) {
    const auto extents = f.second.extents.find(tag);
    return extents != f.second.extents.end() && !all_among(hosts, extents->second);
  });
}

bool Category::holds_open(const Lane& lane) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const auto& lanes) { return lanes.second.contains(lane); });
}

bool Category::holds_closing(const Lane& lane) const {
  return std::any_of(closing_.begin(), closing_.end(), [&](const ClosingFiles& closing) {
    return std::any_of(closing.lanes.begin(), closing.lanes.end(),
                       [&](const LaneRanges& ranges) { return ranges.lane == lane; });
  });
}

void Category::list_unnamed(std::vector<std::string>& into) const {
  for (const auto& [key, file] : open_) into.push_back(file.staged);
  for (const ClosingFiles& closing : closing_)
    for (const Closed& closed : closing.files) into.push_back(closed.file.staged);
}

std::vector<FileToDrop> Category::abandon_open() {
  std::vector<FileToDrop> out;
  for (const auto& [key, file] : open_) out.push_back({file.id, file.staged});
  open_.clear();
  ranges_.clear();
  return out;
}

}  // namespace tailrace
