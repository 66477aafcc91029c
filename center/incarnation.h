// One session of a Center with one store: who owns which lane, what is open, committed, published.
// The root machine: events in, actions out; center/center.cc carries the actions out, and so does a
// simulation. When it is FENCED it is thrown away and a new one is made.
// Thread: the road. Pure. docs/protocol.md, "Center: life of an incarnation".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "center/acquire.h"
#include "center/category.h"
#include "center/collect.h"
#include "center/commit_log.h"
#include "center/fewest_files.h"
#include "center/janitor.h"
#include "center/loudness.h"
#include "center/placement.h"
#include "center/proof.h"
#include "center/reclaim.h"
#include "center/release.h"
#include "center/remove_staged.h"
#include "center/roll_call.h"
#include "center/sink_session.h"
#include "center/start_log.h"
#include "center/wishes.h"
#include "sinks/layout.h"
#include "sinks/timezone.h"

namespace tailrace {

struct IncarnationOptions {
  std::string center;  // name, part of published names
  std::string version;
  RollPolicy roll;
  FileFormats formats;
  SplitPolicy split;
  CommitLogLimits log;
  uint64_t reclaim_entries = 4096;
  int64_t reclaim_ms = 7 * 86'400'000ll;
  int64_t collect_ms = 3'600'000;
  size_t acquires = 16;  // at a time
  size_t most_categories = 4'096;
  // Streams of one lane: its table, and a record that names them all, stay below 1 MiB.
  size_t most_streams = 20'000;
};

// --- actions: what the machine wants done -----------------------------------------------------
struct FinishFile {  // flush, make whole and durable (UPLOAD), then file_finished()
  OpenFileId file = 0;
  std::string category;
  std::string staged;
  // Not empty: without the extents that have these tags, in a new staged file.
  std::vector<uint64_t> dropped;
};
struct DropFile {  // will never be committed
  OpenFileId file = 0;
};
struct CommitEntry {  // CAS(name, record), then commit_done()
  std::string name;
  std::string record;
};
struct PublishFile {  // then publish_done()
  FileRef file;
};
struct RunProcedure {  // drive it to its end, then procedure_done()
  std::shared_ptr<StoreProcedure> procedure;
};
struct TellSplit {  // a lane has ended: Locals ask for the parts that their streams are in
  Lane lane;
};
struct Fenced {  // this incarnation is over
  std::string reason;
};
struct GoneFile {  // of a log that another left: neither staged nor published (any more)
  FileRef file;
  std::string log;
};
struct LostFile {  // it was committed, and is neither staged nor published: somebody removed it
  CommittedFile file;
  std::string ranges;  // the lines that it may have held, for a person
};
using CenterAction = std::variant<FinishFile, DropFile, CommitEntry, PublishFile, RunProcedure,
                                  TellCommitted, TellLane, TellReleased, TellSplit, TellElsewhere,
                                  Fenced, Stopped, Trouble, LostFile, GoneFile>;

class Incarnation final : public SinkSession {
 public:
  // `rng` names records and files; `not_before_ms` (mono): no ACQUIRE earlier (after a fence).
  Incarnation(IncarnationOptions options, Acquirer me, Layout layout, TimeZone zone, Rng rng,
              Moment now, int64_t not_before_ms);
  ~Incarnation() override;

  // What has to be done since the last call, in order.
  [[nodiscard]] std::vector<CenterAction> take_actions();

  // --- events -----------------------------------------------------------------------------------
  void tick(Moment now) override;
  bool wish(const std::string& category, const StreamKey& stream, Moment now) override;
  [[nodiscard]] std::optional<TellElsewhere> elsewhere(const std::string& category,
                                                       const StreamKey& stream) const override;

  // take: write it to `file`, then took(); or not_taken().
  struct Verdict {
    using Kind = Judgement;
    Kind kind{};
    Position position;
    OpenFile* file = nullptr;
    uint64_t lane_tag = 0;      // (lane, epoch), for the writer
    bool clock_skewed = false;  // its bucket is impossible: it is filed under my time
  };
  Verdict judge(const std::string& category, const StreamKey& stream, const BatchFields& fields,
                Moment now);
  // The batch just judged `take` was written; the file is `file_bytes` long now.
  void took(const std::string& category, const StreamKey& stream, const BatchFields& fields,
            const Verdict& verdict, uint64_t file_bytes, Moment now);
  // It could not be staged: the file is forgotten if nothing is in it.
  void not_taken(const std::string& category, const Verdict& verdict);
  Judgement on_gap(const std::string& category, const StreamKey& stream, GapRange gap,
                   uint64_t chain_after, Moment now) override;
  void begin_at(const std::string& category, const StreamKey& stream,
                const Position& origin) override;
  void flush(uint64_t local_id) override;
  [[nodiscard]] std::optional<Position> retire(const std::string& category, const StreamKey& stream,
                                               Moment now) override;
  void doubt(const std::string& category, const StreamKey& stream) override;
  void connected(uint64_t local_id, bool is_connected) override;
  // Without ZooKeeper, or while it does not know, all of this is found out from the store alone.
  void presence(const Presence& presence, Moment now) override;

