// What a hub asks of one session of a Center with one sink, whatever kind of sink it is: files in a
// store (center/incarnation.h) or Kafka (center/kafka_session.h). Thread: the road. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "center/moment.h"
#include "center/record.h"
#include "discovery/presence.h"
#include "flow/stream.h"

namespace tailrace {

// What becomes of a batch or a gap.
enum class Judgement : uint8_t {
  take,
  known,      // committed or received before: nothing to do
  rewind,     // starts too high: say REWIND
  chain,      // the bytes are not those that I know: REJECT(CHAIN)
  retired,    // REJECT(RETIRED)
  too_many,   // streams in its lane: REJECT(CATEGORY)
  not_owned,  // the lane is not mine (yet): dropped, its positions will be told
  later,      // no more of this category now: dropped, REWIND later
};
// Sending it again will not help.
[[nodiscard]] constexpr bool is_refused(Judgement judgement) {
  return judgement == Judgement::chain || judgement == Judgement::retired ||
         judgement == Judgement::too_many;
}

// Where a stream stands in a lane that is owned.
struct StreamRow {
  Position committed;
  Position received;
  uint8_t flags = 0;      // kFinal
  bool retiring = false;  // its mark kFinal is under way

  // Of lines [from, to).
  [[nodiscard]] Judgement judge(uint64_t from, uint64_t to) const {
    if ((flags & kFinal) || retiring) return Judgement::retired;
    if (from > received.seq) return Judgement::rewind;
    return to <= received.seq ? Judgement::known : Judgement::take;
  }
  // Whether these are the bytes that follow.
  [[nodiscard]] bool goes_on(const BatchFields& fields) const {
    return fields.first_seq == received.seq && fields.chain_before == received.chain &&
           fields.chain_after == next_chain(fields.chain_before, fields.payload_crc, fields.count);
  }
};

// --- what a session wants told, of whatever kind it is -------------------------------------------
struct TellCommitted {  // COMMITTED to the Local of that stream
  std::string category;
  StreamKey stream;
  Position position;
};
struct TellLane {  // a lane is owned now: tell each Local where its streams stand
  Lane lane;
};
struct TellReleased {  // I do not know whether a lane is mine: whoever asks elsewhere may find out
  Lane lane;
};
struct TellElsewhere {  // a lane is another Center's: Locals that ask for it go there
  Lane lane;
  std::string address;
};

struct Stopped {};  // stop() was carried out
struct Trouble {    // for the operator, when it begins; trouble() tells whether it lasts
  std::string text;
};

struct IncarnationCounts {
  struct OfCategory {  // lines, but for files
    uint64_t committed = 0;
    uint64_t published = 0;
    uint64_t lost = 0;  // of LostFile
    uint64_t files = 0;
    uint64_t fewest_files = 0;  // that could hold the same: center/fewest_files.h
  };
  std::map<std::string, OfCategory> categories;
  uint64_t lines_committed = 0;
  uint64_t lines_published = 0;
  uint64_t raw_bytes_published = 0;
  uint64_t file_bytes_published = 0;
  uint64_t files_published = 0;

  void add_published(const CommittedFile& file, uint64_t fewest_files_more);
  IncarnationCounts& operator+=(const IncarnationCounts& more);
};

class SinkSession {
 public:
  virtual ~SinkSession() = default;

  virtual void tick(Moment now) = 0;  // each 100 ms or so
  // A Local has (or wants to send) this stream: its lane is wished for. False: its category is one
  // too many.
  virtual bool wish(const std::string& category, const StreamKey& stream, Moment now) = 0;
  // The lane of that stream, and where the Center is that should own it; nullopt: it is this one,
  // or that is not known yet.
  [[nodiscard]] virtual std::optional<TellElsewhere> elsewhere(const std::string& category,
                                                               const StreamKey& stream) const = 0;
  // GAP: the lines are lost, `chain_after` stands behind them. `take`: it is on its way into what
  // is committed next.
  virtual Judgement on_gap(const std::string& category, const StreamKey& stream, GapRange gap,
                           uint64_t chain_after, Moment now) = 0;
  // The stream starts here for this sink, if nothing is known of it yet and its lane is owned.
  virtual void begin_at(const std::string& category, const StreamKey& stream,
                        const Position& origin) = 0;
  // FLUSH of a Local: commit what is held of it. A Local that has gone: its lines can't be sent
  // again.
  virtual void flush(uint64_t local_id) = 0;
  // RETIRE: the stream's Local will never come back. Nothing more of it is taken, and what is held
  // of it is committed with the mark kFinal. Where it ends for ever, once that is committed;
  // nullopt: not yet, or its lane is not owned: ask again.
  [[nodiscard]] virtual std::optional<Position> retire(const std::string& category,
                                                       const StreamKey& stream, Moment now) = 0;
  // A Local says that a sink knew more of this stream, or standing() is doubted. That this session
  // is not over is proved; then TellCommitted says where the stream stands.
  virtual void doubt(const std::string& category, const StreamKey& stream) = 0;
  virtual void connected(uint64_t local_id, bool is_connected) = 0;
  // Who is there, as ZooKeeper says, if there is one.
  virtual void presence(const Presence& presence, Moment now) = 0;
  // STOP. `everything`: also what is small and could be sent again.
  virtual void stop(bool everything) = 0;

  struct Standing {
    Position committed;
    Position received;
    // Not to be told before doubt() has had it proved: this session may be over, and not know it.
    bool doubted = false;
    bool proving = false;  // doubt() was called, the proof is under way
  };
  // Where a stream stands here; nullopt if its lane is not owned.
  [[nodiscard]] virtual std::optional<Standing> standing(const std::string& category,
                                                         const StreamKey& stream) const = 0;
  // Whether credit may be given: the lane is owned and the category is not held up.
  [[nodiscard]] virtual bool takes(const std::string& category, const StreamKey& stream) const = 0;
  // Its name: of which session a Local is told.
  [[nodiscard]] virtual const std::string& name() const = 0;
  // Where Locals reach the Centers that live, this one too, for PONG; empty: not known yet.
  [[nodiscard]] virtual const std::vector<std::string>& addresses() const = 0;
  [[nodiscard]] virtual const IncarnationCounts& counts() const = 0;
  [[nodiscard]] virtual size_t lanes() const = 0;
  struct Waiting {
    uint64_t uncommitted = 0;  // lines received, which their Locals keep until they are committed
    uint64_t unpublished = 0;  // lines committed, not yet in readers' sight
    uint64_t open_files = 0;
    uint64_t lanes = 0;
  };
  [[nodiscard]] virtual std::map<std::string, Waiting> waiting() const = 0;  // by category
  [[nodiscard]] virtual size_t open_files() const = 0;
  [[nodiscard]] virtual size_t pending_files() const = 0;
  [[nodiscard]] virtual int64_t oldest_open_ms() const = 0;  // mono, of what is held; INT64_MAX
  // One of the troubles that last; empty: none.
  [[nodiscard]] virtual std::string trouble() const = 0;
};

}  // namespace tailrace
