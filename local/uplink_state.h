// What an uplink remembers; uplink.cc moves it by events, uplink_positions.cc by what a Center says
// of positions, uplink_sending.cc by what may be sent. Thread: the road.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control.pb.h"
#include "local/uplink.h"

namespace tailrace {

// One stream on its way to one sink, on this connection.
struct Course {
  bool known = false;  // the Center has said where it stands
  uint64_t sent = 0;   // first line not sent
  bool held = false;   // as Trouble says
  bool stale = false;  // it named a position below the cursor and was told STALE
  int64_t told_ms = 0;
  uint64_t barrier =
      0;  // nothing is sent before that many PONGs: until then, what comes answers old frames
};

struct Allowance {
  uint64_t allowed_bytes = 0;
  uint64_t sent_bytes = 0;
};

struct UplinkStream {
  StreamId stream = 0;
  std::string category;
  uint8_t sub = 0;
  int failed_reads = 0;  // of the next batch
  int64_t retry_at_ms = 0;
  std::vector<Course> courses;                   // by sink
  std::vector<Allowance>* allowances = nullptr;  // of its category, by sink
};

struct UplinkSink {
  uint64_t uuid = 0;
  std::string name;
};

struct Uplink::State {
  enum class Phase { idle, hello, open, closing };

  State(const Uplink& m, Delivery& d, UplinkOptions o) : me(m), all(d), options(std::move(o)) {}

  const Uplink& me;
  Delivery& all;
  UplinkOptions options;
  UplinkActions out;

  // Across connections.
  uint32_t failures = 0;  // connections in a row that did not last
  int64_t connect_at_ms = 0;
  int64_t least_pause_ms = 0;  // the Center's wish, for the next attempt
  int64_t outage_alarm_ms = INT64_MIN / 2;
  int64_t close_alarm_ms = INT64_MIN / 2;
  int64_t now_ms = 0;     // of the event that is being worked on
  size_t cold_bytes = 0;  // being read

  // Of this connection.
  Phase phase = Phase::idle;
  std::string center;  // its name
  int64_t connected_ms = 0;
  int64_t heard_ms = 0;
  int64_t pinged_ms = 0;
  int64_t asked_ms = 0;
  int64_t retired_ms = 0;  // when RETIRE was asked last
  uint64_t pings = 0;
  uint64_t pongs = 0;
  bool was_full = false;    // at the last tick
  uint32_t flush_told = 0;  // to which sinks, as bits
  std::vector<UplinkSink> sinks;
  bool paths_wanted = false;
  std::set<FileId> files_told;        // whose path was said
  std::vector<UplinkStream> streams;  // declared, in order of declaration
  size_t turn = 0;                    // the stream that was served last
  size_t sink_turn = 0;               // and the sink
  std::map<std::string, std::vector<Allowance>, std::less<>> allowances;  // by category
  proto::Credit credit;                                                   // kept for their memory
  proto::Committed committed;

  template <class Message>
  void send(FrameType type, Message message) {
    out.frames.push_back({type, std::make_shared<const Message>(std::move(message))});
  }
  void ping();
  void close(std::string why);
  // The peer broke the protocol: it is told, and the connection ends.
  void malformed(const std::string& what);
  void hold_all(const std::string& why);
  UplinkStream* find(StreamId stream);
  std::optional<size_t> sink_index(uint64_t uuid) const;

  // uplink.cc
  void hello();
  // Asks for its position at those sinks; none: at all of them.
  void declare(const UplinkStream& s, const std::vector<size_t>& at = {});
  // At which sinks nobody owns it, and no person has to decide; `asked`: nor is STALE an open
  // question.
  [[nodiscard]] std::vector<size_t> ownerless(const UplinkStream& s, bool asked) const;
  [[nodiscard]] bool owned_here(size_t sink, StreamId stream) const;
  void disown(size_t sink, StreamId stream);
  void dispatch(Frame& frame);
  void welcome(const proto::Welcome& w);
  bool meet_sinks(const proto::Welcome& w);
  bool meet_new_sinks();
  void rejected(const proto::Reject& r);
  void released(const Frame& frame);
  void retired(const Frame& frame);
  bool answer_retire(size_t at);
  void batch_refused(const proto::Reject& r, const std::string& why);
  void take_credit();
  void forget_lane(const std::string& sink, const std::string& category, uint32_t parts,
                   uint32_t part);
  uint32_t fill_percent() const;
  [[nodiscard]] bool holds_back(size_t sink) const;

  // uplink_positions.cc
  enum class Said { committed, rewind };
  bool position(const proto::SinkStreamPosition& p,
                Said said);  // false: the connection is at its end
  void follow(size_t sink, UplinkStream& s, Position at, Said said);
  void commit(size_t sink, UplinkStream& s, Position at);
  std::vector<GapInfo> gaps_from(StreamId stream, uint64_t seq) const;
  void tell_stale(size_t sink, UplinkStream& s);
  void tell_stale_again();
  void behind(size_t sink, UplinkStream& s, Position at, const std::string& why);
  void hold(size_t sink, UplinkStream& s, const std::string& why);
  void hold_everywhere(UplinkStream& s, const std::string& why);
  void alarm_held(const std::string& what);
  void recall_held(UplinkStream& s);
  Delivery::Trouble* trouble(size_t sink, StreamId stream);
  uint64_t slowest(StreamId stream) const;

  // uplink_sending.cc
  void add_stream(const StreamInfo& info);
  void declare_new_streams();
  [[nodiscard]] bool may_send(const UplinkStream& s, size_t sink) const;
  [[nodiscard]] uint32_t sinks_at(const UplinkStream& s, uint64_t seq) const;
  uint32_t next_sinks(const UplinkStream& s, uint64_t& seq);
  void note_sent(UplinkStream& s, size_t sink, uint64_t end);
  void send_gap(UplinkStream& s, uint32_t sinks, uint64_t seq, const GapInfo& gap);
  size_t send_one(UplinkStream& s);
  void tell_files(const Batch& batch);
  void send_batch(UplinkStream& s, uint32_t sinks, BatchPtr batch);
  void send_flush();
  [[nodiscard]] std::vector<StreamId> flushable(size_t sink) const;
};

}  // namespace tailrace
