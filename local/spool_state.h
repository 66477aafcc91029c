// What a Spool holds: its tables, its index and the log below, and what the disk does not have yet.
// Private to spool.cc and spool_state.cc. Thread: the road.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "local/spool.h"
#include "local/spool_index.h"
#include "local/spool_log.h"

namespace tailrace {

struct Spool::State {
  State(SpoolOptions options, RecoveredSpool recovered, uint64_t start);

  // --- records ---
  template <class Encode>
  SpoolLog::Place write(RecordType type, Encode encode) {
    body.clear();
    encode(body);
    const SpoolLog::Place at = log.append(type, body);
    log_bytes += at.bytes;
    return at;
  }
  void write_batch(const StreamInfo& info, Position before, std::shared_ptr<Batch> batch);
  void write_cursors();
  void write_snapshot();
  [[nodiscard]] bool snapshot_due() const;
  [[nodiscard]] bool snapshot_makes_room() const;

  // --- tables ---
  // Whether each source range starts where its file's last one ended.
  [[nodiscard]] bool continues_files(const BatchHead& head);
  void set_cursor(uint64_t sink, StreamId stream, Position at);
  void wait_for_origin(uint64_t sink, StreamId stream);
  // Every sink gets a cursor for every stream. True: some are to be written.
  bool complete_cursors();
  [[nodiscard]] bool category_has_room(const std::string& category, uint64_t bytes) const;
  [[nodiscard]] bool anything_pending() const {
    return log.pending() || !dirty.empty() || snapshot_makes_room() || to_give_up() != nullptr;
  }
  void changed(int64_t now_ms);

  // --- groups ---
  SpoolGroup begin(int64_t now_ms);
  void became_durable();
  void trim();
  enum class Whom { all, required };
  [[nodiscard]] bool passed_by(Whom whom, const SpoolSegment& segment) const;
  [[nodiscard]] bool passed(uint64_t sink, StreamId stream, uint64_t end) const;
  void release(const SpoolSegment& segment);
  void forget_passed(StreamInfo& info, uint64_t end);

  // --- what is given up (spool_giving_up.cc) ---
  [[nodiscard]] bool is_full(const std::string& category) const;
  [[nodiscard]] bool wants_room() const;
  [[nodiscard]] bool makes_room(const SpoolSegment& segment) const;
  [[nodiscard]] bool can_give_up(const SpoolSegment& segment) const;
  [[nodiscard]] bool only_others_want(const SpoolSegment& segment) const;
  [[nodiscard]] bool could_give_up() const;
  // The oldest segment that only sinks which are not required still want; null: none, or no room is
  // wanted, or some is being made.
  [[nodiscard]] const SpoolSegment* to_give_up() const;
  void give_up_oldest();
  void give_up_to(const StreamInfo& info, uint64_t end);
  std::vector<Position> ends_within(StreamId stream, uint64_t from, uint64_t end);
  void keep_origins(StreamId stream);
  void recall_given_up();

  using CursorKey = std::pair<uint64_t, StreamId>;

  SpoolOptions options;
  SpoolTables tables;
  SpoolIndex index;
  SpoolLog log;
  std::set<uint64_t> sinks;
  std::set<uint64_t> optional;  // those that are not required
  // Else a record that was lost may have held a sink's cursors: nothing goes before a Center has
  // named its sinks.
  bool sinks_named = true;
  std::map<std::string, uint64_t, std::less<>> category_bytes;  // of batches held
  std::map<std::string, uint64_t> category_refused;  // of the batch that was one too many, last
  std::string body;                                  // scratch
  std::vector<std::pair<FileId, uint64_t>> nexts;    // scratch
  uint64_t refused_bytes = 0;  // of the last batch for which there was no room
  int64_t pending_since_ms = 0;
  bool changed_since_group = false;
  bool shut_down = false;

  // The first group makes safe what recovery found; nothing may be asked of the spool before.
  bool served = false;
  std::vector<uint64_t> superseded;
  bool waits_hurt = false;  // of a damaged spool nobody knows what those that wait have

  // --- what is on the disk, what is in the group under way, what is pending ---
  bool writing = false;
  std::map<StreamId, Position> durable;
  std::map<StreamId, Position> durable_soon;
  std::map<CursorKey, Position> durable_cursors;
  std::vector<std::pair<CursorKey, Position>> cursors_soon;
  std::vector<std::pair<CursorKey, Position>> cursors_pending;  // written to the log, no group yet
  // Where what was given up of a stream ends.
  std::map<StreamId, Position> given_up;
  std::map<StreamId, Position> given_up_soon;
  std::map<StreamId, Position> given_up_pending;
  LinesGivenUp lines_given_up;
  std::set<CursorKey> origins;  // those in the middle of a stream, until something is committed;
                                // on the disk are those of the tables
  std::set<CursorKey> dirty;    // not even that

  // Of the newest SNAPSHOT. It is written only when a group begins, and trim() runs only when a
  // group is done: it is durable then.
  uint64_t snapshot_era = 0;
  uint64_t snapshot_bytes = 0;  // its size
  uint64_t log_bytes = 0;       // records since the newest SNAPSHOT
};

}  // namespace tailrace
