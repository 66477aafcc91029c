// GC: of logs that are DONE and that no lane's newest claim refers to, removes all entries but the
// FENCE and the one before it. Never a log directory, never an own claim.
// Thread: the road. A machine (store_procedure.h). docs/protocol.md, "GC".
#pragma once

#include <deque>
#include <set>
#include <string>

#include "center/names.h"
#include "center/record.h"
#include "center/store_procedure.h"

namespace tailrace {

class Collect final : public StoreProcedure {
 public:
  explicit Collect(StoreNames names);

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;
  // False if it stopped at something that it could not read: nothing of that log was removed.
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
    remove,
    ended
  };
  void next_lane();
  void next_log();
  void on_log_names(const StoreReply& reply);

  StoreNames names_;
  Step step_ = Step::categories;
  std::deque<std::string> categories_;
  std::deque<Lane> lanes_;
  std::deque<std::string> logs_;
  std::deque<uint64_t> entries_;  // of the log at hand, those to remove
  std::set<std::string> referred_;
  uint64_t epoch_ = 0;
  bool complete_ = true;
};

}  // namespace tailrace
