// Looks who is there, and answers who asks whether this incarnation lives: by taking the question
// away. Nothing is written while nobody asks. Thread: the road. A machine (store_procedure.h).
// docs/protocol.md, "Several Centers".
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class RollCall final : public StoreProcedure {
 public:
  explicit RollCall(const Acquirer& me) : me_(me) {}

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  // The store did not say who is there.
  [[nodiscard]] bool unknown() const { return unknown_; }
  // Announced incarnations, this one too, oldest first.
  [[nodiscard]] const std::vector<std::string>& announced() const { return announced_; }

 private:
  const Acquirer& me_;
  bool listed_ = false;
  bool unknown_ = false;
  std::vector<std::string> announced_;
  std::deque<std::string> questions_;  // to me, and to those that are not announced any more
};

}  // namespace tailrace
