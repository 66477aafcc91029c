// The spool: a Local's one log of everything it took, with an independent cursor for each sink.
// A pure machine: batches and events in; file operations, acks and trims out. It never touches a
// disk: local/spool_disk.h carries the operations out, tests/local enumerates what crashes leave.
// Thread: the road. Format: docs/formats.md, "Spool". Rules: docs/protocol.md, "Local: the spool".
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "flow/batch.h"
#include "local/spool_tables.h"

namespace tailrace {

struct RecoveredSpool;  // local/spool_recovery.h

// One file operation. A group's operations are carried out in order by one worker; the first error
// ends the group (what it means: Spool::group_failed).
struct SpoolOp {
  enum class Kind {
    create,      // make `name` with `bytes` zero bytes, fully allocated; it replaces its namesake
    write,       // pieces [first_piece, + pieces) of the group one after another at `offset`
    sync,        // fdatasync of `name`
    sync_names,  // fsync of the spool's directory
    rename,      // `name` becomes `to`
    remove,      // unlink `name`
  };
  Kind kind{};
  std::string name{};
  std::string to{};
  uint64_t bytes = 0;
  uint64_t offset = 0;
  size_t first_piece = 0;
  size_t pieces = 0;
};

// A group commit: what must reach the disk together. Owns what its pieces point into.
struct SpoolGroup {
  std::vector<SpoolOp> ops;
  std::vector<std::string_view> pieces;  // into `records` and `batches`
  std::string records;                   // encoded headers and bodies
  std::vector<BatchPtr> batches;         // whose heads and payloads are pieces
  uint64_t last_lsn = 0;                 // 0: it makes or removes files and writes no record
};

struct SpoolOptions {
  uint64_t segment_bytes = 64ull << 20;
  uint64_t quota_bytes = 20ull << 30;  // taken as four segments if it is less
  uint32_t category_share_percent = 50;
  uint64_t cache_bytes = 8ull << 20;  // recent batches kept in memory for the uplinks
  uint64_t group_bytes = 1ull << 20;  // pending bytes at which a group is due at once
  int64_t group_wait_ms = 200;        // and the time after which it is due anyway
};

class Spool {
 public:
  // Goes on from what recovery (local/spool_recovery.h) found, or from nothing at all.
  // `start` is this start's random number; it is the first new record written. Nothing may be
  // served before all_durable(): the first groups make safe what recovery found.
  Spool(SpoolOptions options, RecoveredSpool recovered, uint64_t start);
  ~Spool();

  // --- events -------------------------------------------------------------------------------
  enum class Taken {
    appended,
    unexpected,     // stream or a file does not start at its next: answer EXPECT
    category_full,  // its share of the spool: stop reading this category until room() says so
    full,           // the quota, or the disk; or for a moment, while the next segment is being made
    unknown,        // a stream or file that was never defined
    corrupt,        // the payload is not what its head says (crc)
  };
  // `batch` is an APPEND as received; on `appended` its head carries the chains from now on.
  Taken append(std::shared_ptr<Batch> batch, int64_t now_ms);
  // `ahead`: sinks that have all that is taken of it before set_origin(); they have no cursor.
  Result<void> define_stream(const StreamInfo& stream, int64_t now_ms,
                             const std::set<uint64_t>& ahead = {});
  // The same of a stream that is defined. False: lines of it were taken before one was named.
  [[nodiscard]] bool await_origins(StreamId stream, const std::set<uint64_t>& ahead,
                                   int64_t now_ms);
  // A sink that waits has all of the stream below `seq`, and gets the rest. False: no batch ends
  // there.
  [[nodiscard]] bool set_origin(uint64_t sink, StreamId stream, uint64_t seq, int64_t now_ms);
  Result<void> define_file(const FileInfo& file, int64_t now_ms);
  void forget_file(FileId file, int64_t now_ms);
  void file_gap(const FileGapInfo& gap, int64_t now_ms);
  // The sink has committed `stream` up to `to`. false: `to` is above what is here, not at a batch's
  // end, or its chain differs: a break; nothing was changed. Below the cursor: true, no change.
  [[nodiscard]] bool advance_cursor(uint64_t sink, StreamId stream, Position to, int64_t now_ms);
  // The batch that starts at `seq` cannot be read any more (decode_record said corrupt): a gap
  // takes its place, for every sink that has not passed it.
  void give_up(StreamId stream, uint64_t seq, const std::string& reason, int64_t now_ms);
  // A sink that had no cursor yet starts at each stream's oldest kept position.
  void add_sink(uint64_t sink, int64_t now_ms);
  // Each is required unless it is said not to be. Where there is no room, the oldest lines that
  // only the others have not got become a gap for these.
  void set_required(uint64_t sink, bool required);

