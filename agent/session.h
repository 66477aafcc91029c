// The agent's side of its hop: numbers streams and files, keeps batches until they are acked, sends
// them again when asked, and compares what the Local says with what the journal remembers. A pure
// machine: events in; frames to send, and changes of the journal, out. What is in the journal must
// be written before the actions are carried out. Thread: the road. Rules: docs/protocol.md, "Agent
// to Local".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/journal.h"
#include "agent/spool_loss.h"
#include "flow/batch.h"

namespace tailrace {

// LOCAL_WELCOME as plain values; it comes in parts.
struct WelcomePart {
  uint64_t local_id = 0;
  std::vector<uint64_t> replaces;  // spools that a person has set aside for this one
  struct Stream {
    StreamId id = 0;
    std::string category;
    uint8_t sub = 0;
    uint64_t next_seq = 0;
    std::vector<std::string> waits{};  // sinks that are still to be told where they begin
  };
  struct File {
    FileId id = 0;
    std::string identity;
    std::string path;
    uint32_t generation = 0;
    FilePosition next;
  };
  struct Final {
    std::string sink;
    StreamId stream = 0;
    uint64_t seq = 0;
    bool given_up = false;  // for that sink, which is not required: it has not got all below
  };
  std::vector<Stream> streams;
  std::vector<File> files;
  std::vector<Final> committed;
  bool last = false;
};

// A frame to send.
struct SessionAction {
  enum class Kind { stream_def, file_def, file_gap, file_gone, append, flush, retire, origin };
  Kind kind{};
  StreamId stream = 0;  // stream_def, retire, origin
  // stream_def: those that have the first of its lines already, up to an origin that will be said.
  // origin: the one that has all below `seq`.
  std::vector<std::string> sinks{};
  uint64_t seq = 0;
  FileId file = 0;      // file_*
  FilePosition next{};  // file_def
  Notice gap{};         // file_gap
  BatchPtr batch{};     // append
  bool push = false;    // append: the sender waits for the answer
};

class Session {
 public:
  // `journal` must outlive the session. `window_bytes`: sent and not acked; one batch may exceed
  // it. What waits for room (a category at its share of the spool, a refused stream) leaves it to
  // the others, up to twice as much besides.
  Session(Journal& journal, size_t window_bytes, SpoolLoss loss = SpoolLoss::resume);

  // --- events of the connection
  void connected();
  void welcome(WelcomePart part);
  void ack(StreamId stream, uint64_t next_seq);
  void expect(StreamId stream, uint64_t next_seq, int64_t now_ms);
  void committed(const std::vector<WelcomePart::Final>& positions);
  void credit(const std::string& category, bool paused, int64_t now_ms);
  // The Local refuses a stream for good (REJECT that names it).
  void refused(StreamId stream, const std::string& text);
  // RETIRED: of a lost stream each sink has what lies below its final, and will never have more.
  struct Finals {
    uint64_t least = 0;
    Checkpoint::Further of{};  // by sink; empty: they are all at that line
    // Of one that is not required: it did not say, and shall get nothing of it again.
    static constexpr uint64_t kUnknown = UINT64_MAX;
  };
  void retired(uint64_t local_id, const std::string& category, uint8_t sub, const Finals& finals);
  void disconnected();
  void tick(int64_t now_ms);

  // --- events of the files

  // Where the next batch of a category goes; its bucket must not be below `bucket`.
  struct Place {
    StreamId stream = 0;
    uint64_t first_seq = 0;
    Bucket bucket = 0;
  };
  Place place(const std::string& category);
  // `at`: where its first line begins.
  FileId define_file(const std::string& identity, const std::string& path, uint32_t generation,
                     const std::string& category, FilePosition at = {});
  // A batch for place(); its files are defined.
  void append(BatchPtr batch, const std::vector<SourceRange>& ranges);
  // Nothing follows for now: whatever append is still among the actions asks for its answer.
  void push();
  void gap(FileId file, uint64_t start, uint64_t end, std::string reason);
  // The file exists no more, or its generation ended; it was read up to `read_to`. It is forgotten
  // once all of that is acked.
  void gone(FileId file, uint64_t read_to);
  void moved(FileId file, const std::string& path, bool parked);
  // All is read and acked: what the Center holds of it is to be made final.
  void flush();

  // --- what to do

  // In order; whoever carries them out clears the list. Emptied by disconnected().
  [[nodiscard]] std::vector<SessionAction>& actions() { return actions_; }

  // For the log, once; whoever says them clears the list.
  [[nodiscard]] std::vector<std::string>& alarms() { return alarms_; }
  // Files whose positions went back, or were learnt anew: to be placed again before they are read.
  [[nodiscard]] std::set<FileId> take_moved();
  // Below which byte the file may be read now, as what follows is for other sinks; what stands
  // before it is whole lines. UINT64_MAX: all of it. `file` 0: one without a number yet.
  [[nodiscard]] uint64_t read_to(const std::string& category, FileId file) const;
  // Files of the category belong to a lost stream of another one: it is not read before that.
  void wait_with(const std::string& category) { waiting_too_.insert(category); }
  // Streams have started over, and what the Local has of them is to be heard: connect again.
  [[nodiscard]] bool wants_to_greet() const { return greet_again_ && phase_ == Phase::live; }
  // Spools were left so many times, by what the journal says. Only once that is durable RETIRE is
  // asked, and anything given to the new spool: the old one may turn up again.
  [[nodiscard]] uint64_t losses() const { return losses_; }
  void losses_durable(uint64_t losses);

