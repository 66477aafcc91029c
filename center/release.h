// RELEASE: gives a lane away, by a claim NONE with what is committed of it. The caller sees to it
// that no record carries the lane any more. Thread: the road. A machine (store_procedure.h).
// docs/protocol.md, "Several Centers".
#pragma once

#include <utility>

#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class Release final : public StoreProcedure {
 public:
  Release(const Acquirer& me, LaneClaim none) : me_(me), none_(std::move(none)) {}

  std::optional<StoreRequest> next() override {
    if (ended_) return std::nullopt;
    return CasRequest{me_.names.claim(none_.lane, none_.epoch), none_.encode(),
                      Records::Parent::make};
  }
  void on(const StoreReply& reply) override {
    ended_ = true;
    released_ = !reply.error && reply.cas == Cas::won;
  }

  [[nodiscard]] const Lane& lane() const { return none_.lane; }
  // False: whose the lane is, or whether the claim stands, is not known any more.
  [[nodiscard]] bool released() const { return released_; }

 private:
  const Acquirer& me_;
  LaneClaim none_;
  bool ended_ = false;
  bool released_ = false;
};

}  // namespace tailrace
