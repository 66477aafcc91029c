#include "agent/checkpoint.h"

#include <algorithm>

namespace tailrace {

namespace {
FilePosition end_of(const SourceRange& s) { return {s.end, s.head_hash, s.tail_hash}; }

// What a sink has that is ahead is said in bytes of files: it holds in any spool.
void start_over(StreamRecord& s, uint64_t spool) {
  s.open.clear();
  s.ranges.clear();
  s.begins.clear();
  s.acked_open = s.acked_ranges = 0;
  s.next_seq = s.acked_seq = s.final_seq = 0;
  s.spool = spool;
}

// Which bytes the stream's lines [from, to) were.
std::map<FileId, uint64_t> ends_of(const StreamRecord& s, uint64_t from, uint64_t to) {
  std::map<FileId, uint64_t> ends;
  size_t range = 0;
  for (const StreamRecord::OpenBatch& b : s.open)
    for (uint32_t i = 0; i < b.ranges; ++i, ++range)
      if (b.first_seq >= from && b.end_seq() <= to)
        ends[s.ranges[range].file] = s.ranges[range].end;
  return ends;
}
}  // namespace

void Checkpoint::set_spool(uint64_t id) {
  if (local_id != 0 && local_id != id) {
    former.insert(local_id);
    for (auto& [n, s] : streams)
      if (!lost(s) && s.all_final()) start_over(s, id);
  }
  local_id = id;
}

void Checkpoint::put_file(FileRecord f) {
  next_file = std::max(next_file, f.id + 1);
  const FileRecord* newest = file_of(f.identity);
  if (!newest || newest->generation <= f.generation) by_identity[f.identity] = f.id;
  FileRecord& place = files[f.id];
  f.told = place.told;
  place = std::move(f);
}

void Checkpoint::erase_file(FileId id) {
  const auto it = files.find(id);
  if (it == files.end()) return;
  const auto newest = by_identity.find(it->second.identity);
  if (newest != by_identity.end() && newest->second == id) by_identity.erase(newest);
  files.erase(it);
}

bool Checkpoint::add_batch(StreamId stream, const StreamRecord::OpenBatch& batch, Bucket bucket,
                           const std::vector<SourceRange>& ranges) {
  const auto it = streams.find(stream);
  if (it == streams.end() || it->second.next_seq != batch.first_seq || batch.count == 0)
    return false;
  StreamRecord& s = it->second;
  s.open.push_back(batch);
  s.ranges.insert(s.ranges.end(), ranges.begin(), ranges.end());
  s.next_seq = batch.end_seq();
  s.bucket = std::max(s.bucket, bucket);
  return true;
}

void Checkpoint::acked(StreamId stream, uint64_t seq) {
  const auto it = streams.find(stream);
  if (it == streams.end()) return;
  StreamRecord& s = it->second;
  while (s.acked_open < s.open.size() && s.open[s.acked_open].end_seq() <= seq) {
    for (uint32_t i = 0; i < s.open[s.acked_open].ranges; ++i) {
      const SourceRange& range = s.ranges[s.acked_ranges++];
      const auto f = files.find(range.file);
      if (f != files.end() && f->second.acked.offset <= range.end) f->second.acked = end_of(range);
    }
    ++s.acked_open;
  }
  s.acked_seq = std::max(s.acked_seq, seq);
  s.next_seq = std::max(s.next_seq, seq);
}

void Checkpoint::final_at(StreamId stream, uint64_t seq) {
  const auto it = streams.find(stream);
  if (it == streams.end()) return;
  StreamRecord& s = it->second;
  if (seq > s.acked_seq) acked(stream, seq);
  while (!s.open.empty() && s.open.front().end_seq() <= seq) {
    const uint32_t ranges = s.open.front().ranges;
    for (uint32_t i = 0; i < ranges; ++i) {
      const SourceRange& range = s.ranges.front();
      const auto f = files.find(range.file);
      if (f != files.end() && f->second.final_.offset <= range.end)
        f->second.final_ = end_of(range);
      s.ranges.pop_front();
    }
    s.acked_ranges -= ranges;
    --s.acked_open;
    s.open.pop_front();
  }
  s.final_seq = std::max(s.final_seq, seq);
}

void Checkpoint::strike(StreamId stream, uint64_t seq) {
  const auto it = streams.find(stream);
  if (it == streams.end()) return;
  StreamRecord& s = it->second;
  while (s.open.size() > s.acked_open && s.open.back().first_seq >= seq) {
    s.ranges.erase(s.ranges.end() - s.open.back().ranges, s.ranges.end());
    s.open.pop_back();
  }
  s.next_seq = s.acked_seq = seq;
}

void Checkpoint::restart(StreamId stream, uint64_t seq, const Further& further) {
  const auto it = streams.find(stream);
  if (it == streams.end()) return;
  std::vector<std::pair<uint64_t, std::string>> nearest;
  for (const auto& [sink, to] : further) nearest.emplace_back(to, sink);
  std::sort(nearest.begin(), nearest.end());
  std::vector<StreamRecord::Ahead> ahead;
  for (const auto& [to, sink] : nearest) ahead.push_back({sink, ends_of(it->second, seq, to)});
  // Those that were not even reached have still more.
  it->second.ahead.insert(it->second.ahead.begin(), ahead.begin(), ahead.end());
  final_at(stream, seq);
  std::set<FileId> seen;
  for (const SourceRange& range : it->second.ranges) {
    const auto f = files.find(range.file);
    if (f == files.end() || !seen.insert(range.file).second) continue;
    // Where the journal does not know the hashes, the bytes are taken as they are.
    if (f->second.final_.offset != range.start) f->second.final_ = {range.start, 0, 0};
    f->second.acked = f->second.final_;
    f->second.parked = false;
    f->second.rewound = true;
  }
  start_over(it->second, local_id);
}

void Checkpoint::begin_sink(StreamId stream, const std::string& sink, uint64_t seq) {
  const auto it = streams.find(stream);
  if (it == streams.end()) return;
  std::erase_if(it->second.ahead, [&](const auto& ahead) { return ahead.sink == sink; });
  it->second.begins[sink] = seq;
}

std::string Checkpoint::cannot_restart(const StreamRecord& s, uint64_t seq,
                                       const Further& further) const {
  if (seq < s.final_seq)
    return "that is less than the " + std::to_string(s.final_seq) + " that were final before";
  for (const auto& [sink, to] : further)
    if (to != s.next_seq && std::none_of(s.open.begin(), s.open.end(),
                                         [to = to](const auto& b) { return b.end_seq() == to; }))
      return "sink " + sink + " has all below " + std::to_string(to) +
             ", where no batch of the journal ends";
  uint64_t known = s.open.empty() ? s.final_seq : s.open.front().first_seq;
  size_t range = 0;
  bool begun = seq == known;  // what follows is read again
  std::set<FileId> seen;
  for (const StreamRecord::OpenBatch& b : s.open) {
    if (begun && b.first_seq != known) return "the journal lacks lines behind them";
    begun = begun || b.first_seq == seq;
    for (uint32_t i = 0; i < b.ranges; ++i, ++range) {
      const SourceRange& source = s.ranges[range];
      const FileRecord* f = file(source.file);
      if (!begun || !f || !seen.insert(source.file).second) continue;
      if (f->final_.offset > source.start)
        return "later bytes of " + f->path + " are final already";
      for (const auto& [id, other] : streams)
        for (const SourceRange& theirs : other.ranges)
          if (id != s.id && theirs.file == source.file)
            return f->path + " was given to " + other.category + " too";
    }
    known = b.end_seq();
  }
  if (seq == s.next_seq) return {};
  if (begun && known == s.next_seq) return {};
  if (begun) return "the journal lacks lines behind them";
  return "no batch of the journal ends there";
}

const FileRecord* Checkpoint::file(FileId id) const {
  const auto it = files.find(id);
  return it == files.end() ? nullptr : &it->second;
}

const FileRecord* Checkpoint::file_of(const std::string& identity) const {
  const auto it = by_identity.find(identity);
  return it == by_identity.end() ? nullptr : file(it->second);
}

const StreamRecord* Checkpoint::stream(StreamId id) const {
  const auto it = streams.find(id);
  return it == streams.end() ? nullptr : &it->second;
}

const StreamRecord* Checkpoint::stream_of(const std::string& category) const {
  for (const auto& [id, s] : streams)
    if (s.category == category && s.sub == 0) return &s;
  return nullptr;
}

const StreamRecord* Checkpoint::lost_stream(uint64_t spool, const std::string& category,
                                            uint8_t sub) const {
  for (const auto& [id, s] : streams)
    if (lost(s) && s.spool == spool && s.category == category && s.sub == sub) return &s;
  return nullptr;
}

bool Checkpoint::all_final() const {
  return std::all_of(streams.begin(), streams.end(),
                     [](const auto& s) { return s.second.all_final(); });
}

}  // namespace tailrace
