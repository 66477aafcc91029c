#include "local/spool_view.h"

#include <algorithm>

#include "base/newlines.h"
#include "flow/codec.h"
#include "local/spool.h"
#include "local/spool_disk.h"
#include "local/spool_opening.h"

namespace tailrace {

namespace {
// That the lines are those that the head counts.
Result<void> inflate(const Batch& batch, std::string& out) {
  const BatchFields& f = batch.fields;
  const Result<void> good = make_inflater(f.payload_codec)->inflate(batch.payload, f.raw_len, out);
  if (!good) return good;
  const uint64_t lines = count_newlines(out);
  if (lines != f.count || !out.ends_with('\n'))
    return Error{Error::Kind::corrupt, "it holds " + std::to_string(lines) +
                                           " lines, its head says " + std::to_string(f.count)};
  return {};
}
}  // namespace

Result<SpoolView> view_spool(const std::string& directory) {
  SpoolDisk disk(directory);
  auto spool = recover_existing(disk, directory);
  if (!spool) return spool.error();
  SpoolView out;
  out.local_id = spool->tables.local_id;
  out.notes = spool->notes;
  out.damaged = spool->damaged;
  for (const SpoolSegment& segment : spool->log.segments) {
    ++out.segments;
    out.segment_bytes += segment.file.bytes;
  }
  const auto sinks = sinks_of(spool->tables);
  for (const auto& [id, info] : spool->tables.streams) {
    SpoolView::Stream stream;
    stream.stream = id;
    stream.category = info.category;
    stream.oldest_seq = info.oldest.seq;
    stream.next_seq = info.next.seq;
    const auto ranges = spool->index.streams().find(id);
    if (ranges != spool->index.streams().end())
      for (const SpoolRange& range : ranges->second) {
        if (range.gap()) stream.lost += range.end_seq - range.first_seq;
        if (!range.gap()) ++stream.batches;
        stream.bytes += range.bytes;
      }
    for (const uint64_t sink : sinks) {
      const auto cursor = spool->tables.cursors.find({sink, id});
      uint64_t at = spool->tables.waits.contains({sink, id}) ? info.next.seq
                    : cursor == spool->tables.cursors.end()  ? info.oldest.seq
                                                             : cursor->second.seq;
      const GapInfo* const gap = gap_at(spool->tables, id, at);
      if (gap != nullptr && gap->given_up()) at = gap->end_seq();
      stream.waiting[sink] = info.next.seq - at;
    }
    stream.waiting_most = sinks.empty() ? info.next.seq - info.oldest.seq : 0;
    for (const auto& [sink, lines] : stream.waiting)
      stream.waiting_most = std::max(stream.waiting_most, lines);
    out.streams.push_back(std::move(stream));
  }
  return out;
}

Result<SpoolVerdict> verify_spool(
    const std::string& directory, bool deep,
    const std::function<void(uint64_t done, uint64_t all)>& progress) {
  SpoolDisk disk(directory);
  auto found = recover_existing(disk, directory);
  if (!found) return found.error();
  std::map<uint64_t, std::string> names;  // of segments, by era
  for (const SpoolSegment& segment : found->log.segments) names[segment.era] = segment.file.name;
  SpoolVerdict out;
  if (found->damaged) out.damage = found->notes;
  std::vector<SpoolRange> all;
  uint64_t bytes = 0;
  for (const auto& [id, ranges] : found->index.streams())
    for (const SpoolRange& range : ranges) {
      if (range.gap()) continue;
      all.push_back(range);
      bytes += range.bytes;
    }
  std::sort(all.begin(), all.end(), [](const SpoolRange& a, const SpoolRange& b) {
    return std::pair(a.era, a.offset) < std::pair(b.era, b.offset);
  });
  const Spool spool(SpoolOptions{}, std::move(*found), 1);  // only to decode: no START is written
  std::string scratch;
  for (const SpoolRange& range : all) {
    Spool::Place place;
    place.segment = names[range.era];
    place.offset = range.offset;
    place.bytes = range.bytes;
    place.end_seq = range.end_seq;
    const auto record = disk.read_record(place);
    if (!record) return record.error();
    const auto batch = spool.decode_record(place, *record);
    Result<void> good;
    if (!batch)
      good = batch.error();
    else if (deep)
      good = inflate(**batch, scratch);
    if (!good) {
      const std::string where = place.segment + " at byte " + std::to_string(place.offset);
      const bool placed = good.error().text.starts_with(place.segment);
      out.damage.push_back((placed ? "" : where + ": ") + good.error().text);
    }
    ++out.batches;
    out.lines += range.end_seq - range.first_seq;
    out.bytes += range.bytes;
    progress(out.bytes, bytes);
  }
  return out;
}

}  // namespace tailrace
