// A Center of the simulation: the hub that ships, with this world's wires, store and disasters.
// Thread: one.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "center/hub.h"
#include "center/store_call.h"
#include "tests/sim/judge.h"
#include "tests/sim/world.h"
#include "tests/sinks/memory_store.h"

namespace tailrace::sim {

class CenterProcess final : public Process {
 public:
  // `state_uuid` is its machine's: it stays when the process starts again.
  CenterProcess(World& world, Judge& judge, const std::string& name, HubOptions options,
                std::shared_ptr<testing::MemoryStore> store, int64_t clock_off_ms);

  void start();
  // Side 1 of the wire is ours.
  void accept(std::shared_ptr<Wire> wire, const std::string& from);
  // The store cannot be reached, nor can it answer.
  void cut_off_for(int64_t ms) { cut_off_until_ms_ = world_.now_ms + ms; }
  // STOP: commits, publishes, seals, ends; or ends so, after as long as a daemon takes over it.
  void drain(bool everything);
  [[nodiscard]] bool takes() const { return !stopping_; }
  [[nodiscard]] bool drained() const { return hub_->stopped(); }
  [[nodiscard]] const Hub& hub() const { return *hub_; }
  // Lines of that stream that it holds, and in which session.
  [[nodiscard]] uint64_t held(const std::string& category, const StreamKey& stream) const {
    return hub_->held(category, stream);
  }
  [[nodiscard]] Judge::Session session() const { return session_; }
  // Lives before the current one.
  [[nodiscard]] uint64_t fences() const { return hub_->life() - 1; }
  // Files that something was cut out of.
  [[nodiscard]] uint64_t cuts() const { return cuts_; }

 private:
  using Answered = std::function<void(StoreReply)>;
  [[nodiscard]] Moment now() const { return {world_.now_ms, wall_ms()}; }
  void tick();
  void take(LinkId id, Frame& frame);
  void carry_out();
  void start_work(FinishWork work);
  void start_work(CommitEntry work);
  void start_work(PublishFile work);
  void start_work(RunProcedure work);
  void drive(std::shared_ptr<StoreProcedure> procedure, uint64_t life);
  // One request until it is answered; `then` only while the hub's life is still `life`.
  void perform(const StoreRequest& request, uint64_t life, Answered then, int64_t pause_ms = 50);
  // One try, over the network.
  void call(const StoreRequest& request, Answered then);
  [[nodiscard]] bool cut_off() const { return cut_off_until_ms_ > world_.now_ms; }

  Judge& judge_;
  std::shared_ptr<testing::MemoryStore> store_;
  std::shared_ptr<Records> records_;
  std::shared_ptr<Files> files_;
  std::unique_ptr<Hub> hub_;
  std::map<LinkId, std::shared_ptr<Wire>> wires_;
  LinkId next_link_ = 1;
  uint64_t life_ = 1;
  Judge::Session session_;  // of that life
  bool stopping_ = false;
  uint64_t cuts_ = 0;
  int64_t cut_off_until_ms_ = 0;
};

}  // namespace tailrace::sim