  // --- group commit ---------------------------------------------------------------------------
  // Milliseconds until a group is due; 0 = now (some groups only make or remove files), -1 =
  // nothing is pending or one is under way. `push`: a sender waits.
  [[nodiscard]] int64_t group_due_ms(bool push, int64_t now_ms) const;
  // Starts a group with all that is pending. One at a time: after done or failed comes the next.
  SpoolGroup begin_group(int64_t now_ms);
  void group_done(int64_t now_ms);
  // Optional: gives the memory of a group that is done back, for the next one.
  void reuse(SpoolGroup group);
  // retry_later (no room for a new segment; such a group makes files and nothing else): batches
  // stay pending, `full` is answered once what is allocated is used up, a group is due again after
  // a second. Anything else: the caller ends the process; no group is ever begun again.
  void group_failed(const Error& error, int64_t now_ms);
  // A last group with SNAPSHOT and CLEAN_SHUTDOWN, when none is under way. Groups without records
  // (last_lsn 0) may come first: call it until one has some.
  SpoolGroup begin_shutdown(int64_t now_ms);

  // --- what others ask --------------------------------------------------------------------------
  [[nodiscard]] uint64_t local_id() const;
  [[nodiscard]] uint64_t start() const;
  [[nodiscard]] uint64_t start_before() const;
  // Streams, files, cursors: taken, durable or not.
  [[nodiscard]] const SpoolTables& tables() const;
  // First line that is not durable yet: what may be acked and sent ends here.
  [[nodiscard]] Position durable(StreamId stream) const;
  [[nodiscard]] bool all_durable() const;
  // The position's chain if a batch of this stream ends (or starts) there and is still known.
  [[nodiscard]] std::optional<uint64_t> chain_at(StreamId stream, uint64_t seq) const;
  // Where the stream stands for a sink: its cursor (or origin); of one that waits for an origin,
  // the stream's next.
  [[nodiscard]] Position cursor(uint64_t sink, StreamId stream) const;
  // Below it the sink gets nothing more of the stream: its cursor, or the end of what was given up
  // for it, which is on the disk.
  [[nodiscard]] Position settled(uint64_t sink, StreamId stream) const;
  // Whether the position lies within what was given up: of most of it nobody knows any more where
  // batches ended, and advance_cursor() believes its caller.
  [[nodiscard]] bool in_given_up(StreamId stream, uint64_t seq) const;
  // By stream: where what was given up ends. Only grows.
  [[nodiscard]] const std::map<StreamId, Position>& given_up() const;
  // Since the start, by sink and category.
  using LinesGivenUp = std::map<std::pair<uint64_t, std::string>, uint64_t>;
  [[nodiscard]] const LinesGivenUp& lines_given_up() const;
  [[nodiscard]] bool required(uint64_t sink) const;
  // The least cursor of the required ones of these sinks; of all of them, if none is required;
  // UINT64_MAX: there is none. `uuid_of` a member of `sinks`.
  template <class Sinks, class UuidOf>
  [[nodiscard]] uint64_t slowest(const Sinks& sinks, UuidOf uuid_of, StreamId stream) const {
    uint64_t must = UINT64_MAX, any = UINT64_MAX;
    for (const auto& sink : sinks) {
      const uint64_t at = cursor(uuid_of(sink), stream).seq;
      any = std::min(any, at);
      if (required(uuid_of(sink))) must = std::min(must, at);
    }
    return must == UINT64_MAX ? any : must;
  }
  // Whether room can be made, once it is wanted, by giving up what only sinks that are not required
  // have not got.
  [[nodiscard]] bool could_give_up() const;
  // (sink, stream) whose cursor is an origin that is not the stream's beginning: nothing was
  // committed there yet, so the sink's store may know of no position.
  [[nodiscard]] const std::set<std::pair<uint64_t, StreamId>>& origins() const;
  // The durable batch that starts at `seq`, in memory or where to read it; or the gap that covers
  // it.
  struct Place {
    BatchPtr batch;       // null: read `bytes` at `offset` of `segment`, then decode_record
    std::string segment;  // a file's name in the spool's directory
    uint64_t offset = 0;
    uint64_t bytes = 0;
    uint64_t end_seq = 0;
    const GapInfo* gap = nullptr;  // not null: no batch, lines are lost. Valid until the next event
  };
  [[nodiscard]] std::optional<Place> find(StreamId stream, uint64_t seq) const;
  // Why nothing more is written for now: a group failed for want of room. Empty: all is well.
  [[nodiscard]] const std::string& trouble() const;
  // A cold record's batch; corrupt if header or payload is not what was written.
  [[nodiscard]] Result<std::shared_ptr<Batch>> decode_record(const Place& place,
                                                             std::string_view bytes) const;

  [[nodiscard]] uint64_t used_bytes() const;
  // False from a batch that was refused on, until such a one would be within the category's share.
  [[nodiscard]] bool category_has_room(const std::string& category) const;
  [[nodiscard]] bool has_room() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
