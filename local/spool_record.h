// The spool's bytes: names, segment header, record header and the bodies of control records.
// Thread: any; pure functions. docs/formats/spool.md is the same, byte by byte.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "local/spool_tables.h"

namespace tailrace {

inline constexpr uint8_t kSpoolVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 29;

enum class RecordType : uint8_t {
  snapshot = 1,
  start = 2,
  stream_def = 3,
  file_def = 4,
  file_gone = 5,
  batch = 6,
  cursor = 7,
  gap = 8,
  file_gap = 9,
  watermark = 10,  // layout fixed, not written yet
  retire = 11,     // layout fixed, not written yet
  clean_shutdown = 12,
  origin = 13,
};
[[nodiscard]] bool known_record_type(uint8_t type);

// --- names in the spool's directory

// Short enough to live inside a std::string without an allocation.
enum class SpoolName {
  segment,  // <era>.seg: in use; its header and records carry this era
  fresh,    // <era>.new: a segment that a start has not finished; of no use to the next one
  spare,    // <number>.free: allocated, of no content
  other,    // nothing of the spool's
};
[[nodiscard]] std::string spool_name(SpoolName kind, uint64_t number);
[[nodiscard]] std::pair<SpoolName, uint64_t> parse_spool_name(std::string_view name);

// --- segment header ---------------------------------------------------------------------------
struct SegmentHeader {
  uint64_t era = 0;
  uint64_t local_id = 0;
  uint64_t first_lsn = 0;    // of its first record
  uint64_t durable_lsn = 0;  // all up to here was synced when the segment got its name, or before
};
void encode_segment_header(const SegmentHeader& header, std::string& out);
// corrupt: no header, or a damaged one. rejected: written by another version; the text says so.
[[nodiscard]] Result<SegmentHeader> decode_segment_header(std::string_view bytes);

// --- records ----------------------------------------------------------------------------------
struct RecordHeader {
  uint32_t body_len = 0;
  uint32_t payload_len = 0;
  uint32_t crc = 0;
  RecordType type{};
  uint64_t lsn = 0;
  uint64_t durable_lsn = 0;  // what was known to be synced when the record was written

  [[nodiscard]] uint64_t bytes() const {
    return kRecordHeaderBytes + uint64_t{body_len} + payload_len;
  }
};
// Where the crc of a segment's records starts: it makes records of an earlier life of the file, and
// of other spools, invalid here.
[[nodiscard]] uint32_t record_seed(uint64_t era, uint64_t local_id);
// Over the header but its crc field, then `body`; the payload has a crc of its own in the body.
[[nodiscard]] uint32_t record_crc(const RecordHeader& header, std::string_view body, uint32_t seed);
// Appends 29 bytes.
void encode_record_header(const RecordHeader& header, std::string& out);
// Overwrites those at `offset`.
void patch_record_header(const RecordHeader& header, std::string& in, size_t offset);
// `bytes` are 29 at least. Nothing is checked.
[[nodiscard]] RecordHeader decode_record_header(std::string_view bytes);

// --- bodies: each appends one -----------------------------------------------------------------
struct CursorInfo {
  uint64_t sink = 0;
  StreamId stream = 0;
  Position at;
};
void encode_snapshot(const SpoolTables& tables, std::string& out);
void encode_start(uint64_t start, std::string& out);
// `ahead`: sinks that wait to be told where it begins for them.
void encode_stream_def(const StreamInfo& stream, const std::set<uint64_t>& ahead, std::string& out);
void encode_file_def(const FileInfo& file, std::string& out);
void encode_file_gone(FileId file, std::string& out);
void encode_cursor(const CursorInfo& cursor, std::string& out);
void encode_gap(const GapInfo& gap, std::string& out);
void encode_file_gap(const FileGapInfo& gap, std::string& out);
void encode_watermark(StreamId stream, Bucket bucket, std::string& out);
void encode_retire(uint64_t local_id, std::string& out);

// And back; nothing if the body is not one. Bytes behind the last field are of a later version and
// are passed over.
[[nodiscard]] std::optional<SpoolTables> decode_snapshot(std::string_view body);
[[nodiscard]] std::optional<uint64_t> decode_start(std::string_view body);
struct StreamDefined {
  StreamInfo stream;
  std::set<uint64_t> ahead;
};
[[nodiscard]] std::optional<StreamDefined> decode_stream_def(std::string_view body);
[[nodiscard]] std::optional<FileInfo> decode_file_def(std::string_view body);
[[nodiscard]] std::optional<FileId> decode_file_gone(std::string_view body);
[[nodiscard]] std::optional<CursorInfo> decode_cursor(std::string_view body);
[[nodiscard]] std::optional<GapInfo> decode_gap(std::string_view body);
[[nodiscard]] std::optional<FileGapInfo> decode_file_gap(std::string_view body);

}  // namespace tailrace
