// The Local's side of the hop to one Center: what is sent of which stream to which sink, what the
// Center's positions mean, when to hold, when to connect again. A pure machine over the spool:
// frames and events in, frames out; no socket, no clock, no disk. Lives on across connections.
// Thread: the road. Rules: docs/protocol.md, "Local to Center".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "flow/outgoing.h"
#include "local/delivery.h"
#include "local/retired_stream.h"
#include "local/spool.h"

namespace tailrace {

struct Frame;

struct UplinkOptions {
  std::string cluster;  // uuid, hex16; empty: whichever the Center's is
  std::string host;
  std::string version;
  size_t window_bytes = 4u << 20;  // queued towards the Center and being read for it
  uint64_t quota_bytes = 20ull << 30;
};

// A batch that is not in memory any more: read place.bytes, Spool::decode_record, then
// Uplink::cold.
struct ColdRead {
  StreamId stream = 0;
  uint64_t seq = 0;
  Spool::Place place;
};

// A batch that the Center has refused so often that it is given up: set aside, Spool::give_up.
struct RefusedBatch {
  StreamId stream = 0;
  uint64_t first_seq = 0;
  std::string category;
  std::string name;  // for its bytes
  std::string why;
};

// What an uplink wants done. The caller keeps one and hands it in again, so that its memory is
// reused.
struct UplinkActions {
  std::vector<Outgoing> frames;
  bool close = false;  // after the frames; then comes disconnected()
  std::vector<ColdRead> reads;
  std::vector<RefusedBatch> quarantines;
  std::vector<SinkPlace> committed;    // for the agent
  std::vector<RetiredStream> retired;  // for the agent
  std::vector<std::string> alarms;     // to be logged, once
  bool holes_changed = false;          // Delivery::holes()
  std::vector<std::string> redirects;  // where other Centers are that own lanes
  std::vector<std::string> centers;    // where all Centers are that live; empty: no news

  void clear();
};

class Uplink {
 public:
  // `delivery` must outlive it.
  Uplink(Delivery& delivery, UplinkOptions options);
  ~Uplink();

  // --- events -------------------------------------------------------------------------------
  void connected(int64_t now_ms);
  // The connection has ended, or could not be made. `random` spreads the next attempt.
  void disconnected(const std::string& why, uint64_t random, int64_t now_ms);
  void frame(Frame& frame, int64_t now_ms);
  // What came is of another version of the protocol; disconnected() follows. It is tried again in a
  // minute.
  void other_version();
  // Sends what may be sent: call after every other event, when a group has become durable and when
  // frames have left. `queued_bytes`: towards the Center.
  void pump(size_t queued_bytes, int64_t now_ms);
  // FLUSH is said to the Center once all that was taken of these streams so far has been sent, on
  // every connection until it is committed.
  void flush(const std::vector<StreamId>& streams);
  // Each ColdRead is answered once, in any order, whatever became of the connection.
  void cold(const ColdRead& read, Result<std::shared_ptr<Batch>> batch);
  // At least once a second.
  void tick(int64_t now_ms);
  // Names those streams once more whose owner nobody knows: every few seconds.
  void ask_again(int64_t now_ms);
  // RETIRE for the streams of spools that are gone: every few seconds.
  void ask_retired(int64_t now_ms);
  // That sink begins in the middle of a stream now: the Center is to be told.
  void begin_at(uint64_t sink);
  // GOODBYE: nothing is lost by it.
  void leave();

  // --- actions ------------------------------------------------------------------------------
  // Replaces `into` by what is to be done since the last call.
  void take(UplinkActions& into);

  // --- what the caller asks -------------------------------------------------------------------
  // Milliseconds until a connection should be tried; -1: none, it is connected or holds for good.
  [[nodiscard]] int64_t connect_due_ms(int64_t now_ms) const;
  // Connected, and of some stream nobody has said that he owns its lane.
  [[nodiscard]] bool lacks_owner() const;
  // Whether its Center owns a lane of ours.
  [[nodiscard]] bool owns_any() const;
  // The name of the Center that has welcomed us on this connection; empty: none.
  [[nodiscard]] std::string center() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