  // `staged`: where it lies now, if something was cut out of it.
  void file_finished(OpenFileId file, uint64_t bytes, uint64_t xxh3,
                     const std::string& staged = {});
  void commit_done(Result<Cas> outcome, Moment now);
  void publish_done(const std::string& stage, const Result<Published>& outcome, Moment now);
  void procedure_done(const StoreProcedure& procedure, Moment now);
  void fail(std::string reason);  // the store or a file failed for good: as FENCED
  void stop(bool everything) override;
  // Once it is over: takes away what it staged and no record will ever name.
  [[nodiscard]] std::shared_ptr<RemoveStaged> clear_up() const;

  // --- what others ask
  [[nodiscard]] const Acquirer& me() const { return me_; }
  [[nodiscard]] const std::string& name() const override { return me_.incarnation; }
  [[nodiscard]] const std::vector<std::string>& addresses() const override { return addresses_; }
  // Those among whom lanes are placed, this one too, by state_uuid, and where each is reached;
  // empty: not known yet, or not any more, since the store has not answered for long.
  [[nodiscard]] std::map<uint64_t, std::string> centers() const;
  [[nodiscard]] std::optional<Standing> standing(const std::string& category,
                                                 const StreamKey& stream) const override;
  [[nodiscard]] const IncarnationCounts& counts() const override { return counts_; }
  [[nodiscard]] bool takes(const std::string& category, const StreamKey& stream) const override;
  [[nodiscard]] size_t lanes() const override { return lanes_.size(); }
  [[nodiscard]] std::map<std::string, Waiting> waiting() const override;
  [[nodiscard]] size_t open_files() const override;
  [[nodiscard]] int64_t oldest_open_ms() const override;  // as Category::oldest_ms
  [[nodiscard]] size_t pending_files() const override { return log_.pending().size(); }
  [[nodiscard]] std::string trouble() const override;

 private:
  struct Row : StreamRow {
    Bucket last_bucket = 0;
    OpenFileId last_file = 0;  // that its newest lines went to
  };
  enum class Leaving { no, emptying, claiming };
  struct OwnedLane {
    Leaving leaving = Leaving::no;
    bool splits = false;  // it leaves by being split
    Loudness loudness;
    int64_t misplaced_ms = -1;  // since when it is another's by placement
    uint64_t epoch = 0;
    uint64_t table = 0;  // the entry of the table that it has; 0: none
    uint64_t tag = 0;
    std::map<StreamKey, Row> rows;
  };
  struct Publishing {
    CommittedFile file;
    std::shared_ptr<const CommitRecord> record;  // that committed it
    bool under_way = false;
    int64_t since_ms = 0;  // under way
    int64_t again_ms = 0;
    int64_t pause_ms = 0;  // after it failed
  };

  // The lane that a stream is in now, as far as is known.
  [[nodiscard]] Lane lane_now(const std::string& category, const StreamKey& stream) const;
  [[nodiscard]] const OwnedLane* owner_of(const std::string& category, const StreamKey& stream,
                                          Lane* lane) const;
  OwnedLane* owner_of(const std::string& category, const StreamKey& stream, Lane* lane);
  // Lines [from, to) against what was received of their stream; `take`: they reach beyond it.
  Verdict place(OwnedLane* owned, const StreamKey& stream, uint64_t from, uint64_t to);
  Category& category(const std::string& name);
  // The target size of a category's files.
  [[nodiscard]] uint64_t roll_bytes(const std::string& category) const {
    return options_.roll.bytes_of(options_.formats(category));
  }
  OpenFile& open_file(Category& files, const FileKey& key, Bucket bucket, Moment now);
  [[nodiscard]] bool held_up(const std::string& category) const;
  void count_published(const CommittedFile& file);
  void close(Category& category, int64_t directory_end_ms);
  void queue_ready(Category& category, Moment now);
  void roll(Moment now);
  [[nodiscard]] const Announcement* place_of(const Lane& lane) const;
  void roll_called(const RollCall& roll_call, Moment now);
  void look_after_the_next(Moment now);
  void place_centers();
  void give_away_wishes();
  void move_lanes(Moment now);
  void begin_release(const Lane& lane, OwnedLane& owned);
  void split_loud(const std::string& category, Moment now);
  void end_lane(const Lane& lane, OwnedLane& owned);
  void released(const Release& release);
  void was_split(const Lane& lane);
  void look_at(const Lane& lane, Moment now);
  void acquire(const Lane& lane, Moment now, bool only_look);
  void drop(const std::vector<FileToDrop>& files);
  void give_up_lanes();
  void start_wishes(Moment now);
  void start_janitor(Moment now);
  void start_upkeep(Moment now);
  void start_roll_call(Moment now);
  void start_proof(Moment now);
  void proved(const Proof& proof, Moment now);
  void look_whether_unsure(Moment now);
  void sure(Moment now);
  void start_publishing(Moment now);
  void commit_next(Moment now);
  void step_stop(Moment now);
  void acquired(const Acquire& acquire, Moment now);
  void janitor_done(const Janitor& janitor, Moment now);
  void reclaimed(const Reclaim& reclaim, Moment now);
  // What is committed of a lane: its next claim, or a table beside the one that stands.
  LaneClaim committed_of(const Lane& lane, uint64_t epoch);
  void run(std::shared_ptr<StoreProcedure> procedure);
  void trouble(const std::string& key, std::string text);

