// The Center's shell: connections in, the incarnation's actions carried out. Private to
// center/*.cc. Thread: the road.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bell.h"
#include "base/sparingly.h"
#include "base/worker.h"
#include "center/center.h"
#include "center/door.h"
#include "center/incarnation.h"
#include "center/local_link.h"
#include "center/store_driver.h"
#include "center/verify.h"
#include "control.pb.h"
#include "sinks/format/line_file.h"

namespace tailrace {

struct Center::State {
  State(asio::io_context& road, CenterSettings settings, std::unique_ptr<Records> records,
        std::unique_ptr<Files> files);

  // --- life (center.cc) -------------------------------------------------------------------------
  Result<void> open();
  Result<void> make_sink(const std::string& identity_name);
  void begin_incarnation(int64_t not_before_ms);
  asio::awaitable<void> run();
  void end_incarnation(const std::string& reason);

  // --- actions (center_actions.cc)
  // ------------------------------------------------------------------ Carries out what the
  // incarnation wants, until it wants nothing more.
  void pump();
  void act(FinishFile& action);
  void act(DropFile& action);
  void act(CommitEntry& action);
  void act(PublishFile& action);
  void act(RunProcedure& action);
  void act(TellCommitted& action);
  void act(TellLane& action);
  void act(Fenced& action);
  void act(Stopped& action);
  void act(Trouble& action);
  void act(LostFile& action);
  void send_committed();
  asio::awaitable<void> finish_file(OpenFileId id, std::shared_ptr<LineFile> writer);
  asio::awaitable<void> commit_entry(CommitEntry action);
  asio::awaitable<void> publish_file(FileRef file);
  asio::awaitable<void> run_procedure(std::shared_ptr<StoreProcedure> procedure);
  // True while the incarnation that was current when it was called still is.
  std::function<bool()> while_current();

  // --- Locals (center_links.cc)
  // --------------------------------------------------------------------
  void accept(StreamSocket socket);
  asio::awaitable<void> serve(std::shared_ptr<LocalLink> link);
  // false: the connection ends.
  bool on_frame(LocalLink& link, Frame& frame);
  bool on_stale(LocalLink& link, const Frame& frame);
  bool on_ping(LocalLink& link, const Frame& frame);
  bool on_hello(LocalLink& link, const Frame& frame);
  bool on_stream_def(LocalLink& link, const Frame& frame);
  bool on_data(LocalLink& link, Frame& frame);
  bool on_gap(LocalLink& link, const Frame& frame);
  // What follows from a batch or a gap that was not taken. false: the connection ends.
  bool not_taken(LocalLink& link, uint32_t number, const Incarnation::Verdict& verdict);
  bool write_batch(LocalLink& link, uint32_t number, const BatchFields& fields, Frame& frame);
  // Says so, to the Local and once in a while to the operator. Whoever broke the protocol waits.
  bool reject(LocalLink& link, proto::Reject::Code code, const std::string& text,
              uint32_t stream = 0);
  // The same of one batch, so that the Local knows which.
  bool reject_batch(LocalLink& link, const BatchFields& fields, const std::string& text);
  bool reject(LocalLink& link, const proto::Reject& message);
  // A stream that is refused while the connection goes on.
  bool refuse_stream(LocalLink& link, uint32_t number, proto::Reject::Code code,
                     const std::string& text);
  void say_refused(const std::string& who, const std::string& name, std::string_view why);
  void note_clock(const LocalLink& link, const BatchFields& fields);
  bool add_stream(LocalLink& link, uint32_t number, const std::string& category, uint32_t sub);
  void tell_standing(LocalLink& link, uint32_t number);
  void give_credit(LocalLink& link, const std::string& category, const StreamKey& key);
  void top_up();
  proto::SinkStreamPosition position_message(uint32_t number, const Position& position) const;
  bool drains(LocalLink& link);
  bool strike(LocalLink& link);
  bool must_wait(LocalLink& link, uint64_t local_id);
  void drop_links();
  // --- on each tick
  void drop_silent_links();
  // Sends away those who hold most, until all together hold what they may.
  void shed_links();

  asio::io_context& road;
  CenterSettings settings;
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
  Layout layout;
  TimeZone zone;
  SinkIdentity sink;
  uint64_t state_uuid = 0;
  Rng rng;

  std::unique_ptr<Incarnation> incarnation;
  uint64_t incarnation_number = 0;
  int64_t fence_pause_ms = 1'000;
  IncarnationCounts earlier;  // of earlier incarnations of this process

  std::map<OpenFileId, std::shared_ptr<LineFile>> writers;
  std::list<std::shared_ptr<LocalLink>> links;
  std::map<LocalLink*, proto::Committed> committed;  // gathered during one pump
  bool pumping = false;
  Verifier verifier;

  uint64_t lines_received = 0;
  std::map<std::string, uint64_t> received_of;  // by category
  std::map<std::string, uint64_t> refused_of;   // lines, by category
  uint64_t refused = 0;
  Sparingly said;
  Door door;
  PenaltyBox box;
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
  bool leaving = false;
  Bell bell;

  Worker store_worker;   // claims, entries, publishing: short calls
  Worker upload_worker;  // a file's fdatasync
  StoreDriver driver;
};

}  // namespace tailrace
