// What the agent remembers across restarts: its spool's id, its files and streams, and which bytes
// are in batches that are not final yet. Changed by the journal alone (agent/journal.h), which
// records each change. Thread: the road; plain values.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/file_position.h"
#include "flow/batch.h"
#include "flow/stream.h"

namespace tailrace {

// One generation of one file.
struct FileRecord {
  FileId id = 0;
  std::string identity;  // serialised proto::FileIdentity
  std::string path;      // as last seen
  uint32_t generation = 0;
  StreamId stream = 0;    // whose lines it gave
  FilePosition acked{};   // all before it is durable at the Local
  FilePosition final_{};  // all before it is committed at every required sink
  bool parked = false;    // out of the globs, read to its end, and nobody wrote to it any more
  bool rewound = false;   // its spool was lost: what follows `acked` is read again, wherever it is
  bool told = false;      // not stored: the Local has its FILE_DEF on this connection
};

struct StreamRecord {
  StreamId id = 0;
  std::string category;
  uint8_t sub = 0;
  // Whose numbers these are. Another's than Checkpoint::local_id: the stream is lost with that
  // spool, and not all of it is known to be final.
  uint64_t spool = 0;
  Bucket bucket = 0;       // of the newest batch: none after it may have a lesser one
  uint64_t next_seq = 0;   // of the next batch
  uint64_t acked_seq = 0;  // all below is durable at the Local
  uint64_t final_seq = 0;  // all below is committed at every required sink
  // Batches that are not final yet, oldest first, and their source ranges one after another.
  struct OpenBatch {
    uint64_t first_seq = 0;
    uint32_t count = 0;
    uint32_t ranges = 0;
    [[nodiscard]] uint64_t end_seq() const { return first_seq + count; }
  };
  std::deque<OpenBatch> open;
  std::deque<SourceRange> ranges;
  size_t acked_open = 0;    // the first so many of `open` are acked
  size_t acked_ranges = 0;  // and of `ranges`
  // A sink that had got further than others when a spool was lost: of what is read again for these
  // it has all bytes of each file below the one named; of files that are not named, none.
  struct Ahead {
    std::string sink;
    std::map<FileId, uint64_t> up_to;
  };
  std::vector<Ahead> ahead;                // that have not been reached yet, nearest first
  std::map<std::string, uint64_t> begins;  // by sink: that were: it has all below that line
  [[nodiscard]] bool all_final() const { return open.empty() && final_seq >= next_seq; }
};

// FILE_GAP or FILE_GONE, kept until an ACK proves that the Local has it.
struct Notice {
  uint64_t number = 0;  // in the order of their making
  FileId file = 0;
  bool gone = false;          // else a gap
  uint64_t start = 0;         // of the gap; or how far a file that is gone was read
  uint64_t end = UINT64_MAX;  // of the gap; UINT64_MAX: unknown
  std::string reason;
};

struct Checkpoint {
  uint64_t local_id = 0;
  FileId next_file = 1;
  uint64_t next_notice = 1;
  std::map<StreamId, StreamRecord> streams;
  std::unordered_map<FileId, FileRecord> files;
  std::unordered_map<std::string, FileId> by_identity;  // the newest generation
  std::map<uint64_t, Notice> notices;
  std::set<uint64_t> former;  // spools that were left, and must never be used again

  // Another spool than before: streams start over at line 0, but for those that are lost with the
  // old one.
  void set_spool(uint64_t id);
  // Of a lost stream all below `seq` is final. What follows is to be read again: the stream starts
  // over in the present spool, its files go back. `further`: sinks, and below which line they have
  // all; above `seq`.
  using Further = std::map<std::string, uint64_t>;
  void restart(StreamId stream, uint64_t seq, const Further& further = {});
  // Empty, or why that cannot be done exactly.
  [[nodiscard]] std::string cannot_restart(const StreamRecord& stream, uint64_t seq,
                                           const Further& further = {}) const;
  // The sink is ahead no more: it has all below that line.
  void begin_sink(StreamId stream, const std::string& sink, uint64_t seq);
  void put_file(FileRecord file);
  void erase_file(FileId id);
  // False: unknown stream, or not at its next.
  bool add_batch(StreamId stream, const StreamRecord::OpenBatch& batch, Bucket bucket,
                 const std::vector<SourceRange>& ranges);
  // The following ignore unknown streams and do nothing twice.
  void acked(StreamId stream, uint64_t seq);
  void final_at(StreamId stream, uint64_t seq);
  void strike(StreamId stream, uint64_t seq);

  [[nodiscard]] const FileRecord* file(FileId id) const;
  [[nodiscard]] const FileRecord* file_of(const std::string& identity) const;
  [[nodiscard]] const StreamRecord* stream(StreamId id) const;
  [[nodiscard]] const StreamRecord* stream_of(const std::string& category) const;
  [[nodiscard]] bool lost(const StreamRecord& s) const { return s.spool != local_id; }
  [[nodiscard]] const StreamRecord* lost_stream(uint64_t spool, const std::string& category,
                                                uint8_t sub) const;
  [[nodiscard]] bool all_final() const;
};

}  // namespace tailrace
