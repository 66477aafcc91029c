// The tables that a spool's SNAPSHOT holds and its records change.
// Thread: the road; plain values.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "flow/batch.h"
#include "flow/stream.h"

namespace tailrace {

struct StreamInfo {
  StreamId stream = 0;
  std::string category;
  uint8_t sub = 0;
  Position next;    // taken so far
  Position oldest;  // first that the spool still holds
  bool operator==(const StreamInfo&) const = default;
};

struct FileInfo {
  FileId file = 0;
  std::string identity;  // serialised proto::FileIdentity, opaque here
  std::string path;
  uint32_t generation = 0;
  uint64_t next = 0;
  uint32_t head_hash = 0;
  uint32_t tail_hash = 0;  // head and tail 0 behind a gap: unknown
  bool operator==(const FileInfo&) const = default;
};

struct FileGapInfo {
  FileId file = 0;
  uint64_t start = 0;
  uint64_t end = UINT64_MAX;  // UINT64_MAX: unknown
  std::string reason;
};

// Lines [first_seq, first_seq + count) of a stream that the spool had taken and lost.
struct GapInfo {
  StreamId stream = 0;
  uint64_t first_seq = 0;
  uint64_t count = 0;
  uint64_t chain_after = 0;
  std::string reason;
  std::vector<uint64_t> sinks;  // for whom; empty: every sink that has not passed it
  [[nodiscard]] uint64_t end_seq() const { return first_seq + count; }
  std::vector<Position> ends{};  // if given up: where the first batches in it ended
  // To make room: only sinks that are not required had not got them.
  [[nodiscard]] bool given_up() const { return reason == kGivenUp; }
  static constexpr const char* kGivenUp = "spool full";
  bool operator==(const GapInfo&) const = default;
};

struct SpoolTables {
  uint64_t local_id = 0;
  uint64_t start = 0;  // the newest START's number, and the one before
  uint64_t start_before = 0;
  std::map<StreamId, StreamInfo> streams;
  std::map<FileId, FileInfo> files;
  std::map<std::pair<uint64_t, StreamId>, Position> cursors;  // (sink uuid, stream)
  std::map<std::pair<StreamId, uint64_t>, GapInfo> gaps;      // (stream, first_seq)
  // (sink, stream): it has all that was taken so far; where it begins will be said. No cursor.
  std::set<std::pair<uint64_t, StreamId>> waits;
  // Whose cursor is where it was said to begin: nothing was committed there yet.
  std::set<std::pair<uint64_t, StreamId>> origins;
  bool operator==(const SpoolTables&) const = default;
};

// What a batch and a gap do to the files that they name; the same code takes and replays them.
void apply_sources(const BatchHead& head, SpoolTables& tables);
void apply_file_gap(const FileGapInfo& gap, SpoolTables& tables);

// The sinks that have cursors, or will.
[[nodiscard]] std::set<uint64_t> sinks_of(const SpoolTables& tables);
// Whether any Center has named the sinks since the stream is there, which it does of all at once:
// before that only those may have a cursor that an origin was said for.
[[nodiscard]] bool sinks_known(const SpoolTables& tables, StreamId stream);
// As if nobody had ever heard of it.
void erase_sink(SpoolTables& tables, uint64_t sink);
// The gap that `seq` lies in; null: none.
[[nodiscard]] const GapInfo* gap_at(const SpoolTables& tables, StreamId stream, uint64_t seq);
// The gap stands for those that lie in it, too; what was given up continues what was before.
void put_gap(SpoolTables& tables, GapInfo gap);
// Forgets the stream's gaps below what is kept of it.
void drop_old_gaps(SpoolTables& tables, const StreamInfo& stream);

}  // namespace tailrace
