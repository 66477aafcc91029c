// Takes a staged file away that will never be committed. What it leaves behind, the janitor of this
// log finds. Thread: the road. A machine (store_procedure.h).
#pragma once

#include <string>
#include <utility>

#include "center/store_procedure.h"

namespace tailrace {

class RemoveStaged final : public StoreProcedure {
 public:
  explicit RemoveStaged(std::string staged) : staged_(std::move(staged)) {}

  std::optional<StoreRequest> next() override {
    if (ended_) return std::nullopt;
    return RemoveFileRequest{staged_};
  }
  void on(const StoreReply& /*reply*/) override { ended_ = true; }

 private:
  std::string staged_;
  bool ended_ = false;
};

}  // namespace tailrace
