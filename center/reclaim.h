// RECLAIM: claims own lanes, and the log itself, once more with the committed tables, so that older
// entries are needed by nobody; folds these into a manifest and removes them.
// Thread: the road. A machine (store_procedure.h). docs/protocol.md, "RECLAIM".
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "center/fold.h"
#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class Reclaim final : public StoreProcedure {
 public:
  struct Plan {
    std::vector<Lane> lanes;   // all that are owned
    uint64_t log_epoch = 0;    // of the log's newest own claim
    uint64_t first_entry = 1;  // oldest entry, but for 0, that still stands
  };
  // `next_claim` makes a lane's next claim at the moment it is written: epoch one higher, the
  // committed table, claim_entry the next entry. `newest_entry`: the last entry that was won
  // (removed never).
  Reclaim(const Acquirer& me, Plan plan, std::function<LaneClaim(const Lane&)> next_claim,
          uint64_t newest_entry, uint64_t uuid);

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  enum class Outcome { done, fenced, failed };
  [[nodiscard]] Outcome outcome() const { return outcome_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] const std::vector<LaneClaim>& claims() const { return won_; }
  [[nodiscard]] uint64_t log_epoch() const { return plan_.log_epoch; }
  [[nodiscard]] uint64_t first_entry() const { return plan_.first_entry; }

 private:
  enum class Step { claim_lane, claim_log, fold, ended };
  void after_lanes();
  void end(Outcome outcome, Error error = {});

  const Acquirer& me_;
  Plan plan_;
  std::function<LaneClaim(const Lane&)> next_claim_;
  uint64_t newest_entry_;
  uint64_t uuid_;
  Step step_ = Step::claim_lane;
  size_t lane_ = 0;
  std::optional<LaneClaim> claim_;  // under way
  std::vector<LaneClaim> won_;
  uint64_t floor_ = 0;  // entries below it go
  std::optional<Fold> fold_;
  Outcome outcome_ = Outcome::failed;
  Error error_;
};

}  // namespace tailrace
