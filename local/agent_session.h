// The Local's side of the agent's hop: tells the agent what the spool has, takes its batches, acks
// what is durable. A pure machine over the spool: frames and events in, frames out; no socket, no
// clock. Thread: the road; one for each connection. Rules: docs/protocol.md, "Agent to Local".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/pool.h"
#include "flow/outgoing.h"
#include "local/retired_stream.h"
#include "local/spool.h"

namespace tailrace {

struct Frame;

inline constexpr int64_t kPingMs = 5'000;
inline constexpr int64_t kDeadMs = 15'000;
inline constexpr size_t kMostCategories = 256;  // of one Local
inline constexpr size_t kMostStreams = 4096;

// What a session wants done. The caller keeps one and hands it in again, so that its memory is
// reused.
struct AgentActions {
  std::vector<Outgoing> frames;
  bool close = false;  // after the frames
  bool flush = false;  // pass FLUSH on, for `flush_streams` up to what was taken of them
  std::vector<StreamId> flush_streams;
  bool set_aside = false;  // this spool must never be used again: another one takes its place
  std::vector<RetiredStream> retires;  // Uplinks::retire; no finals yet
  std::vector<SinkPlace> origins;      // Uplinks::begin_at
  std::vector<std::string> alarms;     // to be logged, once
  struct NotRead {
    std::string category;
    std::string trouble;  // of the spool; empty: it is full
  };
  std::vector<NotRead> not_read;      // its files, for a while: to be logged, once
  std::vector<std::string> refusals;  // to be logged once in a while

  void clear();
};

class AgentSession {
 public:
  // Spool and pool must outlive the session.
  // `replaces`: spools that a person has set aside for this one.
  AgentSession(Spool& spool, Pool<Batch>& batches, std::string version, int64_t now_ms,
               std::vector<uint64_t> replaces = {});
  ~AgentSession();

  // --- events -------------------------------------------------------------------------------
  // Any frame of the agent's. An APPEND's payload is taken out of it.
  void frame(Frame& frame, int64_t now_ms);
  // A group was begun: what was pushed so far is on its way.
  void group_begun();
  // A group has become durable, or segments were trimmed: acks go out, pauses end.
  void spool_moved(int64_t now_ms);
  // A sink has committed.
  void committed(const std::vector<SinkPlace>& places);
  void retired(const std::vector<RetiredStream>& streams);
  // Bytes that are queued towards the agent: a long welcome goes on as they leave. While there is
  // more of it to say, welcoming() is true.
  void room(size_t queued_bytes);
  // At least once a second. Time in which the caller did not read must be told by `reading` =
  // false.
  void tick(bool reading, int64_t now_ms);

  // --- actions ------------------------------------------------------------------------------
  // Replaces `into` by what is to be done since the last call.
  void take(AgentActions& into);

  // --- what the caller asks -------------------------------------------------------------------
  // The agent waits for a group (Spool::group_due_ms); only if its input is quiet, but for a HELLO.
  [[nodiscard]] bool pushes() const;
  [[nodiscard]] bool welcoming() const;
  [[nodiscard]] bool greeted() const;  // an agent's HELLO has come
  // Bytes appended that are in no group yet: a bound for reading on.
  [[nodiscard]] uint64_t pending_bytes() const;
  [[nodiscard]] uint64_t lines_taken() const;
  [[nodiscard]] uint64_t refused() const;  // batches
  // By category, each line as often as it came; "_other": of what is no category here.
  [[nodiscard]] const std::map<std::string, uint64_t>& lines_refused() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
