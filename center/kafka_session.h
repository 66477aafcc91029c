// A Center's session with Kafka: a lane a category, each with a producer of its own; lines and how
// far they reach go into one transaction. Opening a producer fences whoever had the lane before,
// and everything that was known of it is read again. A machine: events in, actions out. Thread: the
// road. Pure. docs/protocol.md, "Kafka".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/random.h"
#include "center/placement.h"
#include "center/sink_session.h"
#include "sinks/kafka/kafka_call.h"

namespace tailrace {

struct KafkaSessionOptions {
  bool paths = false;                // lines carry the path of their file
  bool fences = true;                // false: at least once, no Center keeps another from writing
  int64_t commit_ms = 1'000;         // after a transaction's first line
  uint64_t commit_bytes = 8u << 20;  // raw, of one transaction; one batch may exceed it
  uint64_t lane_bytes = 4u << 20;    // compressed, that wait for one lane's producer
  uint64_t all_bytes = 64u << 20;    // the same of all lanes; each may have 1 MiB all the same
  int64_t idle_ms = 300'000;         // then a producer is closed
  int64_t again_ms = 200;            // before the same call once more
  int64_t give_up_ms = 30'000;       // of answers `again` to one call in a transaction
  int64_t proved_ms = 2'000;  // so long after it was read or committed a lane is surely its own
  int64_t takeover_after_ms = 15'000;
  size_t opens = 16;  // at a time
  size_t most_categories = 4'096;
  size_t most_streams = 20'000;  // of a lane
};

struct CallKafka {
  KafkaCall call;
};
using KafkaAction =
    std::variant<CallKafka, TellCommitted, TellLane, TellReleased, TellElsewhere, Stopped, Trouble>;

class KafkaSession final : public SinkSession {
 public:
  // `state_uuid`, `address`: of this Center.
  KafkaSession(KafkaSessionOptions options, uint64_t sink, uint64_t state_uuid, std::string address,
               std::string name, Rng rng, Moment now);

  [[nodiscard]] std::vector<KafkaAction> take_actions();

  // --- events
  void tick(Moment now) override;
  // An answer; those of producers that are given up are nobody's.
  void replied(KafkaCall call, const KafkaReply& reply, Moment now);
  // take: it is on its way to the lane's producer.
  Judgement take(const std::string& category, KafkaBatch batch, Moment now);
  // Who may own lanes, this Center too, by state_uuid, and where each is reached.
  void centers(std::map<uint64_t, std::string> centers, Moment now);

  bool wish(const std::string& category, const StreamKey& stream, Moment now) override;
  [[nodiscard]] std::optional<TellElsewhere> elsewhere(const std::string& category,
                                                       const StreamKey& stream) const override;
  Judgement on_gap(const std::string& category, const StreamKey& stream, GapRange gap,
                   uint64_t chain_after, Moment now) override;
  void begin_at(const std::string& category, const StreamKey& stream,
                const Position& origin) override;
  void flush(uint64_t local_id) override;
  [[nodiscard]] std::optional<Position> retire(const std::string& category, const StreamKey& stream,
                                               Moment now) override;
  void doubt(const std::string& category, const StreamKey& stream) override;
  void connected(uint64_t, bool) override {}
  void presence(const Presence& presence, Moment now) override;
  void stop(bool everything) override;

  [[nodiscard]] std::optional<Standing> standing(const std::string& category,
                                                 const StreamKey& stream) const override;
  [[nodiscard]] bool takes(const std::string& category, const StreamKey& stream) const override;
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const std::vector<std::string>& addresses() const override { return addresses_; }
  [[nodiscard]] const IncarnationCounts& counts() const override { return counts_; }
  [[nodiscard]] size_t lanes() const override;  // with a producer
  [[nodiscard]] std::map<std::string, Waiting> waiting() const override;
  [[nodiscard]] size_t open_files() const override;  // transactions
  [[nodiscard]] size_t pending_files() const override { return 0; }
  [[nodiscard]] int64_t oldest_open_ms() const override;
  [[nodiscard]] std::string trouble() const override;
  // How often it lost what it had received: by fences, or Kafka was away for too long.
  [[nodiscard]] uint64_t losses() const { return losses_; }

