// The hub's inside, shared by center/hub*.cc. Thread: the road.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/sparingly.h"
#include "center/hub.h"
#include "center/hub_sink.h"
#include "center/link_index.h"
#include "center/local_link.h"
#include "center/verify.h"
#include "control.pb.h"

namespace tailrace {

struct Hub::State {
  State(HubOptions options_in, Rng rng_in, Moment now_in);

  void note_presence(uint64_t local_id, bool present);

  // --- Locals (hub_links.cc)

  // false: the connection ends.
  bool on_frame(LocalLink& link, Frame& frame);
  bool on_stale(LocalLink& link, const Frame& frame);
  bool on_ping(LocalLink& link, const Frame& frame);
  // Addresses of the Centers that live, this one too, as far as is known.
  std::set<std::string> known_centers() const;
  proto::Pong pong_for(LocalLink& link) const;
  bool on_hello(LocalLink& link, const Frame& frame);
  proto::CenterReport report() const;
  void welcome(LocalLink& link);
  bool alone(LocalLink& link, const proto::Hello& hello);
  bool on_stream_def(LocalLink& link, const Frame& frame);
  bool on_data(LocalLink& link, Frame& frame);
  // What is whole and within its credit, to those sinks: bits, as in DATA.
  bool on_file_def(LocalLink& link, const Frame& frame);
  bool deliver(LocalLink& link, uint32_t to, const BatchHead& head, const std::string& payload);
  [[nodiscard]] bool wants_paths() const;
  bool on_gap(LocalLink& link, const Frame& frame);
  bool on_retire(LocalLink& link, const Frame& frame);
  bool lives(uint64_t local_id) const;
  bool add_stream(LocalLink& link, uint32_t number, const std::string& category, uint32_t sub);
  // The one that a message names; null: it is not here.
  Sink* sink_of(const std::string& uuid);
  FileSink& files_at(size_t at);
  KafkaSink& kafka_at(size_t at);
  void pump();
  void top_up(LocalLink& link);
  void top_up_all();

  // --- what is refused (hub_refusals.cc)

  // Says so, to the Local and once in a while to the operator. Whoever broke the protocol waits.
  // false.
  bool reject(LocalLink& link, const proto::Reject& message);
  bool reject(LocalLink& link, proto::Reject::Code code, const std::string& text,
              uint32_t stream = 0);
  // The same of one batch, so that the Local knows which.
  bool reject_batch(LocalLink& link, const BatchFields& fields, const std::string& text);
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
  template <class Message>
  void send(const LocalLink& link, FrameType type, Message message) {
    out.frames.push_back({link.id, outgoing(type, std::move(message))});
  }
  void close(LocalLink& link);
  using Fields = std::vector<std::pair<std::string, std::string>>;
  void say(log::Level level, std::string text, Fields fields = {});
  [[nodiscard]] bool stopped() const;

  HubOptions options;
  CenterSettings& settings = options.settings;
  Rng rng;
  Moment now;
  const int64_t started_ms = now.wall_ms;
  Presence presence;  // as ZooKeeper said last
  HubActions out;
  std::vector<std::unique_ptr<Sink>> sinks;  // as in the settings

  std::map<LinkId, LocalLink> links;
  LinkIndex index;                       // of those
  std::set<LinkId> owing;                // to whom something is owed (LocalLink::owed)
  std::map<uint64_t, int64_t> heard_ms;  // mono: when a local_id's connection ended, of late
  Verifier verifier;
  Door door;
  PenaltyBox box;

  uint64_t refused = 0;
  Sparingly said;
  uint64_t lines_clock_skewed = 0;
  Sparingly skews;
  bool stop_asked = false;
  bool stop_everything = false;
};

}  // namespace tailrace
