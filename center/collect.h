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
  // False if it stopped at something that it could not read; what that said still stands.
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  enum class Step {
    categories,
    lanes,
    claims,
    read_claim,
    logs,
    log_names,
    log_claim,
    fold,
    ended
  };
  void next_lane();
  void next_log();
  void on_log_names(const StoreReply& reply);

  const StoreNames names_;
  const uint64_t uuid_;
  Step step_ = Step::categories;
  std::deque<std::string> categories_;
  std::deque<Lane> lanes_;
  std::deque<std::string> logs_;
  Fold::Plan plan_;  // of the log at hand
  std::optional<Fold> fold_;
  std::set<std::string> referred_;
  uint64_t epoch_ = 0;
  bool complete_ = true;
};

}  // namespace tailrace
