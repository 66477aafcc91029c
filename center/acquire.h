// ACQUIRE: takes a lane whose last owner is gone: seals that owner's log, folds what it says into
// the claim's table, and wins the next epoch. Thread: the road. A machine (store_procedure.h).
// docs/protocol.md, "ACQUIRE".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "center/names.h"
#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class Acquire final : public StoreProcedure {
 public:
  // `claim_entry` is asked at the moment the claim is written: the incarnation's first entry whose
  // ranges are not in the claim's table. `me` and `sealed` must outlive this; `sealed` gets what is
  // learned. Of a part that nobody has owned yet the lane that was split must have ended.
  // `only_look`: finds out whether the lane was split, and takes nothing, unless a claim of this
  // incarnation stands there that it does not know of.
  Acquire(const Acquirer& me, SealedLogs& sealed, Lane lane, std::function<uint64_t()> claim_entry,
          uint64_t uuid, int64_t now_ms, bool only_look = false);

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  enum class Outcome { acquired, busy, split, lost, failed, looked };
  [[nodiscard]] Outcome outcome() const { return outcome_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] const Lane& lane() const { return lane_; }
  [[nodiscard]] bool only_looks() const { return only_look_; }
  [[nodiscard]] uint64_t epoch() const { return epoch_; }
  [[nodiscard]] const std::map<StreamKey, TableRow>& table() const { return table_; }
  // The log that was sealed on the way, for the janitor to finish; empty if none.
  [[nodiscard]] const std::string& sealed_log() const { return owner_; }
  // Where Locals reach whoever holds the lane: of `busy`.
  [[nodiscard]] const std::string& owner_address() const { return owner_address_; }

 private:
  enum class Step {
    list_claims,
    read_claim,
    read_table,
    list_parent,
    read_parent,
    take_over,
    look_again,
    write_claim,
    remove_tables,
    ended
  };
  void on_take_over(const StoreReply& reply);
  void on_names(const std::vector<std::string>& names);
  void on_parent_names(const std::vector<std::string>& names);
  void on_claim(const StoreReply& reply);
  void look_at_claim();
  void next_table();
  void on_parent(const StoreReply& reply);
  // What stands in the claim of `lane` that was read; nullopt: it is listed once more, or the end.
  std::optional<LaneClaim> claim_in(const StoreReply& reply, const Lane& lane, uint64_t epoch);
  void after_take_over();
  void end(Outcome outcome, Error error = {});

  const Acquirer& me_;
  SealedLogs& sealed_;
  Lane lane_;
  std::function<uint64_t()> ask_claim_entry_;
  uint64_t uuid_;
  int64_t now_ms_;
  bool only_look_;
  Step step_ = Step::list_claims;
  std::optional<TakeOver> take_over_;
  std::string owner_;
  std::string owner_address_;
  uint64_t epoch_ = 1;
  uint64_t parent_epoch_ = 0;
  LaneClaim claim_;                                    // the newest, brought forward by its table
  std::vector<std::pair<uint64_t, uint64_t>> tables_;  // that stand: epoch, entry
  uint64_t newest_table_ = 0;                          // of claim_; 0: none
  std::map<StreamKey, TableRow> table_;
  int relists_ = 0;
  Outcome outcome_ = Outcome::failed;
  Error error_;
};

}  // namespace tailrace
