// The records of a store's control side: what was committed, who owns what, who is there.
// Layouts: docs/formats/records.md. Thread: any; plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "flow/batch.h"
#include "flow/stream.h"
#include "sinks/format/file_format.h"

namespace tailrace {

inline constexpr uint8_t kRecordVersion = 1;
inline constexpr size_t kMaxRecordBytes = 1u << 20;  // of a commit record, and of a claim
// A bit of StreamRange::flags and TableRow::flags: nothing will ever come after this position.
inline constexpr uint8_t kFinal = 1;

// Every record has
//   encode()  its bytes. What it holds must be valid (a check): decode() takes back all that
//   encode() gives. decode()  corrupt, with the reason: not these bytes; rejected: written by a
//   newer version. Both mean
//             stop and alarm, never guess and never skip.

// Where a file is and where it will be; paths relative to the store's root.
struct FileRef {
  std::string stage;
  std::string final_path;
  uint64_t bytes = 0;
  bool operator==(const FileRef&) const = default;
};

struct CommittedFile : FileRef {
  uint64_t xxh3 = 0;  // of the file's bytes
  uint64_t lines = 0;
  uint64_t raw_bytes = 0;  // before compression
  uint32_t hosts = 0;      // how many local_ids
  std::string category;
  Codec codec = Codec::none;
  FileFormat format = FileFormat::lines;
  Bucket bucket = 0;                // one of those that the file's directory stands for
  int64_t least_ms = kUnknownTime;  // of the lines: event time when known, else read time
  int64_t greatest_ms = kUnknownTime;
  bool operator==(const CommittedFile&) const = default;
};

// Lines [first_seq, first_seq + count) of a stream that nobody will ever deliver.
struct GapRange {
  uint64_t first_seq = 0;
  uint64_t count = 0;
  std::string reason;
  bool operator==(const GapRange&) const = default;
};

// Lines [from_seq, to_seq) of a stream; chain_to at to_seq. Empty (from = to) to carry kFinal
// alone. Gaps lie inside, ascending.
struct StreamRange {
  StreamKey key;
  uint64_t from_seq = 0;
  uint64_t to_seq = 0;
  uint64_t chain_to = 0;
  uint8_t flags = 0;
  std::vector<GapRange> gaps;
  bool operator==(const StreamRange&) const = default;
};

struct LaneRanges {
  Lane lane;
  std::vector<StreamRange> ranges;
  bool operator==(const LaneRanges&) const = default;
};

// One entry of a commit log. A fence has neither files nor lanes nor a sidecar.
struct CommitRecord {
  enum class Kind : uint8_t { commit = 1, fence = 2 };

  uint64_t settings_version = 0;
  uint64_t cluster = 0;
  uint64_t sink = 0;
  std::string incarnation;  // whose log this is
  uint64_t entry = 0;
  uint64_t uuid = 0;      // of this record: tells mine from another's under the same name
  uint32_t prev_crc = 0;  // record_crc() of the entry before; 0 for entry 0
  int64_t time_ms = 0;
  Kind kind = Kind::commit;
  std::vector<FileRef> pending;  // of earlier entries, not published yet
  std::vector<CommittedFile> files;
  std::vector<LaneRanges> lanes;
  std::string sidecar;  // path of what an audit wants besides; empty: none
  bool operator==(const CommitRecord&) const = default;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static Result<CommitRecord> decode(std::string_view bytes);
};
// What encode() would give, and what each part adds to it: for filling a record up to
// kMaxRecordBytes.
[[nodiscard]] size_t encoded_size(const CommitRecord& record);
[[nodiscard]] size_t encoded_size(const FileRef& file);
[[nodiscard]] size_t encoded_size(const CommittedFile& file);
[[nodiscard]] size_t encoded_size(const StreamRange& range);
[[nodiscard]] size_t encoded_size(const LaneRanges& lane);

// How far a stream has come in a lane.
struct TableRow {
  StreamKey key;
  uint64_t seq = 0;
  uint64_t chain = 0;
  uint8_t flags = 0;
  bool operator==(const TableRow&) const = default;
};

// Who owns a lane (or, with an empty category and parts 1, a log itself) from an epoch on.
struct LaneClaim {
  enum class Kind : uint8_t { own = 1, none = 2, split = 3, done = 4 };

  Lane lane;
  uint64_t cluster = 0;
  uint64_t sink = 0;
  uint64_t epoch = 0;
  uint64_t uuid = 0;
  Kind kind = Kind::own;
  std::string incarnation;  // who wrote it; for `own`, the owner
  std::string address;      // where the owner is reached; may be empty
  uint64_t claim_entry =
      0;  // first entry of that incarnation's log whose ranges are not in the table
  std::vector<TableRow> table;  // strictly ascending by key
  std::string archive;          // path of a file with rows unmoved for long; empty: none
  bool operator==(const LaneClaim&) const = default;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static Result<LaneClaim> decode(std::string_view bytes);
};
[[nodiscard]] size_t encoded_size(const LaneClaim& claim);

// What the entries [first_entry, last_entry] of a log said, once they are removed.
struct Manifest {
  uint64_t cluster = 0;
  uint64_t sink = 0;
  std::string incarnation;
  uint64_t uuid = 0;
  uint64_t first_entry = 0;
  uint64_t last_entry = 0;
  std::vector<CommittedFile> files;
  std::vector<LaneRanges> lanes;  // ranges of a stream that continue each other are one
  bool operator==(const Manifest&) const = default;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static Result<Manifest> decode(std::string_view bytes);
};

// A Center that lives: live/<incarnation>.
struct Announcement {
  std::string name;
  std::string address;
  uint64_t state_uuid = 0;  // of its state directory, whose lock it holds
  std::string version;      // of the program
  int64_t started_ms = 0;
  bool operator==(const Announcement&) const = default;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static Result<Announcement> decode(std::string_view bytes);
};

// The store's own name, _tailrace.sink, made once.
struct SinkIdentity {
  uint64_t sink = 0;
  uint64_t cluster = 0;
  std::string control;  // path of the control directory: relative to the root, or absolute
  bool operator==(const SinkIdentity&) const = default;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static Result<SinkIdentity> decode(std::string_view bytes);
};

// The checksum at the end of an encoded record (of any kind): what the next entry's prev_crc
// repeats.
[[nodiscard]] uint32_t record_crc(std::string_view encoded);

}  // namespace tailrace
