// The hub's inside, shared by center/hub*.cc. Thread: the road.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/sparingly.h"
#include "center/hub.h"
#include "center/local_link.h"
#include "center/verify.h"
#include "control.pb.h"

namespace tailrace {

struct Hub::State {
  State(HubOptions options_in, Files& files_in, Rng rng_in, Moment now_in);

  // --- life (hub.cc) ----------------------------------------------------------------------------
  void begin(int64_t not_before_ms);
  void end(const std::string& reason);
  // Carries out what the incarnation wants, until it wants nothing more.
  void pump();
  void act(FinishFile& action);
  void act(DropFile& action);
  void act(CommitEntry& action);
  void act(PublishFile& action);
  void act(RunProcedure& action);
  void act(TellCommitted& action);
  void act(TellLane& action);
  void act(TellReleased& action);
  void act(TellSplit& action);
  void act(TellElsewhere& action);
  void act(Fenced& action);
  void act(Stopped& action);
  void act(Trouble& action);
  void act(LostFile& action);
  void send_committed();

  void note_presence(uint64_t local_id, bool present);

  // --- Locals (hub_links.cc)

  // false: the connection ends.
  bool on_frame(LocalLink& link, Frame& frame);
  bool on_stale(LocalLink& link, const Frame& frame);
  bool on_ping(LocalLink& link, const Frame& frame);
  proto::Pong pong_for(LocalLink& link) const;
  bool on_hello(LocalLink& link, const Frame& frame);
  bool alone(LocalLink& link, const proto::Hello& hello);
  bool on_stream_def(LocalLink& link, const Frame& frame);
  bool on_data(LocalLink& link, Frame& frame);
  bool on_gap(LocalLink& link, const Frame& frame);
  bool on_retire(LocalLink& link, const Frame& frame);
  bool lives(uint64_t local_id) const;
  // What follows from a batch or a gap that was not taken. false: the connection ends.
  bool not_taken(LocalLink& link, uint32_t number, const Incarnation::Verdict& verdict);
  bool write_batch(LocalLink& link, uint32_t number, const BatchFields& fields, Frame& frame);
  bool add_stream(LocalLink& link, uint32_t number, const std::string& category, uint32_t sub);
  void tell_standing(LocalLink& link, uint32_t number);
  std::vector<LocalLink*> of_lane(const Lane& lane);
  void redirect(LocalLink& link, const TellElsewhere& where);
  // Where the stream should go instead, if it should.
  void tell_elsewhere(LocalLink& link, const LocalLink::Stream& stream);
  void give_credit(LocalLink& link, const std::string& category, const StreamKey& key);
  void top_up();
  proto::SinkStreamPosition position_message(uint32_t number, const Position& position) const;

  // --- what is refused (hub_refusals.cc)

  // Says so, to the Local and once in a while to the operator. Whoever broke the protocol waits.
  // false.
  bool reject(LocalLink& link, const proto::Reject& message);
  bool reject(LocalLink& link, proto::Reject::Code code, const std::string& text,
              uint32_t stream = 0);
  // The same of one batch, so that the Local knows which.
  bool reject_batch(LocalLink& link, const BatchFields& fields, const std::string& text);
  // A stream that is refused while the connection goes on.
  bool refuse_stream(LocalLink& link, uint32_t number, proto::Reject::Code code,
                     const std::string& text);
  void say_refused(const std::string& who, const std::string& name, std::string_view why);
  void note_clock(const LocalLink& link, const BatchFields& fields);
  bool drains(LocalLink& link, uint64_t queued_bytes);
  bool strike(LocalLink& link);
  // It may come again in so many ms. false.
  bool busy(LocalLink& link, int64_t retry_ms);
  bool must_wait(LocalLink& link, uint64_t local_id);
  void drop_silent(LocalLink& link, const LinkView& view);
  // Sends away those who hold most, until all together hold what they may.
  void shed(std::span<const LinkView> views);

  // --- outwards
  // -----------------------------------------------------------------------------------
  template <class Message>
  void send(const LocalLink& link, FrameType type, Message message) {
    out.frames.push_back({link.id, outgoing(type, std::move(message))});
  }
  void close(LocalLink& link);
  void close_all();
  using Fields = std::vector<std::pair<std::string, std::string>>;
  void say(log::Level level, std::string text, Fields fields = {});

  HubOptions options;
  CenterSettings& settings = options.settings;
  SinkIdentity& sink = options.sink;
  Files& files;
  Rng rng;
  Moment now;
  HubActions out;

  std::unique_ptr<Incarnation> incarnation;
  uint64_t life = 0;
  int64_t fence_pause_ms = 1'000;
  IncarnationCounts earlier;  // of earlier incarnations of this process
  std::map<OpenFileId, std::shared_ptr<LineFile>> writers;
  bool pumping = false;

  std::map<LinkId, LocalLink> links;
  std::map<uint64_t, int64_t> heard_ms;  // mono: when a local_id's connection ended, of late
  std::map<LinkId, proto::Committed> committed;  // gathered during one pump
  Verifier verifier;
  Door door;
  PenaltyBox box;

  uint64_t lines_received = 0;
  std::map<std::string, uint64_t> received_of;  // by category
  std::map<std::string, uint64_t> refused_of;   // lines, by category
  uint64_t refused = 0;
  Sparingly said;
  int64_t newest_published_ms = -1;
  uint64_t lines_clock_skewed = 0;
  Sparingly skews;
  // Each empty once it is over.
  std::string write_trouble;
  std::string finish_trouble;
  std::string end_trouble;  // why the last incarnation ended, when no other follows
  bool stop_asked = false;
  bool stop_everything = false;
  bool stopped = false;
};

}  // namespace tailrace
