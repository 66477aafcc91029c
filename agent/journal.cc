#include "agent/journal.h"

#include <algorithm>

#include "agent/journal_records.h"
#include "base/check.h"

namespace tailrace {

void Journal::set_spool(uint64_t local_id) {
  state_.set_spool(local_id);
  write_spool_record(state_, unwritten_);
}

void Journal::restart(StreamId stream, uint64_t seq, const Checkpoint::Further& further) {
  write_restart_record(stream, seq, further, unwritten_);
  state_.restart(stream, seq, further);
}

void Journal::begin_sink(StreamId stream, const std::string& sink, uint64_t seq) {
  write_begins_record(stream, sink, seq, unwritten_);
  state_.begin_sink(stream, sink, seq);
}

StreamId Journal::add_stream(const std::string& category, uint8_t sub, StreamId id) {
  if (id == 0) id = state_.streams.empty() ? 1 : state_.streams.rbegin()->first + 1;
  TAILRACE_CHECK(!state_.stream(id), "a stream is added twice");
  StreamRecord& s = state_.streams[id];
  s.id = id;
  s.category = category;
  s.sub = sub;
  s.spool = state_.local_id;
  write_stream_record(s, unwritten_);
  return id;
}

void Journal::put_file(const FileRecord& file) {
  write_file_record(file, unwritten_);
  state_.put_file(file);
}

void Journal::erase_file(FileId file) {
  JournalRecordWriter(unwritten_, JournalRecord::file_erased)->u32(file);
  state_.erase_file(file);
}

void Journal::add_batch(StreamId stream, uint32_t count, Bucket bucket,
                        const std::vector<SourceRange>& ranges) {
  const StreamRecord* s = state_.stream(stream);
  TAILRACE_CHECK(s, "a batch of an unknown stream");
  const StreamRecord::OpenBatch batch{s->next_seq, count, static_cast<uint32_t>(ranges.size())};
  write_batch_record(stream, batch, bucket, ranges.begin(), unwritten_);
  state_.add_batch(stream, batch, bucket, ranges);
}

void Journal::acked(StreamId stream, uint64_t seq) {
  write_seq_record(JournalRecord::acked, stream, seq, unwritten_);
  state_.acked(stream, seq);
}

void Journal::final_at(StreamId stream, uint64_t seq) {
  write_seq_record(JournalRecord::final_at, stream, seq, unwritten_);
  state_.final_at(stream, seq);
}

void Journal::strike(StreamId stream, uint64_t seq) {
  write_seq_record(JournalRecord::strike, stream, seq, unwritten_);
  state_.strike(stream, seq);
}

uint64_t Journal::add_notice(Notice notice) {
  notice.number = state_.next_notice++;
  write_notice_record(notice, unwritten_);
  const uint64_t number = notice.number;
  state_.notices[number] = std::move(notice);
  return number;
}

void Journal::erase_notice(uint64_t number) {
  JournalRecordWriter(unwritten_, JournalRecord::notice_erased)->u64(number);
  state_.notices.erase(number);
}

void Journal::set_told(FileId file, bool told) {
  const auto it = state_.files.find(file);
  if (it != state_.files.end()) it->second.told = told;
}

void Journal::forget_told() {
  for (auto& [id, f] : state_.files) f.told = false;
}

void Journal::mark_durable(uint64_t durable) {
  JournalRecordWriter(unwritten_, JournalRecord::durable)->u64(durable);
}

void Journal::encode_all(std::string& out) const {
  out.clear();
  ByteWriter head(out);
  head.u32(kJournalMagic);
  head.u8(kJournalVersion);
  head.u8(0);
  head.u16(0);
  write_spool_record(state_, out);
  for (const uint64_t former : state_.former) write_former_record(former, out);
  for (const auto& [id, s] : state_.streams) {
    write_stream_record(s, out);
    if (state_.lost(s)) write_lost_record(s, out);
    for (const StreamRecord::Ahead& ahead : s.ahead) write_ahead_records(id, ahead, out);
    for (const auto& [sink, seq] : s.begins) write_begins_record(id, sink, seq, out);
  }
  // In order, so that equal states give equal files.
  std::vector<const FileRecord*> files;
  files.reserve(state_.files.size());
  for (const auto& [id, f] : state_.files) files.push_back(&f);
  std::sort(files.begin(), files.end(), [](auto* a, auto* b) { return a->id < b->id; });
  for (const FileRecord* f : files) write_file_record(*f, out);
  for (const auto& [id, s] : state_.streams) {
    auto range = s.ranges.begin();
    uint64_t next = s.open.empty() ? 0 : s.open.front().first_seq;
    for (const StreamRecord::OpenBatch& b : s.open) {
      // Lines between that a torn journal had forgotten, and the Local had.
      if (b.first_seq != next) write_seq_record(JournalRecord::acked, id, b.first_seq, out);
      next = b.end_seq();
      write_batch_record(id, b, s.bucket, range, out);
      range += b.ranges;
    }
    if (s.acked_open > 0) write_seq_record(JournalRecord::acked, id, s.acked_seq, out);
  }
  for (const auto& [number, n] : state_.notices) write_notice_record(n, out);
  const uint64_t all = out.size();
  JournalRecordWriter(out, JournalRecord::durable)->u64(all);
}

Result<Journal::Replay> Journal::replay(std::string_view file) {
  *this = Journal();
  const auto corrupt = [](uint64_t at, const char* what) {
    return Error{Error::Kind::corrupt, "byte " + std::to_string(at) + ": " + what};
  };
  if (file.size() < kJournalHeaderBytes) return Replay{0, file.size()};
  ByteReader head(file);
  if (head.u32() != kJournalMagic) return corrupt(0, "this is not an agent's journal");
  const uint8_t version = head.u8();
  if (version < kOldestJournalVersion || version > kJournalVersion)
    return Error{Error::Kind::rejected, "the journal has version " + std::to_string(version) +
                                            ", this program reads versions 1 to 3"};
  uint64_t at = kJournalHeaderBytes;
  while (at < file.size()) {
    const RawJournalRecord r = read_journal_record(file.substr(at));
    if (r.bytes == 0) break;
    if (!apply_journal_record(r, state_))
      return corrupt(at, "an intact record that makes no sense");
    at += r.bytes;
  }
  // What follows a bad record was never durable, unless a later record knows that it was.
  for (uint64_t later = at + 1; later + kJournalRecordHead <= file.size(); ++later) {
    if (static_cast<uint8_t>(file[later + 8]) != static_cast<uint8_t>(JournalRecord::durable))
      continue;
    const RawJournalRecord r = read_journal_record(file.substr(later));
    if (r.bytes != 0 && ByteReader(r.body).u64() > at)
      return corrupt(at, "a record is damaged although it was once safely written");
  }
  return Replay{at, file.size() - at, version};
}

}  // namespace tailrace