  // --- what the shell asks
  [[nodiscard]] const Checkpoint& state() const { return journal_.state(); }
  // Lines of lost spools of which it is not known yet whether they are final; empty: none.
  [[nodiscard]] std::string retiring() const;
  // What is read again and has not come to where a sink stands; empty: nothing.
  [[nodiscard]] std::string rereading() const;
  [[nodiscard]] bool live() const { return phase_ == Phase::live; }
  // Welcomed at least once: positions are known.
  [[nodiscard]] bool placed() const { return placed_; }
  [[nodiscard]] const std::string& held() const { return held_; }  // not empty: holding, and why
  [[nodiscard]] bool may_read(const std::string& category) const;
  [[nodiscard]] bool window_full() const;
  [[nodiscard]] bool all_acked() const;
  [[nodiscard]] bool all_final() const;
  [[nodiscard]] uint64_t lines_final() const;  // of those appended in this run
  struct Flow {                                // lines
    uint64_t next_seq = 0;
    uint64_t taken = 0;        // in this run
    uint64_t waiting = 0;      // of those, not acked
    uint64_t unpublished = 0;  // of all runs, not final
  };
  [[nodiscard]] std::map<std::string, Flow> flows() const;  // by category
  [[nodiscard]] uint64_t gaps() const { return gaps_; }
  [[nodiscard]] bool leaving(FileId file) const { return gone_.contains(file); }

 private:
  enum class Phase { disconnected, greeting, live, held };
  struct InFlight {
    BatchPtr batch;
    uint64_t order = 0;  // of its last sending on this connection
  };
  struct Lane {  // one stream
    std::deque<InFlight> window;
    size_t window_bytes = 0;
    bool told = false;    // STREAM_DEF
    bool untold = false;  // nor did it say which sinks are ahead
    bool paused = false;
    bool refused = false;
    bool resend = false;  // the Local wants all from resend_from on, again
    uint64_t resend_from = 0;
    int64_t resent_ms = INT64_MIN / 2;
    bool fresh = false;  // it starts over: what the Local has of it counts as at the first welcome
    uint64_t earlier = 0;                    // this run's lines under spools that are gone
    uint64_t base_seq = 0;                   // where this run's lines begin
    std::map<std::string, uint64_t> finals;  // by sink
  };

  void hold(std::string why);
  bool judge_spool();
  // session_loss.cc
  void leave_spool(uint64_t theirs);
  bool settle_lost();
  bool restart(StreamId stream, uint64_t seq, const Checkpoint::Further& further,
               const std::string& said);
  void give_up(StreamId stream);
  void give_up_rest(Notice notice);
  void ask_retires();
  std::set<FileId> files_of_lost() const;
  // session_ahead.cc
  bool judge_sinks(const WelcomePart::Stream& theirs);
  [[nodiscard]] bool reached(const StreamRecord::Ahead& ahead) const;
  void settle_ahead();
  void say_origin(StreamId stream, const std::string& sink, uint64_t seq);
  [[nodiscard]] bool any_ahead() const;
  bool judge_stream(const WelcomePart::Stream& stream);
  bool judge_files();
  void judge_notices();
  void begin();
  bool take_ack(StreamId stream, Lane& lane, uint64_t next_seq);
  void take_final(const WelcomePart::Final& position);
  void tell_stream(StreamId stream, Lane& lane);
  void tell_files_of(const Batch& batch);
  void tell_file(FileId file);
  void send(Lane& lane, InFlight& batch, bool push);
  void try_resend(Lane& lane, int64_t now_ms);
  void add_notice(Notice notice);
  void send_notices();
  void send_newest_notice();
  bool send_notice(uint64_t number, const std::set<FileId>& lost);
  void confirm_notices(uint64_t order);
  [[nodiscard]] std::string name(StreamId stream) const;

  Journal& journal_;
  size_t window_limit_;
  Phase phase_ = Phase::disconnected;
  bool placed_ = false;
  bool flushing_ = false;
  int64_t flushed_ms_ = 0;
  std::string held_;
  WelcomePart greeting_;
  std::map<StreamId, Lane> lanes_;
  std::set<std::string> sinks_;
  std::map<uint64_t, uint64_t> sent_notices_;  // number: APPENDs sent before it on this connection
  std::set<uint64_t> unsent_;                  // the others, by number; may name some that are over
  std::set<FileId> gone_;                      // files with a gone notice
  uint64_t sent_ = 0;                          // APPENDs on this connection
  uint64_t gaps_ = 0;
  SpoolLoss loss_;
  uint64_t losses_ = 1;  // what stood in the journal at the start counts as one
  uint64_t durable_losses_ = 0;
  bool greet_again_ = false;
  std::set<FileId> moved_;
  std::set<std::string> waiting_too_;
  std::vector<std::string> alarms_;
  std::vector<SessionAction> actions_;
};

}  // namespace tailrace