 private:
  struct Row : StreamRow {
    uint64_t origin = 0;
    uint64_t lost = 0;
    Position written;  // into transactions, of what was received
    [[nodiscard]] KafkaPosition position(const StreamKey& key) const;
  };
  struct OwnedLane {
    enum class State : uint8_t {
      waiting,  // for its turn, or after a failure: until again_ms
      opening,
      reading,
      serving,
      resting,  // without a producer, and everything is committed
    };
    State state = State::waiting;
    uint64_t producer = 0;
    bool asked = false;              // a call is under way
    std::optional<KafkaCall> again;  // one that came back `again`
    int64_t again_ms = 0;            // mono: when it is made once more, or the next opening
    int64_t since_ms = -1;           // mono: of the first `again` in a row
    int64_t pause_ms = 0;            // before the last opening, after a failure
    uint64_t read_to = 0;            // how far the reading under way has come
    std::string trouble;
    std::string said;     // of it to the operator
    int64_t said_ms = 0;  // mono
    bool told = false;    // Locals think that it is here
    bool leaving = false;
    int64_t misplaced_ms = -1;  // since when it is another's by placement
    std::map<StreamKey, Row> rows;

    std::vector<KafkaBatch> queue;  // what no transaction has yet
    uint64_t queue_bytes = 0;
    bool whole = false;         // none of it is left to another: a GAP or a FINAL mark is behind it
    std::set<StreamKey> moved;  // whose rows say more than the last commit did
    // Of which Locals knew more; and those of them that the next transaction proves.
    std::set<StreamKey> doubts, proving;
    int64_t first_ms = -1;  // mono: since when any did; -1: none
    bool hurry = false;
    int64_t idle_since_ms = 0;  // mono
    int64_t proved_ms = 0;      // mono: when Kafka showed last that no other had opened it

    enum class Step : uint8_t { open, ending, committing };
    Step step = Step::open;
    bool wrote = false;               // something into the transaction
    std::vector<KafkaPosition> ends;  // that it says
    uint64_t raw_bytes = 0;           // of it and the queue
    uint64_t lines = 0;               // of it

    [[nodiscard]] bool owned() const {
      return (state == State::serving || state == State::resting) && !leaving;
    }
    [[nodiscard]] bool holds() const { return first_ms >= 0 || wrote; }
  };

  using Call = decltype(KafkaCall::what);
  [[nodiscard]] const OwnedLane* owner_of(const std::string& category) const;
  [[nodiscard]] const std::string* place_of(const std::string& category) const;
  [[nodiscard]] Judgement place(const OwnedLane* lane, const StreamKey& stream, uint64_t from,
                                uint64_t to) const;
  [[nodiscard]] bool reopens(const std::string& category) const;
  [[nodiscard]] bool full(const OwnedLane& lane, uint64_t part) const;
  void call(const std::string& category, OwnedLane& lane, Call what);
  // True: the lane has ended.
  bool step(const std::string& category, OwnedLane& lane);
  void step_transaction(const std::string& category, OwnedLane& lane);
  [[nodiscard]] std::vector<KafkaBatch> take_queue(OwnedLane& lane);
  void take_ends(OwnedLane& lane);
  bool step_out(const std::string& category, OwnedLane& lane);
  [[nodiscard]] bool waits_for_its_turn(const OwnedLane& lane) const;
  void open_some();
  void open(const std::string& category, OwnedLane& lane);
  void moved(OwnedLane& lane, const StreamKey& key);
  void read_again(OwnedLane& lane);
  void come_again(OwnedLane& lane, KafkaCall call, const KafkaReply& reply);
  void done(const std::string& category, OwnedLane& lane, const KafkaCall& call,
            const KafkaReply& reply);
  void read(const std::string& category, OwnedLane& lane, const KafkaReply& reply);
  void committed(const std::string& category, OwnedLane& lane);
  void failed(const std::string& category, OwnedLane& lane, const KafkaReply& reply);
  void stand_back(const std::string& category, OwnedLane& lane, const KafkaReply& reply);
  void pause(OwnedLane& lane);
  void forget(OwnedLane& lane);
  void tell_lane(const std::string& category, OwnedLane& lane);
  void tell_released(const std::string& category, OwnedLane& lane);
  void move_lanes();
  void set_centers(std::map<uint64_t, std::string> centers);
  void trouble(OwnedLane& lane, std::string text, bool at_once = false);
  static void no_trouble(OwnedLane& lane);

  KafkaSessionOptions options_;
  uint64_t sink_;
  uint64_t state_uuid_;
  std::string address_;
  std::string name_;
  Rng rng_;
  Moment now_;
  std::vector<KafkaAction> actions_;
  std::map<std::string, OwnedLane> lanes_;  // by category
  std::set<std::string> wished_;            // categories, ever
  std::map<uint64_t, std::string> centers_;
  std::vector<uint64_t> ids_;  // of those
  std::vector<std::string> addresses_;
  bool by_zookeeper_ = false;
  int64_t silent_since_ms_ = -1;  // ZooKeeper
  bool paused_ = false;
  uint64_t waiting_bytes_ = 0;  // of all queues
  uint64_t next_producer_ = 1;
  uint64_t losses_ = 0;
  bool stopping_ = false;
  bool stopped_ = false;
  IncarnationCounts counts_;
};

}  // namespace tailrace
