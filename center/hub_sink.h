// One sink of a hub: its sessions one after another, and what the Locals are told of them. Whatever
// becomes of it, the other sinks and the connections go on. Shared by center/hub*.cc. Thread: the
// road.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/rate_track.h"
#include "base/sparingly.h"
#include "center/hub.h"
#include "center/local_link.h"
#include "control.pb.h"

namespace tailrace {

struct Hub::Sink {
  Sink(State& hub_in, size_t at_in, const SinkIdentity& identity_in);
  virtual ~Sink() = default;

  // --- life: of each kind of sink its own

  // A session begins, and takes nothing before that moment (mono).
  virtual void begin(int64_t not_before_ms) = 0;
  // On each tick, before the session's: what another sink knows of who is there.
  virtual void look_around() {}
  // Carries out what the session wants, until it wants nothing more.
  virtual void pump() = 0;
  // A batch that came whole and within its credit. `take`: it was taken.
  virtual Judgement take(const LocalLink& link, const LocalLink::Stream& stream,
                         const BatchHead& head, const std::string& payload, bool* clock_skewed) = 0;
  // Of earlier sessions of this process.
  [[nodiscard]] virtual IncarnationCounts counted() const = 0;

  // --- what a session wants told (hub_sink.cc)
  void act(TellCommitted& action);
  void act(TellLane& action);
  void act(TellReleased& action);
  void act(TellElsewhere& action);
  void act(Stopped& action);
  void act(Trouble& action);
  void send_committed();
  // A new session knows who is there.
  void introduce();
  [[nodiscard]] virtual SinkStatus status() const;
  [[nodiscard]] proto::SinkReport report() const;

  // --- Locals (hub_sink_links.cc)

  // False: its category is one too many.
  bool wish(const LocalLink::Stream& stream);
  void begin_at(LocalLink& link, LocalLink::Stream& stream, const Position& origin);
  // What a Local that has just been welcomed, or has named a stream, is to know beyond that.
  void greet(LocalLink& link, uint32_t number);
  // RETIRE: RETIRED if it is so, else it is asked again.
  void retire(LocalLink& link, const std::string& category, const StreamKey& key);
  void doubt(LocalLink& link, const LocalLink::Stream& stream);
  void flush(const LocalLink& link) { session->flush(link.local_id); }
  // Whether what it writes is made of the lines themselves, and not of payloads as they come.
  [[nodiscard]] bool writes_lines(const std::string& category) const {
    return settings.formats(category) == FileFormat::sequence;
  }
  // Whether it wants to know of lines which file they came from.
  [[nodiscard]] virtual bool wants_paths() const { return false; }
  // Whether its bit is set, as DATA says whom it is for.
  [[nodiscard]] bool is_among(uint32_t bits) const { return (bits >> at & 1) != 0; }
  // As far as this sink is concerned. false: the connection ends.
  bool on_data(LocalLink& link, const BatchHead& head, const std::string& payload,
               bool* clock_skewed);
  bool on_gap(LocalLink& link, uint32_t number, const GapRange& gap, uint64_t chain_after);
  // What follows from a batch or a gap that was not taken. false: the connection ends.
  bool not_taken(LocalLink& link, uint32_t number, Judgement judgement);
  // A stream that is refused while the connection goes on. true.
  bool refuse_stream(LocalLink& link, uint32_t number, proto::Reject::Code code,
                     const std::string& text);
  void tell_standing(LocalLink& link, uint32_t number);
  // Streams of it that Locals have named, and the Locals with any.
  std::vector<std::pair<LocalLink*, uint32_t>> of_lane(const Lane& lane);
  std::vector<LocalLink*> links_of_lane(const Lane& lane);
  void release(LocalLink& link, const Lane& lane);
  // What is on its way from Locals may come when another session owns their lanes: it is no fault
  // of theirs that it does not go on where that one stands.
  void release_all();
  void redirect(LocalLink& link, const TellElsewhere& where);
  // Where the stream should go instead, if it should.
  void tell_elsewhere(LocalLink& link, const LocalLink::Stream& stream);
  void give_credit(LocalLink& link, const std::string& category, const StreamKey& key);
  [[nodiscard]] bool has_doubts(const LocalLink::Stream& stream,
                                const SinkSession::Standing& standing);
  [[nodiscard]] bool owe_rewind(LocalLink& link, uint32_t number);
  void top_up(LocalLink& link);
  [[nodiscard]] proto::SinkStreamPosition position_message(uint32_t number,
                                                           const Position& position) const;