  IncarnationOptions options_;
  Acquirer me_;
  Layout layout_;
  TimeZone zone_;
  Rng rng_;
  CommitLog log_;
  std::vector<CenterAction> actions_;
  bool started_ = false;
  bool fenced_ = false;
  int64_t not_before_ms_;
  FewestFiles fewest_files_;
  Moment now_;

  std::map<Lane, OwnedLane> lanes_;
  std::map<std::string, Category> categories_;
  OpenFileId next_file_ = 1;
  uint64_t next_tag_ = 1;
  std::map<OpenFileId, std::string> file_category_;  // being finished
  std::map<std::string, Publishing> publishing_;     // by stage
  std::set<uint64_t> connected_;

  SealedLogs sealed_;
  Wishes wishes_;
  std::set<std::string> wished_;  // categories, ever
  std::map<Lane, std::shared_ptr<Acquire>> acquiring_;
  std::set<Lane> split_;                   // that have ended, as far as is known
  std::map<Lane, int64_t> look_again_ms_;  // another's by placement: when it was looked at
  struct UnfinishedLog {
    int64_t again_ms = 0;  // when the janitor comes (again)
    bool tried = false;
    bool neighbour = false;        // it may well live: a stop does not wait for it
    std::set<std::string> told{};  // staged files that are gone, which was said
  };
  std::map<std::string, UnfinishedLog> unfinished_logs_;
  std::shared_ptr<Janitor> janitor_;
  std::shared_ptr<Reclaim> reclaim_;
  std::shared_ptr<Collect> collect_;
  std::shared_ptr<RollCall> roll_call_;
  int64_t next_roll_call_ms_ = 0;
  bool counted_ = false;    // a roll call has ended
  int64_t counted_ms_ = 0;  // mono: the last one
  Announcement mine_;
  // My announcement. `unexplained`: I am not over; it is made again.
  enum class Missing { no, found, unexplained };
  Missing missing_ = Missing::no;
  Announced announced_;
  std::set<std::string> over_;  // of those that are announced: their logs are sealed
  std::set<uint64_t> leaving_;  // state_uuids of Centers that say that they are about to leave
  bool paused_ = false;         // by the operator: no lane moves for balance
  // By state_uuid, those that take lanes; and what the others say, into announced_.
  std::vector<uint64_t> centers_;
  std::map<uint64_t, const Announcement*> center_says_;
  std::vector<std::string> addresses_;
  size_t releasing_ = 0;  // claims NONE and SPLIT under way
  std::shared_ptr<Proof> proof_;
  // Whose Locals knew more. Nothing is said of where they stand until a proof that began later.
  std::set<std::pair<std::string, StreamKey>> doubts_;
  std::set<std::pair<std::string, StreamKey>> proving_;  // answered by the proof under way
  std::shared_ptr<StartLog> start_;
  uint64_t log_epoch_ = 1;
  uint64_t first_entry_ = 1;
  int64_t last_reclaim_ms_;
  int64_t next_collect_ms_;
  int64_t proved_ms_;  // when it was last known not to be over: by a commit or a proof
  int64_t next_proof_ms_ = 0;
  bool unsure_ = false;  // that was long ago: nothing is taken, and nothing said of positions

  enum class Stopping { no, draining, sealing, sweeping, ended };
  Stopping stopping_ = Stopping::no;
  std::map<std::string, std::string> troubles_;
  IncarnationCounts counts_;
};

}  // namespace tailrace
