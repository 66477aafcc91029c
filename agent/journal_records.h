// The journal's records: how each is laid out, and what it does to a checkpoint.
// Thread: any; pure functions. Format: docs/formats.md, "Journal".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/checkpoint.h"
#include "base/bytes.h"

namespace tailrace {

enum class JournalRecord : uint8_t {
  spool = 1,
  stream = 2,
  file = 3,
  file_erased = 4,
  batch = 5,
  acked = 6,
  final_at = 7,
  strike = 8,
  notice = 9,
  notice_erased = 10,
  durable = 11,
  former = 12,
  lost = 13,
  restart = 14,
  ahead = 15,
  begins = 16,
};

inline constexpr uint32_t kJournalMagic = 0x4A524C54;  // "TLRJ"
inline constexpr uint8_t kJournalVersion = 3;
inline constexpr uint8_t kOldestJournalVersion = 1;  // that is read
inline constexpr size_t kJournalHeaderBytes = 8;
inline constexpr size_t kJournalRecordHead = 9;  // length u32, crc32c u32, type u8
inline constexpr uint32_t kMaxJournalBody = 1u << 20;

// One record, appended to a string: its head is filled in when the writer goes.
class JournalRecordWriter {
 public:
  JournalRecordWriter(std::string& out, JournalRecord type);
  ~JournalRecordWriter();
  JournalRecordWriter(const JournalRecordWriter&) = delete;
  JournalRecordWriter& operator=(const JournalRecordWriter&) = delete;

  ByteWriter* operator->() { return &body_; }
  ByteWriter& operator*() { return body_; }

 private:
  std::string& out_;
  size_t start_;
  ByteWriter body_;
};

void write_spool_record(const Checkpoint& state, std::string& out);
void write_stream_record(const StreamRecord& stream, std::string& out);  // without its open batches
void write_file_record(const FileRecord& file, std::string& out);
// Ranges: an iterator over `batch.ranges` SourceRanges.
template <class Ranges>
void write_batch_record(StreamId stream, const StreamRecord::OpenBatch& batch, Bucket bucket,
                        Ranges ranges, std::string& out);
void write_notice_record(const Notice& notice, std::string& out);
void write_lost_record(const StreamRecord& stream, std::string& out);
void write_former_record(uint64_t local_id, std::string& out);
void write_restart_record(StreamId stream, uint64_t seq, const Checkpoint::Further& further,
                          std::string& out);
// One or, of very many files, several.
void write_ahead_records(StreamId stream, const StreamRecord::Ahead& ahead, std::string& out);
void write_begins_record(StreamId stream, const std::string& sink, uint64_t seq, std::string& out);
void write_seq_record(JournalRecord type, StreamId stream, uint64_t seq, std::string& out);

struct RawJournalRecord {
  JournalRecord type{};
  std::string_view body;
  size_t bytes = 0;  // with its head; 0: none that is whole and intact
};
[[nodiscard]] RawJournalRecord read_journal_record(std::string_view in);
// False: the body is not what a record of that type holds, or contradicts the state.
[[nodiscard]] bool apply_journal_record(const RawJournalRecord& record, Checkpoint& state);

template <class Ranges>
void write_batch_record(StreamId stream, const StreamRecord::OpenBatch& batch, Bucket bucket,
                        Ranges ranges, std::string& out) {
  JournalRecordWriter w(out, JournalRecord::batch);
  w->u32(stream);
  w->u64(batch.first_seq);
  w->u32(batch.count);
  w->u32(bucket);
  w->u16(static_cast<uint16_t>(batch.ranges));
  for (uint32_t i = 0; i < batch.ranges; ++i, ++ranges) {
    const SourceRange& s = *ranges;
    w->u32(s.file);
    w->u64(s.start);
    w->u64(s.end);
    w->u32(s.lines);
    w->u32(s.head_hash);
    w->u32(s.tail_hash);
  }
}

}  // namespace tailrace