  State& hub;
  const size_t at;  // its place in WELCOME
  const SinkIdentity identity;
  const SinkSettings& settings;
  const std::string uuid;  // hex16

  SinkSession* session = nullptr;                // the current one
  uint64_t life = 0;                             // 1, 2, ...: of that
  std::map<LinkId, proto::Committed> committed;  // gathered during one pump

  uint64_t lines_received = 0;
  uint64_t bytes_received = 0;  // payload
  RateTrack lines_rate{31}, bytes_rate{31};
  std::map<std::string, uint64_t> received_of;  // by category
  std::map<std::string, uint64_t> refused_of;   // lines, by category
  int64_t newest_published_ms = -1;
  bool stopped = false;
};

// Files in a store: one incarnation after another, and the open files that batches go to.
struct Hub::FileSink final : Hub::Sink {
  FileSink(State& hub_in, size_t at_in, HubSinkOptions options_in);

  void begin(int64_t not_before_ms) override;
  void pump() override;
  Judgement take(const LocalLink& link, const LocalLink::Stream& stream, const BatchHead& head,
                 const std::string& payload, bool* clock_skewed) override;
  [[nodiscard]] IncarnationCounts counted() const override;
  [[nodiscard]] SinkStatus status() const override;

  void end(const std::string& reason);
  using Sink::act;
  void act(FinishFile& action);
  void act(DropFile& action);
  void act(CommitEntry& action);
  void act(PublishFile& action);
  void act(RunProcedure& action);
  void act(TellSplit& action);
  void act(Fenced& action);
  void act(LostFile& action);
  void act(GoneFile& action);
  [[nodiscard]] std::shared_ptr<LineFile> new_file(std::unique_ptr<StagedFile> staged,
                                                   const FileKey& key) const;
  // False: it could not be written, and comes again.
  bool append(const LocalLink::Stream& stream, const BatchFields& fields,
              const std::string& payload, const Incarnation::Verdict& verdict);

  const HubSinkOptions options;
  std::unique_ptr<Incarnation> incarnation;
  int64_t fence_pause_ms = 1'000;
  IncarnationCounts earlier;  // of earlier incarnations of this process
  std::map<OpenFileId, std::shared_ptr<LineFile>> writers;
  bool pumping = false;
  // Each empty once it is over.
  std::string write_trouble;
  Sparingly writes_waiting;                            // each file has a text of its own
  std::map<std::string, std::string> finish_troubles;  // by category
  std::string end_trouble;  // why the last incarnation ended, when no other follows
};

// Kafka: one session for the process's life.
struct Hub::KafkaSink final : Hub::Sink {
  KafkaSink(State& hub_in, size_t at_in, HubSinkOptions options_in);

  void begin(int64_t not_before_ms) override;
  void pump() override;
  Judgement take(const LocalLink& link, const LocalLink::Stream& stream, const BatchHead& head,
                 const std::string& payload, bool* clock_skewed) override;
  [[nodiscard]] IncarnationCounts counted() const override { return kafka->counts(); }
  [[nodiscard]] bool wants_paths() const override { return options.paths; }
  using Sink::act;
  void act(CallKafka& action);
  // Where no ZooKeeper tells who is there, a sink of files does.
  void look_around() override;

  const KafkaSessionOptions options;
  std::unique_ptr<KafkaSession> kafka;
  int64_t since_ms = 0;  // mono: when it was last known who is there
};

}  // namespace tailrace
