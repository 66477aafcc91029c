// What a session with an agent remembers; agent_session.cc moves it. Thread: the road.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control.pb.h"
#include "flow/connection.h"
#include "local/agent_session.h"
#include "local/local_welcome_writer.h"

namespace tailrace {

struct AgentSession::State {
  enum class Phase { hello, syncing, welcome, open, closed };

  Spool& spool;
  Pool<Batch>& batches;
  AgentActions out;
  Phase phase = Phase::hello;
  int64_t heard_ms;
  int64_t pinged_ms;
  bool push = false;
  uint64_t pending_bytes = 0;
  uint64_t lines_taken = 0;
  uint64_t refused = 0;
  std::map<std::string, uint64_t> lines_refused;
  struct Unacked {
    StreamId stream;
    uint64_t acked;
  };
  std::vector<Unacked> unacked;  // taken of, not all acked
  std::map<StreamId, uint64_t> given_up_told;
  std::vector<SinkPlace> missed;  // committed while the welcome was being said
  struct Pause {
    int64_t since_ms;
    bool alarmed = false;
  };
  std::map<std::string, Pause> paused;  // categories
  std::set<StreamId> refused_streams;   // REJECT(CATEGORY) was said; their batches are dropped
  LocalWelcomeWriter welcome;

  State(Spool& s, Pool<Batch>& b, std::string v, int64_t now_ms, std::vector<uint64_t> replaces)
      : spool(s),
        batches(b),
        heard_ms(now_ms),
        pinged_ms(now_ms),
        welcome(s, std::move(v), std::move(replaces)) {}

  template <class Message>
  void send(FrameType type, Message message) {
    out.frames.push_back({type, std::make_shared<const Message>(std::move(message))});
  }
  void reject(proto::Reject::Code code, std::string text, StreamId stream = 0) {
    proto::Reject r;
    r.set_code(code);
    r.set_text(text);
    r.set_stream(stream);
    send(FrameType::reject, std::move(r));
    if (code == proto::Reject::CATEGORY) {
      out.refusals.push_back(std::move(text));
      return;
    }
    out.refusals.push_back("the agent's connection was closed: " + std::move(text));
    shut();
  }
  void malformed(const std::string& what) { reject(proto::Reject::PROTOCOL, what); }
  void shut() {
    phase = Phase::closed;
    out.close = true;
  }
  // False, and the connection is at its end, if the frame is not that message.
  bool parse(const Frame& frame, google::protobuf::MessageLite& into) {
    const Result<void> parsed = parse_message(frame, into);
    if (parsed) return true;
    reject(proto::Reject::CORRUPT, parsed.error().text);
    return false;
  }

  void hello(const Frame& frame);
  void begin_welcome_if_durable();
  void welcome_some();
  void dispatch(Frame& frame, int64_t now_ms);
  void define_stream(const Frame& frame, int64_t now_ms);
  void define_file(const Frame& frame, int64_t now_ms);
  void file_gap(const Frame& frame, int64_t now_ms);
  void file_gone(const Frame& frame, int64_t now_ms);
  void flush(const Frame& frame);
  void retire(const Frame& frame);
  void origin(const Frame& frame, int64_t now_ms);
  void append(Frame& frame, int64_t now_ms);
  void refuse(const BatchHead& head, bool no_room, int64_t now_ms);
  void count_refused(const std::string& category, const BatchFields& fields);
  void tell_committed(const std::vector<SinkPlace>& places);
  void tell_given_up();
  void ack();
  void end_pauses();
  void alarm_pauses(int64_t now_ms);
};

}  // namespace tailrace
