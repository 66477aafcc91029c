// Folds a log's older entries into manifests and removes them: what RECLAIM does with the own log,
// and GC with one that is DONE. Thread: the road. A machine (store_procedure.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "center/names.h"
#include "center/record.h"
#include "center/store_procedure.h"

namespace tailrace {

class Fold {
 public:
  // The entries [first, end) of `log`. Below `covered` a manifest tells already what they said (a
  // fold that died before it had removed them): those are only removed.
  struct Plan {
    std::string log;
    uint64_t first = 1;
    uint64_t end = 1;
    uint64_t covered = 0;
  };
  // `names` must outlive it; `uuid` names the manifests.
  Fold(const StoreNames& names, Plan plan, uint64_t uuid);

  [[nodiscard]] std::optional<StoreRequest> next() const;
  void on(const StoreReply& reply);
  // The oldest entry that still stands; `end` once all is done.
  [[nodiscard]] uint64_t first() const { return plan_.first; }
  // Why it stopped short of `end`.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  enum class Step { read, write, remove, ended };
  void go_on();
  void on_entry(const StoreReply& reply);
  void fail(Error error);

  const StoreNames& names_;
  Plan plan_;
  const uint64_t uuid_;
  Step step_ = Step::ended;
  uint64_t entry_ = 0;  // the next one to fold; those below stand in a manifest
  Manifest manifest_;
  std::optional<Error> error_;
};

// What the names in a log's directory say of it: the entries that stand but for 0 and the newest
// two, and how far manifests reach.
[[nodiscard]] Fold::Plan plan_fold(std::string log, const std::vector<std::string>& names);

}  // namespace tailrace
