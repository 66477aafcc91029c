#include "local/spool_state.h"

#include <algorithm>

#include "base/hash.h"
#include "base/mutant.h"
#include "local/spool_recovery.h"

namespace tailrace {

namespace {
constexpr uint64_t kLogToSnapshot =
    50;  // a SNAPSHOT is due when the log since is so many times its size

struct FirstRecord {
  RecordType type{};
  std::string body;
  std::shared_ptr<Batch> batch;
  [[nodiscard]] uint64_t bytes() const {
    return kRecordHeaderBytes + (batch ? batch->bytes() : body.size());
  }
};

// What the first segment of this start begins with: the copies, START, what recovery had to find
// out, and a SNAPSHOT where the log before can't be relied on, or is not there. `tables` gets
// START.
std::vector<FirstRecord> first_records(RecoveredSpool& recovered, SpoolTables& tables,
                                       uint64_t start) {
  std::vector<FirstRecord> records;
  for (RecoveredRecord& r : recovered.tail) {
    FirstRecord& f = records.emplace_back(FirstRecord{r.type, std::move(r.body), nullptr});
    if (r.type != RecordType::batch) continue;
    f.batch = std::make_shared<Batch>();
    f.batch->head = std::move(f.body);
    f.batch->payload = std::move(r.payload);
    f.batch->fields = BatchHead::parse(f.batch->head).value().fields();
  }
  tables.start_before = std::exchange(tables.start, start);
  encode_start(start, records.emplace_back(FirstRecord{RecordType::start, {}, nullptr}).body);
  for (const GapInfo& gap : recovered.gaps)
    encode_gap(gap, records.emplace_back(FirstRecord{RecordType::gap, {}, nullptr}).body);
  if (recovered.damaged || recovered.tables_changed || recovered.log.segments.empty())
    encode_snapshot(tables,
                    records.emplace_back(FirstRecord{RecordType::snapshot, {}, nullptr}).body);
  return records;
}
}  // namespace

Spool::State::State(SpoolOptions o, RecoveredSpool recovered, uint64_t start)
    : options(o),
      tables(std::move(recovered.tables)),
      index(std::move(recovered.index)),
      log(o, tables.local_id, recovered.log),
      sinks(sinks_of(tables)),
      sinks_named(!recovered.damaged || mutant(Mutant::sink_forgotten)),
      superseded(std::move(recovered.superseded)),
      waits_hurt(recovered.damaged),
      origins(tables.origins),
      snapshot_era(recovered.snapshot_era),
      snapshot_bytes(recovered.snapshot_bytes),
      log_bytes(recovered.log_bytes) {
  TAILRACE_CHECK(tables.local_id != 0, "a spool without an id");
  for (const auto& [era, segment] : log.segments())
    for (const auto& [stream, held] : segment.held)
      if (tables.streams.contains(stream))
        category_bytes[tables.streams.at(stream).category] += held.bytes;
  durable_cursors = tables.cursors;

  std::vector<FirstRecord> first = first_records(recovered, tables, start);
  uint64_t bytes = 0;
  for (const FirstRecord& r : first) bytes += r.bytes();
  log.open_first(bytes);
  for (FirstRecord& r : first) {
    if (r.batch) {
      const BatchFields f = r.batch->fields;
      const SpoolLog::Place at = log.append(r.batch);
      log_bytes += at.bytes;
      SpoolRange* const range = index.find(f.stream, f.first_seq);
      if (range == nullptr || range->gap()) continue;
      range->era = at.era;
      range->offset = at.offset;
      range->bytes = at.bytes;
      log.hold(at.era, f.stream, f.end_seq(), at.bytes);
      category_bytes[tables.streams.at(f.stream).category] += at.bytes;
      // A copy of what was synced before was not checked yet: as if read when it is sent.
      if (crc32c(r.batch->payload) == f.payload_crc || mutant(Mutant::copies_unchecked))
        index.cache(f.stream, f.first_seq, std::move(r.batch), options.cache_bytes);
      continue;
    }
    const SpoolLog::Place at = log.append(r.type, r.body);
    log_bytes += at.bytes;
    if (r.type != RecordType::snapshot) continue;
    snapshot_era = at.era;
    snapshot_bytes = at.bytes;
    log_bytes = 0;
  }
  recall_given_up();
  complete_cursors();
}

// --- records ----------------------------------------------------------------------------------

void Spool::State::write_batch(const StreamInfo& info, Position before,
                               std::shared_ptr<Batch> batch) {
  const SpoolLog::Place at = log.append(batch);
  log_bytes += at.bytes;
  log.hold(at.era, info.stream, info.next.seq, at.bytes);
  const auto category = category_bytes.find(info.category);
  (category == category_bytes.end() ? category_bytes[info.category] : category->second) += at.bytes;
  index.add(info.stream, {before.seq, info.next.seq, before.chain, info.next.chain, at.era,
                          at.offset, at.bytes, nullptr});
  index.cache(info.stream, before.seq, std::move(batch), options.cache_bytes);
}

// The lowest first: of a group that is torn the beginning counts, and who finds there that one sink
// has come far must find all those that have not.
void Spool::State::write_cursors() {
  std::vector<CursorKey> keys(dirty.begin(), dirty.end());
  std::stable_sort(keys.begin(), keys.end(), [this](const CursorKey& a, const CursorKey& b) {
    return tables.cursors.at(a).seq < tables.cursors.at(b).seq;
  });
  for (const CursorKey& key : keys) {
    const Position at = tables.cursors.at(key);
    write(RecordType::cursor, [&](std::string& out) {
      encode_cursor({key.first, key.second, at}, out);
    });
    cursors_pending.emplace_back(key, at);
  }
  dirty.clear();
}

bool Spool::State::snapshot_due() const {
  return served && (log_bytes > kLogToSnapshot * snapshot_bytes ||
                    log_bytes > log.quota_bytes() / 4 || snapshot_makes_room());
}

// Many starts leave many segments that hold little: they may fill the quota long before the log
// since the last SNAPSHOT is of any size.
bool Spool::State::snapshot_makes_room() const {
  if (!served || !wants_room()) return false;
  const auto& segments = log.segments();
  return std::any_of(segments.lower_bound(snapshot_era), std::prev(segments.end()),
                     [this](const auto& s) { return passed_by(Whom::all, s.second); });
}

void Spool::State::write_snapshot() {
  SpoolTables without;
  if (!origins.empty()) {
    without = tables;
    for (const CursorKey& key : origins)
      if (!tables.origins.contains(key)) without.cursors.erase(key);
  }
  const SpoolLog::Place at = write(RecordType::snapshot, [&](std::string& out) {
    encode_snapshot(origins.empty() ? tables : without, out);
  });
  snapshot_era = at.era;
  snapshot_bytes = at.bytes;
  log_bytes = 0;
}

// --- tables -----------------------------------------------------------------------------------

bool Spool::State::continues_files(const BatchHead& head) {
  nexts.clear();
  for (size_t i = 0; i < head.source_count(); ++i) {
    const SourceRange s = head.source(i);
    auto next =
        std::find_if(nexts.begin(), nexts.end(), [&](auto& n) { return n.first == s.file; });
    if (next == nexts.end())
      next = nexts.insert(nexts.end(), {s.file, tables.files.at(s.file).next});
    if (s.start != next->second) return false;
    next->second = s.end;
  }
  return true;
}

void Spool::State::set_cursor(uint64_t sink, StreamId stream, Position at) {
  tables.cursors[{sink, stream}] = at;
  origins.erase({sink, stream});
  tables.origins.erase({sink, stream});
  dirty.insert({sink, stream});
}

void Spool::State::wait_for_origin(uint64_t sink, StreamId stream) {
  tables.cursors.erase({sink, stream});
  dirty.erase({sink, stream});
  durable_cursors.erase({sink, stream});
  tables.waits.emplace(sink, stream);
}

// In the middle of a stream a sink that has committed nothing has no cursor on the disk: whoever
// starts anew must know that the store knows of no position, and need not.
bool Spool::State::complete_cursors() {
  bool made = false;
  for (const uint64_t sink : sinks)
    for (const auto& [id, info] : tables.streams) {
      if (tables.cursors.contains({sink, id}) || tables.waits.contains({sink, id})) continue;
      if (info.oldest.seq == 0) {
        set_cursor(sink, id, info.oldest);
        made = true;
        continue;
      }
      tables.cursors[{sink, id}] = info.oldest;
      origins.insert({sink, id});
    }
  return made;
}

bool Spool::State::category_has_room(const std::string& category, uint64_t bytes) const {
  const auto held = category_bytes.find(category);
  if (held == category_bytes.end() || held->second == 0) return true;
  return held->second + bytes <= log.quota_bytes() / 100 * options.category_share_percent;
}

void Spool::State::changed(int64_t now_ms) {
  TAILRACE_CHECK(served, "the spool was used before what it recovered was made safe");
  if (!changed_since_group) pending_since_ms = now_ms;
  changed_since_group = true;
}

// --- groups -----------------------------------------------------------------------------------

SpoolGroup Spool::State::begin(int64_t now_ms) {
  SpoolGroup group = log.begin(now_ms);
  if (group.last_lsn == 0) return group;
  writing = true;
  changed_since_group = false;
  for (const auto& [id, info] : tables.streams) durable_soon[id] = info.next;
  std::swap(cursors_soon, cursors_pending);
  std::swap(given_up_soon, given_up_pending);
  return group;
}

void Spool::State::became_durable() {
  served = true;
  for (const auto& [id, next] : durable_soon) durable[id] = next;
  for (const auto& [key, at] : cursors_soon) durable_cursors[key] = at;
  cursors_soon.clear();
  for (const auto& [id, end] : given_up_soon) given_up[id] = end;
  given_up_soon.clear();
  for (const uint64_t era : superseded) log.release(era);
  superseded.clear();
  trim();
}

// All of the stream below `end` is committed there, or it was given up.
bool Spool::State::passed(uint64_t sink, StreamId stream, uint64_t end) const {
  if (tables.waits.contains({sink, stream}) && !waits_hurt) return true;
  const auto cursor = durable_cursors.find({sink, stream});
  if (cursor == durable_cursors.end()) return false;
  const auto gone = given_up.find(stream);
  return cursor->second.seq >= end || (gone != given_up.end() && gone->second.seq >= end);
}

bool Spool::State::passed_by(Whom whom, const SpoolSegment& segment) const {
  if (!sinks_named) return false;
  for (const auto& [stream, held] : segment.held) {
    const auto by = [&, stream = stream, end = held.end_seq](uint64_t sink) {
      return (whom == Whom::required && optional.contains(sink)) || passed(sink, stream, end);
    };
    const bool all = mutant(Mutant::trim_at_fastest) ? std::any_of(sinks.begin(), sinks.end(), by)
                                                     : std::all_of(sinks.begin(), sinks.end(), by);
    if (sinks.empty() || !all || !sinks_known(tables, stream)) return false;
  }
  return true;
}

// A segment may go when all it holds is passed, and by a cursor that is itself on the disk; the
// newest SNAPSHOT and all behind it stay.
void Spool::State::trim() {
  for (auto s = log.segments().begin(); s != log.segments().end() && s->first < snapshot_era;) {
    const SpoolSegment& segment = (s++)->second;
    if (passed_by(Whom::all, segment)) release(segment);
  }
  for (const auto& [stream, end] : given_up) {
    const auto info = tables.streams.find(stream);
    if (info != tables.streams.end() && info->second.oldest.seq < end.seq)
      forget_passed(info->second, end.seq);
  }
}

void Spool::State::release(const SpoolSegment& segment) {
  for (const auto& [stream, held] : segment.held) {
    const auto known = tables.streams.find(stream);
    if (known == tables.streams.end()) continue;
    StreamInfo& info = known->second;
    category_bytes[info.category] -= held.bytes;
    forget_passed(info, held.end_seq);
  }
  log.release(segment.era);
}

// What was given up is kept in mind until each sink has been told of it.
void Spool::State::forget_passed(StreamInfo& info, uint64_t end) {
  const auto chain = index.chain_at(info.stream, end);
  Position oldest = chain ? Position{end, *chain} : info.oldest;
  for (const uint64_t sink : sinks) {
    const auto cursor = durable_cursors.find({sink, info.stream});
    if (cursor != durable_cursors.end() && cursor->second.seq < oldest.seq) oldest = cursor->second;
  }
  index.drop_below(info.stream, oldest.seq);
  oldest = index.oldest(info.stream).value_or(oldest);
  if (oldest.seq > info.oldest.seq) info.oldest = oldest;
  drop_old_gaps(tables, info);
}

}  // namespace tailrace
