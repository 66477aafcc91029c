#include "agent/journal_records.h"

#include <algorithm>

#include "base/hash.h"

namespace tailrace {

namespace {
constexpr auto kLastRecord = static_cast<uint8_t>(JournalRecord::begins);
constexpr size_t kRangeBytes = 32;
constexpr size_t kMostAheadFiles = 50'000;  // of one record
// Bits of a file's record.
constexpr uint8_t kParked = 1;
constexpr uint8_t kRewound = 2;

void put_position(ByteWriter& w, const FilePosition& p) {
  w.u64(p.offset);
  w.u32(p.head_hash);
  w.u32(p.tail_hash);
}

FilePosition take_position(ByteReader& r) {
  FilePosition p;
  p.offset = r.u64();
  p.head_hash = r.u32();
  p.tail_hash = r.u32();
  return p;
}

// The checksum covers length, type and body.
uint32_t record_crc(std::string_view record) {
  return crc32c(record.substr(8), crc32c(record.substr(0, 4)));
}

bool apply_stream(ByteReader& r, Checkpoint& state) {
  StreamRecord s;
  s.id = r.u32();
  s.sub = r.u8();
  s.bucket = r.u32();
  s.acked_seq = s.next_seq = r.u64();
  s.final_seq = r.u64();
  s.category = r.text16();
  s.spool = state.local_id;
  if (!r.done() || s.id == 0) return false;
  state.streams[s.id] = std::move(s);
  return true;
}

bool apply_file(ByteReader& r, Checkpoint& state) {
  FileRecord f;
  f.id = r.u32();
  f.generation = r.u32();
  f.stream = r.u32();
  const uint8_t flags = r.u8();
  f.parked = (flags & kParked) != 0;
  f.rewound = (flags & kRewound) != 0;
  f.acked = take_position(r);
  f.final_ = take_position(r);
  f.identity = r.text16();
  f.path = r.text16();
  if (!r.done() || f.id == 0) return false;
  state.put_file(std::move(f));
  return true;
}

bool apply_batch(ByteReader& r, Checkpoint& state) {
  const StreamId stream = r.u32();
  StreamRecord::OpenBatch b;
  b.first_seq = r.u64();
  b.count = r.u32();
  const Bucket bucket = r.u32();
  b.ranges = r.u16();
  if (!r.ok() || r.remaining() != size_t{b.ranges} * kRangeBytes) return false;
  std::vector<SourceRange> ranges(b.ranges);
  for (SourceRange& s : ranges) {
    s.file = r.u32();
    s.start = r.u64();
    s.end = r.u64();
    s.lines = r.u32();
    s.head_hash = r.u32();
    s.tail_hash = r.u32();
  }
  return state.add_batch(stream, b, bucket, ranges);
}

bool apply_notice(ByteReader& r, Checkpoint& state) {
  Notice n;
  n.number = r.u64();
  n.file = r.u32();
  n.gone = r.u8() != 0;
  n.start = r.u64();
  n.end = r.u64();
  n.reason = r.text16();
  if (!r.done()) return false;
  state.next_notice = std::max(state.next_notice, n.number + 1);
  state.notices[n.number] = std::move(n);
  return true;
}

bool apply_former(ByteReader& r, Checkpoint& state) {
  state.former.insert(r.u64());
  return r.done();
}

bool apply_lost(ByteReader& r, Checkpoint& state) {
  const auto s = state.streams.find(r.u32());
  const uint64_t spool = r.u64();
  if (!r.done() || s == state.streams.end()) return false;
  s->second.spool = spool;
  return true;
}

// Of version 2 nothing follows the line.
bool apply_restart(ByteReader& r, Checkpoint& state) {
  const StreamId stream = r.u32();
  const uint64_t seq = r.u64();
  Checkpoint::Further further;
  for (uint16_t n = r.remaining() > 0 ? r.u16() : 0; n > 0 && r.ok(); --n) {
    std::string sink(r.text16());
    further[std::move(sink)] = r.u64();
  }
  if (!r.done() || !state.stream(stream)) return false;
  state.restart(stream, seq, further);
  return true;
}

bool apply_ahead(ByteReader& r, Checkpoint& state) {
  const auto s = state.streams.find(r.u32());
  const std::string sink(r.text16());
  std::map<FileId, uint64_t> up_to;
  while (r.ok() && r.remaining() > 0) {
    const FileId file = r.u32();
    up_to[file] = r.u64();
  }
  if (!r.done() || s == state.streams.end()) return false;
  auto& ahead = s->second.ahead;
  if (ahead.empty() || ahead.back().sink != sink) ahead.push_back({sink, {}});
  ahead.back().up_to.merge(up_to);
  return true;
}

bool apply_begins(ByteReader& r, Checkpoint& state) {
  const StreamId stream = r.u32();
  const std::string sink(r.text16());
  const uint64_t seq = r.u64();
  if (!r.done() || !state.stream(stream)) return false;
  state.begin_sink(stream, sink, seq);
  return true;
}

bool apply_spool(ByteReader& r, Checkpoint& state) {
  const uint64_t id = r.u64();
  const FileId next_file = r.u32();
  const uint64_t next_notice = r.u64();
  if (!r.done()) return false;
  state.set_spool(id);
  state.next_file = std::max(state.next_file, next_file);
  state.next_notice = std::max(state.next_notice, next_notice);
  return true;
}
}  // namespace

JournalRecordWriter::JournalRecordWriter(std::string& out, JournalRecord type)
    : out_(out), start_(out.size()), body_(out) {
  body_.u32(0);
  body_.u32(0);
  body_.u8(static_cast<uint8_t>(type));
}

JournalRecordWriter::~JournalRecordWriter() {
  body_.patch(start_, static_cast<uint32_t>(out_.size() - start_ - kJournalRecordHead));
  body_.patch(start_ + 4, record_crc(std::string_view(out_).substr(start_)));
}

void write_spool_record(const Checkpoint& state, std::string& out) {
  JournalRecordWriter w(out, JournalRecord::spool);
  w->u64(state.local_id);
  w->u32(state.next_file);
  w->u64(state.next_notice);
}

void write_stream_record(const StreamRecord& s, std::string& out) {
  JournalRecordWriter w(out, JournalRecord::stream);
  w->u32(s.id);
  w->u8(s.sub);
  w->u32(s.bucket);
  // Its open batches follow it: it stands where they start.
  w->u64(s.open.empty() ? s.next_seq : s.open.front().first_seq);
  w->u64(s.final_seq);
  w->text16(s.category);
}

void write_file_record(const FileRecord& f, std::string& out) {
  JournalRecordWriter w(out, JournalRecord::file);
  w->u32(f.id);
  w->u32(f.generation);
  w->u32(f.stream);
  w->u8(static_cast<uint8_t>((f.parked ? kParked : 0) | (f.rewound ? kRewound : 0)));
  put_position(*w, f.acked);
  put_position(*w, f.final_);
  w->text16(f.identity);
  w->text16(f.path);
}

void write_notice_record(const Notice& n, std::string& out) {
  JournalRecordWriter w(out, JournalRecord::notice);
  w->u64(n.number);
  w->u32(n.file);
  w->u8(n.gone ? 1 : 0);
  w->u64(n.start);
  w->u64(n.end);
  w->text16(n.reason);
}

void write_lost_record(const StreamRecord& s, std::string& out) {
  JournalRecordWriter w(out, JournalRecord::lost);
  w->u32(s.id);
  w->u64(s.spool);
}

void write_former_record(uint64_t local_id, std::string& out) {
  JournalRecordWriter(out, JournalRecord::former)->u64(local_id);
}

void write_restart_record(StreamId stream, uint64_t seq, const Checkpoint::Further& further,
                          std::string& out) {
  JournalRecordWriter w(out, JournalRecord::restart);
  w->u32(stream);
  w->u64(seq);
  w->u16(static_cast<uint16_t>(further.size()));
  for (const auto& [sink, to] : further) {
    w->text16(sink);
    w->u64(to);
  }
}

void write_ahead_records(StreamId stream, const StreamRecord::Ahead& ahead, std::string& out) {
  auto file = ahead.up_to.begin();
  do {
    JournalRecordWriter w(out, JournalRecord::ahead);
    w->u32(stream);
    w->text16(ahead.sink);
    for (size_t n = 0; n < kMostAheadFiles && file != ahead.up_to.end(); ++n, ++file) {
      w->u32(file->first);
      w->u64(file->second);
    }
  } while (file != ahead.up_to.end());
}

void write_begins_record(StreamId stream, const std::string& sink, uint64_t seq, std::string& out) {
  JournalRecordWriter w(out, JournalRecord::begins);
  w->u32(stream);
  w->text16(sink);
  w->u64(seq);
}

void write_seq_record(JournalRecord type, StreamId stream, uint64_t seq, std::string& out) {
  JournalRecordWriter w(out, type);
  w->u32(stream);
  w->u64(seq);
}

RawJournalRecord read_journal_record(std::string_view in) {
  ByteReader r(in);
  const uint32_t length = r.u32();
  const uint32_t crc = r.u32();
  const uint8_t type = r.u8();
  if (!r.ok() || length > kMaxJournalBody || length > r.remaining() || type == 0 ||
      type > kLastRecord)
    return {};
  in = in.substr(0, kJournalRecordHead + length);
  if (record_crc(in) != crc) return {};
  return {static_cast<JournalRecord>(type), in.substr(kJournalRecordHead), in.size()};
}

bool apply_journal_record(const RawJournalRecord& record, Checkpoint& state) {
  ByteReader r(record.body);
  const auto seq_record = [&](void (Checkpoint::*change)(StreamId, uint64_t)) {
    const StreamId stream = r.u32();
    const uint64_t seq = r.u64();
    if (!r.done() || !state.stream(stream)) return false;
    (state.*change)(stream, seq);
    return true;
  };
  switch (record.type) {
    case JournalRecord::spool: return apply_spool(r, state);
    case JournalRecord::stream: return apply_stream(r, state);
    case JournalRecord::file: return apply_file(r, state);
    case JournalRecord::file_erased: state.erase_file(r.u32()); return r.done();
    case JournalRecord::batch: return apply_batch(r, state);
    case JournalRecord::acked: return seq_record(&Checkpoint::acked);
    case JournalRecord::final_at: return seq_record(&Checkpoint::final_at);
    case JournalRecord::strike: return seq_record(&Checkpoint::strike);
    case JournalRecord::notice: return apply_notice(r, state);
    case JournalRecord::notice_erased: state.notices.erase(r.u64()); return r.done();
    case JournalRecord::durable: r.u64(); return r.done();
    case JournalRecord::former: return apply_former(r, state);
    case JournalRecord::lost: return apply_lost(r, state);
    case JournalRecord::restart: return apply_restart(r, state);
    case JournalRecord::ahead: return apply_ahead(r, state);
    case JournalRecord::begins: return apply_begins(r, state);
  }
  return false;
}

}  // namespace tailrace
