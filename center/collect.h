// GC: of logs that are DONE and that no lane's newest claim refers to, folds all entries but the
// first, the FENCE and the one before it into manifests. Never removes a log directory or a claim.
// Thread: the road. A machine (store_procedure.h). docs/protocol.md, "GC".
#pragma once

#include <deque>
#include <set>
#include <string>

#include "center/fold.h"
#include "center/names.h"
#include "center/record.h"
#include "center/store_procedure.h"

namespace tailrace {

class Collect final : public StoreProcedure {
 public:
  // `uuid` names the manifests.
  Collect(StoreNames names, uint64_t uuid);

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;
  // It ends with the next answer; the rest is another time's.
  void stop() { stop_ = true; }
  // False if it stopped at something that it could not read; what that said still stands.
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  enum class Step {
    logs,
    log_names,
    log_claim,
    categories,
    lanes,
    claims,
    read_claim,
    done_names,
    fold,
    ended
  };
  void take(const StoreReply& reply);
  void stop_short();
  void on_log_names(const StoreReply& reply);
  void next_log();
  void next_lane();
  void next_done();

  const StoreNames names_;
  const uint64_t uuid_;
  Step step_ = Step::logs;
  std::deque<std::string> logs_;
  std::deque<std::string> done_;  // of those
  std::deque<std::string> categories_;
  std::deque<Lane> lanes_;
  std::set<std::string> referred_;
  std::optional<Fold> fold_;
  uint64_t epoch_ = 0;
  bool stop_ = false;
  bool complete_ = true;
};

}  // namespace tailrace
