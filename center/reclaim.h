// RECLAIM: writes a table of each own lane (lane_table.h) in place of the one before, claims the
// log itself once more, and folds what is older into manifests. Thread: the road. A machine
// (store_procedure.h). docs/protocol.md, "RECLAIM".
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "center/fold.h"
#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class Reclaim final : public StoreProcedure {
 public:
  struct Plan {
    // All that are owned, and the entry of the table that each has; 0: none.
    std::vector<std::pair<Lane, uint64_t>> lanes;
    uint64_t log_epoch = 0;    // of the log's newest own claim
    uint64_t first_entry = 1;  // oldest entry, but for 0, that still stands
  };
  // `table` makes a lane's table at the moment it is written: of the claim that is owned, with what
  // is committed, claim_entry the next entry. `newest_entry`: the last entry that was won (removed
  // never).
  Reclaim(const Acquirer& me, Plan plan, std::function<LaneClaim(const Lane&)> table,
          uint64_t newest_entry, uint64_t uuid);

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  // It ends with the next answer that leaves nothing half done; the rest is another time's.
  void stop() { stop_ = true; }
  // All tables, and the log's claim, are written: lanes may go.
  [[nodiscard]] bool folds() const { return step_ == Step::fold; }

  enum class Outcome { done, fenced, failed };
  [[nodiscard]] Outcome outcome() const { return outcome_; }
  [[nodiscard]] const Error& error() const { return error_; }
  // As in the plan, as far as it came.
  [[nodiscard]] const std::vector<std::pair<Lane, uint64_t>>& lanes() const { return plan_.lanes; }
  [[nodiscard]] uint64_t log_epoch() const { return plan_.log_epoch; }
  [[nodiscard]] uint64_t first_entry() const { return plan_.first_entry; }

 private:
  enum class Step { write_table, remove_table, claim_log, fold, ended };
  void next_lane();
  void after_lanes();
  void end(Outcome outcome, Error error = {});

  const Acquirer& me_;
  Plan plan_;
  std::function<LaneClaim(const Lane&)> make_table_;
  uint64_t newest_entry_;
  uint64_t uuid_;
  Step step_ = Step::write_table;
  size_t lane_ = 0;
  std::optional<LaneClaim> table_;  // of that lane: under way, or replacing the one before
  uint64_t floor_ = 0;              // entries below it go
  std::optional<Fold> fold_;
  bool stop_ = false;
  Outcome outcome_ = Outcome::failed;
  Error error_;
};

}  // namespace tailrace
