// START: makes a new incarnation's log, its first own claim and its announcement.
// Thread: the road. A machine (store_procedure.h). docs/protocol.md, "START".
#pragma once

#include <optional>

#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class StartLog final : public StoreProcedure {
 public:
  StartLog(const Acquirer& me, Announcement announcement, uint64_t uuid)
      : me_(me), announcement_(std::move(announcement)), uuid_(uuid) {}

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  // False: the name was used before (a random number repeated): take another.
  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  enum class Step { make_log, claim_log, announce, ended };
  const Acquirer& me_;
  Announcement announcement_;
  uint64_t uuid_;
  Step step_ = Step::make_log;
  bool started_ = false;
  std::optional<Error> error_;
};

}  // namespace tailrace
