// A Center of the simulation: the hub that ships, with this world's wires, store and disasters.
// Thread: one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "center/hub.h"
#include "center/store_call.h"
#include "tests/sim/judge.h"
#include "tests/sim/topics.h"
#include "tests/sim/world.h"
#include "tests/sinks/memory_store.h"

namespace tailrace::sim {

// A store, and who looks at what is published there.
struct SinkOfSim {
  std::shared_ptr<testing::MemoryStore> store;
  std::shared_ptr<Topics> topics;  // null: it is a sink of files
  Judge* judge = nullptr;
  std::function<bool()> away;  // of Kafka: it answers nobody
};

class CenterProcess final : public Process {
 public:
  // `options.sinks` without their files; `sinks` as many.
  CenterProcess(World& world, const std::string& name, HubOptions options,
                std::vector<SinkOfSim> sinks, int64_t clock_off_ms);

  void start();
  // Side 1 of the wire is ours.
  void accept(std::shared_ptr<Wire> wire, const std::string& from);
  // That store cannot be reached, nor can it answer.
  void cut_off_for(size_t sink, int64_t ms) { shores_[sink].cut_off_until_ms = world_.now_ms + ms; }
  // STOP: commits, publishes, seals, ends; or ends so, after as long as a daemon takes over it.
  void leave(bool everything);
  void leave_in_time();  // else it is ended, as a supervisor does
  [[nodiscard]] bool takes() const { return !stopping_; }
  [[nodiscard]] bool drained() const { return hub_->stopped(); }
  [[nodiscard]] bool drained(size_t sink) const { return hub_->stopped(sink); }
  // Lines of that stream that it holds for the sink, and in which session.
  [[nodiscard]] uint64_t held(size_t sink, const std::string& category,
                              const StreamKey& stream) const {
    return hub_->held(sink, category, stream);
  }
  [[nodiscard]] Judge::Session session(size_t sink) const { return shores_[sink].session; }
  // Lives before the current ones.
  [[nodiscard]] uint64_t fences() const;
  // Files that something was cut out of.
  [[nodiscard]] uint64_t cuts() const { return cuts_; }
  // It says that a committed file is lost: where it was to be published.
  std::function<void(const std::string& path)> lost;

 private:
  using Answered = std::function<void(StoreReply)>;
  using Request = std::shared_ptr<const StoreRequest>;
  struct Call;  // on its way
  [[nodiscard]] Moment now() const { return {world_.now_ms, wall_ms()}; }
  void tick();
  // ZooKeeper's word, which may be wrong in any way.
  void look_around();
  void take(LinkId id, Frame& frame);
  void carry_out();
  void start_work(size_t sink, FinishWork work);
  void start_work(size_t sink, CommitEntry work);
  void start_work(size_t sink, PublishFile work);
  void start_work(size_t sink, RunProcedure work);
  void start_work(size_t sink, CallKafka work);
  void drive(size_t sink, std::shared_ptr<StoreProcedure> procedure, uint64_t life);
  void reply(size_t sink, const std::shared_ptr<const KafkaCall>& call, KafkaReply reply,
             uint64_t term);
  // One request until it is answered; `then` only while the sink's life is still `life`.
  void perform(size_t sink, Request request, uint64_t life, Answered then, int64_t pause_ms = 50);
  // Each goes its own way.
  void read_all(size_t sink, const std::vector<std::string>& names, uint64_t life, Answered then);
  // One try, over the network.
  void call(size_t sink, Request request, Answered then);
  [[nodiscard]] bool cut_off(size_t sink) const {
    return shores_[sink].cut_off_until_ms > world_.now_ms;
  }

  struct Shore {
    SinkOfSim sink;
    std::shared_ptr<Records> records;
    std::shared_ptr<Files> files;
    int64_t cut_off_until_ms = 0;
    uint64_t life = 1;
    Judge::Session session{};                           // of that life
    std::map<std::string, Topics::Producer> producers;  // of Kafka, by category
  };
  std::vector<Shore> shores_;
  std::unique_ptr<Hub> hub_;
  std::map<LinkId, std::shared_ptr<Wire>> wires_;
  LinkId next_link_ = 1;
  bool stopping_ = false;
  bool looked_ = false;
  uint64_t cuts_ = 0;
};

}  // namespace tailrace::sim
