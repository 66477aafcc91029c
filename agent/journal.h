// The agent's checkpoint journal: a Checkpoint, and the records that changed it.
// A pure machine: each change is applied to the state and encoded; agent/journal_file.h carries the
// bytes to the disk. Thread: the road. Format: docs/formats.md, "Journal".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/checkpoint.h"
#include "base/result.h"

namespace tailrace {

class Journal {
 public:
  [[nodiscard]] const Checkpoint& state() const { return state_; }

  // --- changes: each applies to the state and appends a record to unwritten() -------------------
  // A spool is ours from now on. What is not final of another one before is lost with it.
  void set_spool(uint64_t local_id);
  // As Checkpoint::restart, which must be possible.
  void restart(StreamId stream, uint64_t seq, const Checkpoint::Further& further = {});
  void begin_sink(StreamId stream, const std::string& sink, uint64_t seq);
  StreamId add_stream(const std::string& category, uint8_t sub,
                      StreamId id = 0);   // 0: the next free
  void put_file(const FileRecord& file);  // new, or replaces all that is stored of it
  void erase_file(FileId file);
  // A batch at the stream's next; before it is sent.
  void add_batch(StreamId stream, uint32_t count, Bucket bucket,
                 const std::vector<SourceRange>& ranges);
  // The Local has all below `seq`, which is a batch's end: its ranges become the files' acked
  // positions.
  void acked(StreamId stream, uint64_t seq);
  void final_at(StreamId stream, uint64_t seq);
  // The Local's next is `seq`: batches at or above it never were.
  void strike(StreamId stream, uint64_t seq);
  uint64_t add_notice(Notice notice);  // returns its number
  void erase_notice(uint64_t number);
  // Not stored: whether the Local knows the file on this connection.
  void set_told(FileId file, bool told);
  void forget_told();

  // --- bytes

  // Records that nobody has written yet; whoever does clears it.
  [[nodiscard]] std::string& unwritten() { return unwritten_; }
  // Replaces `out` by the whole state as a file: header, records, and the mark that these are
  // durable (true once the file was synced and took its name).
  void encode_all(std::string& out) const;
  // The first `durable` bytes of the file are on the disk: recorded, so that a later reader can
  // tell a torn end from damage.
  void mark_durable(uint64_t durable);
  struct Replay {
    uint64_t good = 0;    // bytes that hold; what follows is a torn end
    uint64_t torn = 0;    // bytes of that end
    uint8_t version = 0;  // of the file: an older one takes no records of this one
  };
  // Rebuilds the state. corrupt: damaged before a place that was durable; rejected: another
  // version.
  [[nodiscard]] Result<Replay> replay(std::string_view file);

 private:
  Checkpoint state_;
  std::string unwritten_;
};

}  // namespace tailrace
