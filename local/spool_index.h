// Which batch of a stream lies where: one small entry for each batch that the spool holds, in
// order. Thread: the road; plain values. docs/decisions/0008 says why all of it is in memory.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "flow/batch.h"

namespace tailrace {

struct SpoolRange {
  uint64_t first_seq = 0;
  uint64_t end_seq = 0;
  uint64_t chain_before = 0;
  uint64_t chain_after = 0;
  uint64_t era = 0;  // of its segment; 0: a gap, nothing is held of it
  uint64_t offset = 0;
  uint64_t bytes = 0;  // of the record
  BatchPtr batch;      // while it is cached

  [[nodiscard]] bool gap() const { return era == 0; }
};

class SpoolIndex {
 public:
  using Ranges = std::deque<SpoolRange>;

  // Behind all that the stream has.
  void add(StreamId stream, SpoolRange range);
  // The range that starts at `seq`, or the gap that `seq` lies in; null: none.
  [[nodiscard]] SpoolRange* find(StreamId stream, uint64_t seq);
  [[nodiscard]] const SpoolRange* find(StreamId stream, uint64_t seq) const;
  // The chain where a range starts or ends.
  [[nodiscard]] std::optional<uint64_t> chain_at(StreamId stream, uint64_t seq) const;
  // Where the first range starts; nothing if there is none.
  [[nodiscard]] std::optional<Position> oldest(StreamId stream) const;
  // Of the ranges from where `from` lies up to `end` becomes one gap; where that begins.
  Position bury(StreamId stream, uint64_t from, uint64_t end);
  // Forgets the ranges that end at or below `seq`.
  void drop_below(StreamId stream, uint64_t seq);
  [[nodiscard]] std::map<StreamId, Ranges>& streams() { return streams_; }
  [[nodiscard]] const std::map<StreamId, Ranges>& streams() const { return streams_; }

  // Keeps the batch of the range that starts at `seq` in memory; the oldest ones are let go until
  // all take `most_bytes` at the most.
  void cache(StreamId stream, uint64_t seq, BatchPtr batch, uint64_t most_bytes);
  [[nodiscard]] uint64_t cached_bytes() const { return cached_bytes_; }

 private:
  struct Cached {
    StreamId stream;
    uint64_t seq;
    uint64_t bytes;
  };
  std::map<StreamId, Ranges> streams_;
  std::deque<Cached> cached_;  // oldest first; the range may be gone
  uint64_t cached_bytes_ = 0;
};

}  // namespace tailrace
