#include "local/spool_recovery.h"

#include <algorithm>
#include <optional>

#include "base/hash.h"
#include "base/mutant.h"

namespace tailrace {

namespace {

// A newest segment that is filled to less than this part of it is copied whole.
constexpr uint64_t kSmallPart = 8;

struct Found {
  SpoolFile file;
  SegmentHeader header;
  bool intact = false;  // the header is there and belongs to the name
};

class Recovery {
 public:
  Recovery(SpoolImages& images, RecoveredSpool& out) : images_(images), out_(out) {}
  Result<void> run(uint64_t id_if_new);

 private:
  Result<void> list();
  Result<void> read_headers();
  Result<void> read_segments();
  Result<void> take_newest(const Found& found, SegmentScan& scan);
  // Records from `copy_from` on go into the tail.
  Result<void> take(const Found& found, SegmentScan& scan, uint64_t copy_from);
  SegmentScan::Bounds bounds(size_t i) const;
  void note_damage(const Found& found, const SegmentScan& scan);
  void apply(const ScannedRecord& r, std::string_view body, SpoolSegment& segment, bool in_tail);
  void apply_batch(const ScannedRecord& r, std::string_view body, SpoolSegment& segment,
                   bool in_tail);
  void keep_nameless_files(const BatchHead& head);
  void note_nameless();
  bool apply_control(RecordType type, std::string_view body);
  Position passed_by_all(const StreamInfo& stream) const;
  void close_stream(StreamInfo& stream);
  void close_index();
  void add_gap(SpoolIndex::Ranges& into, StreamId stream, Position from, Position to, bool is_loss);
  void damaged(std::string note) {
    out_.damaged = true;
    out_.notes.push_back(std::move(note));
  }

