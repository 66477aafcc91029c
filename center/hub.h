// A Center without sockets, threads and clock: one incarnation after another, the Locals that are
// connected, what they may send, and the open files that their batches go to. A machine: events in;
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
// Each belongs to the life() in which it was asked for: when that is over its outcome is nobody's.
using HubWork = std::variant<FinishWork, CommitEntry, PublishFile, RunProcedure>;
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

struct HubOptions {
  CenterSettings settings;
  SinkIdentity sink;
  Layout layout;
  TimeZone zone;
  uint64_t state_uuid = 0;
  DoorLimits door;
  uint64_t reclaim_entries = 4'096;  // as IncarnationOptions
  int64_t collect_ms = 3'600'000;
  int64_t takeover_after_ms = 15'000;               // as Acquirer
  std::optional<SplitPolicy> split = std::nullopt;  // nullopt: by the settings
};

class Hub {
 public:
  // `files` must outlive it. Its first incarnation begins at once.
  Hub(HubOptions options, Files& files, Rng rng, Moment now);
  ~Hub();

  // --- events of connections

  // Empty: it is in, and gone() must follow. Else why not: it is to be closed.
  std::string_view knock(LinkId link, const PeerAddress& from, Moment now);
  void frame(LinkId link, Frame& frame, uint64_t queued_bytes, Moment now);
  // What came on it is not our protocol; it is closed.
  void unreadable(LinkId link, const Error& why, bool other_version, Moment now);
  void gone(LinkId link);
  // Each 50 to 500 ms (busy()). `links`: all that are in.
  void tick(std::span<const LinkView> links, Moment now);

  // --- events of the work
  void file_finished(const FinishWork& work, Moment now);
  void finish_waits(const std::string& why);  // it is tried again; empty: over
  void commit_done(const Result<Cas>& outcome, Moment now);
  void publish_done(const std::string& stage, const Result<Published>& outcome, Moment now);
  void procedure_done(const StoreProcedure& procedure, Moment now);
  void fail(std::string reason, Moment now);  // this life is over

  // STOP: commit and publish what is held, free the lanes, seal the log. `everything`: also what is
  // small and could be sent again.
  void stop(bool everything);

  // --- what to do, and what others ask

  // Whoever carries them out clears the actions.
  [[nodiscard]] HubActions& actions();
  [[nodiscard]] uint64_t life() const;  // 1, 2, ...: of the incarnation that is current
  [[nodiscard]] bool stopped() const;
  [[nodiscard]] bool busy() const;
  [[nodiscard]] const Acquirer& me() const;
  [[nodiscard]] std::string tmp_name();  // never given before; nor is
  [[nodiscard]] std::string stage_name(const std::string& category);
  [[nodiscard]] CenterStatus status() const;
  // Lines of that stream that are held here: received, and neither committed nor given away
  // (as all is that a stop leaves to its Locals).
  [[nodiscard]] uint64_t held(const std::string& category, const StreamKey& stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
