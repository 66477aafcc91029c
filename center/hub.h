// A Center without sockets, threads and clock: the Locals that are connected, what they may send,
// and for each of its sinks one incarnation after another and the open files that batches go to
// (center/hub_sink.h). A machine: events in;
// frames, connections to close and work at the store out. center/center.cc carries these out, and
// so does a simulation.
// Thread: the road. docs/protocol.md, "Local to Center" and "Center: life of an incarnation".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "center/center.h"
#include "center/door.h"
#include "center/finishing.h"
#include "center/incarnation.h"
#include "center/kafka_session.h"
#include "discovery/presence.h"
#include "flow/frame_reader.h"
#include "flow/outgoing.h"
#include "flow/peer_address.h"

namespace tailrace {

// Names a connection between the machine and whoever has it; never used again.
using LinkId = uint64_t;

// A connection as its owner sees it on a tick.
struct LinkView {
  LinkId link = 0;
  int64_t last_heard_ms = 0;  // mono
  bool too_slow = false;      // a frame has begun and does not come on
  uint64_t queued_bytes = 0;  // sent to it and not read
  uint64_t held_bytes = 0;    // of the frame that is being read
};

// --- what is to be done --------------------------------------------------------------------------
struct FrameOut {
  LinkId link = 0;
  Outgoing frame;
};
struct FinishWork {  // Finishing::run() until it succeeds, then file_finished()
  OpenFileId file = 0;
  std::string category;
  std::shared_ptr<Finishing> finishing;
};
// Each belongs to the sink's life() in which it was asked for: when that is over its outcome is
// nobody's.
struct HubWork {
  size_t sink = 0;
  std::variant<FinishWork, CommitEntry, PublishFile, RunProcedure, CallKafka> what;
};
struct Saying {
  log::Level level{};
  std::string text;
  std::vector<std::pair<std::string, std::string>> fields;
};
struct HubActions {
  std::vector<FrameOut> frames;  // in order, before anything is closed
  std::vector<LinkId> closes;
  std::vector<HubWork> work;
  std::vector<Saying> sayings;
};

// Of one of settings.sinks.
struct HubSinkOptions {
  SinkIdentity identity;
  Layout layout;
  TimeZone zone;
  Files* files = nullptr;                                   // must outlive the hub
  std::optional<KafkaSessionOptions> kafka = std::nullopt;  // it is Kafka, and has none of these
};

struct HubOptions {
  CenterSettings settings;
  std::vector<HubSinkOptions> sinks;
  uint64_t state_uuid = 0;
  DoorLimits door;
  uint64_t reclaim_entries = 4'096;  // as IncarnationOptions
  int64_t collect_ms = 3'600'000;
  int64_t takeover_after_ms = 15'000;               // as Acquirer
  std::optional<SplitPolicy> split = std::nullopt;  // nullopt: by the settings
};

class Hub {
 public:
  // The first incarnation at each sink begins at once.
  Hub(HubOptions options, Rng rng, Moment now);
  ~Hub();

  // --- events of connections

  // Empty: it is in, and gone() must follow. Else why not: it is to be closed.
  std::string_view knock(LinkId link, const PeerAddress& from, Moment now);
  void frame(LinkId link, Frame& frame, uint64_t queued_bytes, Moment now);
  // What came on it is not our protocol; it is closed.
  void unreadable(LinkId link, const Error& why, bool other_version, Moment now);
  void gone(LinkId link);
  // Each 50 to 500 ms (busy()). `links`: all that are in, at least every 500 ms; else none.
  void tick(std::span<const LinkView> links, Moment now);

  // --- events of the work; `sink` is a place in the settings
  void file_finished(size_t sink, const FinishWork& work, Moment now);
  // It is tried again.
  void finish_waits(size_t sink, const std::string& category, const std::string& why, Moment now);
  void commit_done(size_t sink, const Result<Cas>& outcome, Moment now);
  void publish_done(size_t sink, const std::string& stage, const Result<Published>& outcome,
                    Moment now);
  void procedure_done(size_t sink, const StoreProcedure& procedure, Moment now);
  void fail(size_t sink, std::string reason, Moment now);  // this life is over
  void kafka_replied(size_t sink, KafkaCall call, const KafkaReply& reply, Moment now);

  // Who is there, as ZooKeeper says; never called where there is none.
  void presence(const Presence& presence, Moment now);

  // STOP: commit and publish what is held, free the lanes, seal the log. `everything`: also what is
  // small and could be sent again.
  void stop(bool everything);

  // --- what to do, and what others ask

  // Whoever carries them out clears the actions.
  [[nodiscard]] HubActions& actions();
  [[nodiscard]] uint64_t life(size_t sink) const;  // 1, 2, ...: of the incarnation that is current
  [[nodiscard]] bool stopped() const;              // at all sinks
  [[nodiscard]] bool stopped(size_t sink) const;
  [[nodiscard]] bool busy() const;
  [[nodiscard]] const Acquirer& me(size_t sink) const;
  [[nodiscard]] std::string tmp_name(size_t sink);  // never given before; nor is
  [[nodiscard]] std::string stage_name(size_t sink, const std::string& category);
  [[nodiscard]] CenterStatus status() const;
  // What is to be said of this Center in ZooKeeper; its cluster's name is the caller's.
  [[nodiscard]] Member member() const;
  // Lines of that stream that are held for the sink: received, and neither committed nor given away
  // (as all is that a stop leaves to its Locals).
  [[nodiscard]] uint64_t held(size_t sink, const std::string& category,
                              const StreamKey& stream) const;

 private:
  struct Sink;
  struct FileSink;
  struct KafkaSink;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