  SpoolImages& images_;
  RecoveredSpool& out_;
  std::vector<Found> found_;  // by era
  uint64_t end_lsn_ = 1;      // behind the last record read so far
  bool snapshot_ = false;
};

// --- the directory ----------------------------------------------------------------------------

Result<void> Recovery::list() {
  Result<std::vector<SpoolFile>> files = images_.files();
  if (!files) return files.error();
  for (SpoolFile& f : *files) {
    const auto [kind, number] = parse_spool_name(f.name);
    switch (kind) {
      case SpoolName::segment: found_.push_back({std::move(f), {number, 0, 0, 0}, false}); break;
      case SpoolName::fresh: out_.log.useless.push_back(std::move(f)); break;
      case SpoolName::spare: out_.log.spares.push_back(std::move(f)); break;
      case SpoolName::other: continue;
    }
    // An era that a name ever had is not given again: its file may hold records that carry it.
    uint64_t& next = kind == SpoolName::spare ? out_.log.next_file : out_.log.next_era;
    next = std::max(next, number + 1);
  }
  std::sort(found_.begin(), found_.end(),
            [](const Found& a, const Found& b) { return a.header.era < b.header.era; });
  return {};
}

Result<void> Recovery::read_headers() {
  std::string bytes;
  uint64_t local_id = 0;
  for (size_t i = 0; i < found_.size(); ++i) {
    Found& f = found_[i];
    if (auto read = images_.read(f.file.name, 0, kSegmentHeaderBytes, bytes); !read) return read;
    const Result<SegmentHeader> header = decode_segment_header(bytes);
    if (!header && header.error().kind == Error::Kind::rejected)
      return header.error().within(f.file.name);
    if (!header || header->era != f.header.era) continue;
    if (local_id != 0 && header->local_id != local_id)
      return Error{Error::Kind::rejected,
                   f.file.name +
                       " belongs to another spool than the segments beside it: move the "
                       "files that do not belong here out of this directory"};
    local_id = header->local_id;
    f.header = *header;
    f.intact = true;
  }
  out_.tables.local_id = local_id;
  if (!found_.empty() && local_id == 0)
    return Error{Error::Kind::corrupt,
                 "none of its segments has a readable header: nothing can be recovered from it. "
                 "Move the directory aside to start with an empty spool"};
  return {};
}

// What is known of a segment from the headers around it. A header that is damaged, or is still that
// of the file's earlier life, is replaced by what the records before it say.
SegmentScan::Bounds Recovery::bounds(size_t i) const {
  const Found& f = found_[i];
  SegmentScan::Bounds b;
  b.seed = record_seed(f.header.era, out_.tables.local_id);
  b.first_lsn = f.intact ? f.header.first_lsn : end_lsn_;
  b.synced_lsn = f.intact ? f.header.durable_lsn : 0;
  size_t next = i + 1;
  while (next < found_.size() && !found_[next].intact) ++next;
  if (next == found_.size()) return b;
  b.stop_lsn = found_[next].header.first_lsn;
  // Without a header, where the segment begins is known only from the one right before it.
  const bool begins = f.intact || (i > 0 && found_[i - 1].header.era + 1 == f.header.era);
  b.reaches_stop = begins && found_[next].header.era == f.header.era + 1;
  return b;
}

// --- segments ---------------------------------------------------------------------------------

void Recovery::note_damage(const Found& found, const SegmentScan& scan) {
  if (!found.intact)
    damaged(found.file.name + ": its header is damaged, its records were read without it");
  for (const ScanDamage& d : scan.damage())
    damaged(found.file.name + " is damaged at byte " + std::to_string(d.offset) + ": " +
            std::to_string(d.end_lsn - d.first_lsn) + " record(s) are lost");
  if (scan.torn())
    out_.notes.push_back(found.file.name + " ends in a write that was cut short at byte " +
                         std::to_string(scan.end_offset()) +
                         ": it was never acknowledged and is read again from the log files");
}

// A file that was renamed for a segment of which nothing was written yet is no segment. The newest
// one is taken last, by itself: only it can end in records that are not known to be synced.
Result<void> Recovery::read_segments() {
  std::optional<SegmentScan> before;
  size_t before_at = 0;
  for (size_t i = 0; i < found_.size(); ++i) {
    Found& f = found_[i];
    const SegmentScan::Bounds b = bounds(i);
    SegmentScan scan(images_, f.file, b);
    if (auto read = scan.run(); !read) return read.error().within(f.file.name);
    if (!f.intact && scan.records().empty() && scan.damage().empty()) {
      out_.log.useless.push_back(f.file);
      continue;
    }
    // All of it stands in the next one: a start copied it, and did not live to use the file again.
    if (b.stop_lsn <= b.first_lsn) out_.superseded.push_back(f.header.era);
    f.header.first_lsn = b.first_lsn;
    end_lsn_ = scan.end_lsn();
    note_damage(f, scan);
    if (before)
      if (auto taken = take(found_[before_at], *before, UINT64_MAX); !taken) return taken;
    before.emplace(std::move(scan));
    before_at = i;
  }
  return take_newest(found_[before_at], *before);
}

Result<void> Recovery::take_newest(const Found& found, SegmentScan& scan) {
  const bool none = mutant(Mutant::no_durable_lsn);
  const bool whole = !none && scan.end_offset() <= found.file.bytes / kSmallPart;
  const uint64_t first_lsn = found.header.first_lsn;
  const uint64_t synced = std::max(scan.synced_lsn(), first_lsn - 1);
  const uint64_t copy_from = none    ? scan.end_lsn()
                             : whole ? first_lsn
                                     : std::min(synced + 1, scan.end_lsn());
  out_.log.next_lsn = copy_from;
  if (whole) out_.superseded.push_back(found.header.era);
  return take(found, scan, copy_from);
}

Result<void> Recovery::take(const Found& found, SegmentScan& scan, uint64_t copy_from) {
  SpoolSegment& segment = out_.log.segments.emplace_back();
  segment.era = found.header.era;
  segment.file = found.file;
  segment.used = scan.end_offset();
  segment.first_lsn = found.header.first_lsn;
  for (const ScannedRecord& record : scan.records()) {
    const Result<std::string_view> body = scan.body(record);
    if (!body) return body.error();
    const bool copied = record.header.lsn >= copy_from;
    apply(record, *body, segment, copied);
    if (!copied) continue;
    RecoveredRecord& copy =
        out_.tail.emplace_back(RecoveredRecord{record.header.type, std::string(*body), {}});
    if (auto read = scan.payload(record, copy.payload); !read) return read;
  }
  return {};
}

// --- records ----------------------------------------------------------------------------------

void Recovery::apply(const ScannedRecord& r, std::string_view body, SpoolSegment& segment,
                     bool in_tail) {
  if (!in_tail) out_.log_bytes += r.header.bytes();
  if (r.header.type == RecordType::batch) return apply_batch(r, body, segment, in_tail);
  if (r.header.type == RecordType::snapshot) {
    std::optional<SpoolTables> tables = decode_snapshot(body);
    if (tables) {
      out_.tables = std::move(*tables);
      out_.snapshot_era = in_tail ? 0 : segment.era;
      out_.snapshot_bytes = r.header.bytes();
      out_.log_bytes = 0;
      snapshot_ = true;
      return;
    }
  } else if (!snapshot_ || apply_control(r.header.type, body)) {
    return;
  }
  damaged("record " + std::to_string(r.header.lsn) + " of the spool makes no sense: passed over");
}

bool Recovery::apply_control(RecordType type, std::string_view body) {
  SpoolTables& t = out_.tables;
  switch (type) {
    case RecordType::start: {
      const auto start = decode_start(body);
      if (!start) return false;
      t.start_before = std::exchange(t.start, *start);
      return true;
    }
    case RecordType::stream_def: {
      auto defined = decode_stream_def(body);
      if (!defined) return false;
      const StreamId id = defined->stream.stream;
      t.streams.emplace(id, std::move(defined->stream));
      for (const uint64_t sink : defined->ahead) {
        t.cursors.erase({sink, id});
        t.waits.emplace(sink, id);
      }
      return true;
    }
    case RecordType::file_def: {
      auto file = decode_file_def(body);
      if (!file) return false;
      t.files.insert_or_assign(file->file, std::move(*file));
      return true;
    }
    case RecordType::file_gone: {
      const auto file = decode_file_gone(body);
      if (file) t.files.erase(*file);
      return file.has_value();
    }
    case RecordType::cursor: {
      const auto c = decode_cursor(body);
      if (!c) return false;
      t.cursors[{c->sink, c->stream}] = c->at;
      t.origins.erase({c->sink, c->stream});
      return true;
    }
    case RecordType::origin: {
      const auto c = decode_cursor(body);
      if (!c) return false;
      t.cursors[{c->sink, c->stream}] = c->at;
      t.waits.erase({c->sink, c->stream});
      t.origins.emplace(c->sink, c->stream);
      return true;
    }
    case RecordType::gap: {
      auto gap = decode_gap(body);
      if (!gap) return false;
      put_gap(t, std::move(*gap));
      return true;
    }
    case RecordType::file_gap: {
      const auto gap = decode_file_gap(body);
      if (gap) apply_file_gap(*gap, t);
      return gap.has_value();
    }
    default: return true;  // WATERMARK, RETIRE, CLEAN_SHUTDOWN: they change no table
  }
}

void Recovery::apply_batch(const ScannedRecord& r, std::string_view body, SpoolSegment& segment,
                           bool in_tail) {
  const Result<BatchHead> head = BatchHead::parse(body);
  if (!head) return damaged("record " + std::to_string(r.header.lsn) + ": " + head.error().text);
  const BatchFields& f = head->fields();
  SpoolIndex::Ranges& ranges = out_.index.streams()[f.stream];
  if (!ranges.empty() && f.first_seq < ranges.back().end_seq)
    return damaged("record " + std::to_string(r.header.lsn) + " repeats lines of stream " +
                   std::to_string(f.stream) + ": passed over");
  ranges.push_back({f.first_seq, f.end_seq(), f.chain_before, f.chain_after, segment.era, r.offset,
                    r.header.bytes(), nullptr});
  if (!in_tail) {
    SpoolSegment::Held& held = segment.held[f.stream];
    held.end_seq = f.end_seq();
    held.bytes += r.header.bytes();
  }
  if (!snapshot_) return;
  // Its definition may be damaged: it stands for no category then.
  StreamInfo& stream = out_.tables.streams[f.stream];
  stream.stream = f.stream;
  if (stream.category.empty()) stream.sub = f.sub;
  stream.next = {f.end_seq(), f.chain_after};
  keep_nameless_files(*head);
  apply_sources(*head, out_.tables);
}

// Their definitions may be damaged, or trimmed with the segment that held them; the next SNAPSHOT
// knows the latter.
void Recovery::keep_nameless_files(const BatchHead& head) {
  for (size_t i = 0; i < head.source_count(); ++i) {
    FileInfo nameless;
    nameless.file = head.source(i).file;
    out_.tables.files.emplace(nameless.file, std::move(nameless));
  }
}

// The agent is told of them, so that it does not begin them anew.
void Recovery::note_nameless() {
  for (const auto& [id, info] : out_.tables.streams)
    if (info.category.empty())
      damaged("which category stream " + std::to_string(id) + " stands for is lost: its " +
              std::to_string(info.next.seq - info.oldest.seq) +
              " lines are kept here and cannot be delivered");
  for (const auto& [file, info] : out_.tables.files)
    if (info.identity.empty())
      damaged("which log file number " + std::to_string(file) + " stands for is lost");
}

// --- what is missing --------------------------------------------------------------------------

void Recovery::add_gap(SpoolIndex::Ranges& into, StreamId stream, Position from, Position to,
                       bool is_loss) {
  const GapInfo* const known = gap_at(out_.tables, stream, from.seq);
  if (known != nullptr && known->end_seq() < to.seq) {
    const Position end{known->end_seq(), known->chain_after};
    add_gap(into, stream, from, end, is_loss);
    return add_gap(into, stream, end, to, is_loss);
  }
  SpoolRange range;
  range.first_seq = from.seq;
  range.chain_before = from.chain;
  range.end_seq = to.seq;
  range.chain_after = to.chain;
  into.push_back(std::move(range));
  if (known != nullptr) return;
  GapInfo gap;
  gap.stream = stream;
  gap.first_seq = from.seq;
  gap.count = to.seq - from.seq;
  gap.chain_after = to.chain;
  gap.reason = "spool damaged";
  put_gap(out_.tables, gap);
  if (!is_loss) return;
  damaged("category '" + out_.tables.streams.at(stream).category + "': lines " +
          std::to_string(from.seq) + " to " + std::to_string(to.seq - 1) +
          " were taken and are lost; each sink is told");
  out_.gaps.push_back(std::move(gap));
}

// Where the slowest sink stands; what lies below may have been trimmed. A sink whose cursor did not
// reach the disk is still to begin, with the oldest that is kept; if it was lost, with what was the
// oldest when that was written down last, and what is missing since is lost for it.
Position Recovery::passed_by_all(const StreamInfo& stream) const {
  const Position* low = nullptr;
  if (!sinks_known(out_.tables, stream.stream)) return stream.oldest;
  for (const auto& [key, at] : out_.tables.cursors)
    if (key.second == stream.stream && (low == nullptr || at.seq < low->seq)) low = &at;
  if (low == nullptr) return stream.oldest;
  const auto cursor_lost = [&](uint64_t sink) {
    const std::pair way(sink, stream.stream);
    return !out_.tables.cursors.contains(way) && !out_.tables.waits.contains(way);
  };
  const std::set<uint64_t> sinks = sinks_of(out_.tables);
  const bool lost = out_.damaged && std::any_of(sinks.begin(), sinks.end(), cursor_lost);
  return lost && stream.oldest.seq < low->seq ? stream.oldest : *low;
}

// From there on the stream's batches must follow one another up to its next line: what is missing
// becomes a gap.
void Recovery::close_stream(StreamInfo& stream) {
  for (const auto& [key, at] : out_.tables.cursors)
    if (key.second == stream.stream && at.seq > stream.next.seq)
      stream.next = at;  // committed, so it was here
  const Position low = passed_by_all(stream);
  // Of a damaged spool not even the sinks are all known: what is missing below is no loss, unless
  // one comes that has not got it.
  const Position from = out_.damaged && stream.oldest.seq < low.seq ? stream.oldest : low;
  SpoolIndex::Ranges closed;
  std::optional<Position> end;
  const auto fill_up_to = [&](Position next) {
    if (end && end->seq == next.seq) return;
    if (!end || end->seq < from.seq) {
      closed.clear();
      if (next.seq <= from.seq) return;
      end = from;
    }
    if (end->seq < low.seq && low.seq < next.seq) {
      add_gap(closed, stream.stream, *end, low, false);
      end = low;
    }
    add_gap(closed, stream.stream, *end, next, next.seq > low.seq);
  };
  SpoolIndex::Ranges& ranges = out_.index.streams()[stream.stream];
  for (SpoolRange& r : ranges) {
    if (gap_at(out_.tables, stream.stream, r.first_seq))
      r.era = r.offset = r.bytes = 0;  // given up before
    if (end || r.first_seq > from.seq) fill_up_to({r.first_seq, r.chain_before});
    end = {r.end_seq, r.chain_after};
    closed.push_back(std::move(r));
  }
  fill_up_to(stream.next);
  ranges = std::move(closed);
  stream.oldest = out_.index.oldest(stream.stream).value_or(stream.next);
  drop_old_gaps(out_.tables, stream);
}

void Recovery::close_index() {
  for (auto& [id, stream] : out_.tables.streams) close_stream(stream);
  for (auto it = out_.index.streams().begin(); it != out_.index.streams().end();) {
    if (out_.tables.streams.contains(it->first)) {
      ++it;
      continue;
    }
    damaged("stream " + std::to_string(it->first) +
            ": its definition is lost, so its batches cannot be delivered");
    it = out_.index.streams().erase(it);
  }
}

Result<void> Recovery::run(uint64_t id_if_new) {
  if (auto listed = list(); !listed) return listed;
  if (found_.empty()) {
    out_.tables.local_id = id_if_new;
    return {};
  }
  if (auto headers = read_headers(); !headers) return headers;
  const uint64_t local_id = out_.tables.local_id;
  if (auto read = read_segments(); !read) return read;
  if (!snapshot_)
    return Error{Error::Kind::corrupt,
                 "no SNAPSHOT can be read: what its lines belong to is not known. Move the "
                 "directory aside to start with an empty spool"};
  out_.tables.local_id = local_id;
  close_index();
  note_nameless();
  return {};
}

}  // namespace

Result<RecoveredSpool> recover_spool(SpoolImages& images, uint64_t id_if_new) {
  TAILRACE_CHECK(id_if_new != 0, "a spool's id is not zero");
  RecoveredSpool recovered;
  if (auto done = Recovery(images, recovered).run(id_if_new); !done) return done.error();
  return recovered;
}

}  // namespace tailrace
