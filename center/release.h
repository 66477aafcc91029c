// RELEASE and SPLIT: a lane ends here, by a claim NONE or SPLIT with what is committed of it. The
// caller sees to it that no record carries the lane any more. Thread: the road. A machine
// (store_procedure.h). docs/protocol.md, "Several Centers".
#pragma once

#include <utility>

#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class Release final : public StoreProcedure {
 public:
  Release(const Acquirer& me, LaneClaim last) : me_(me), last_(std::move(last)) {}

  std::optional<StoreRequest> next() override {
    if (ended_) return std::nullopt;
    return CasRequest{me_.names.claim(last_.lane, last_.epoch), last_.encode(),
                      Records::Parent::make};
  }
  void on(const StoreReply& reply) override {
    ended_ = true;
    released_ = !reply.error && reply.cas == Cas::won;
  }

  [[nodiscard]] const Lane& lane() const { return last_.lane; }
  [[nodiscard]] bool split() const { return last_.kind == LaneClaim::Kind::split; }
  // False: whose the lane is, or whether the claim stands, is not known any more.
  [[nodiscard]] bool released() const { return released_; }

 private:
  const Acquirer& me_;
  LaneClaim last_;
  bool ended_ = false;
  bool released_ = false;
};

}  // namespace tailrace
