// RELEASE and SPLIT: a lane ends here, by a claim NONE or SPLIT with what is committed of it; its
// table goes. The caller sees to it that no record carries the lane any more. Thread: the road. A
// machine (store_procedure.h). docs/protocol.md, "Several Centers".
#pragma once

#include <utility>

#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

class Release final : public StoreProcedure {
 public:
  // `table`: the entry of the table that it has; 0: none.
  Release(const Acquirer& me, LaneClaim last, uint64_t table)
      : me_(me), last_(std::move(last)), table_(table) {}

  std::optional<StoreRequest> next() override {
    if (ended_) return std::nullopt;
    if (released_) return RemoveRequest{me_.names.table(last_.lane, last_.epoch - 1, table_)};
    return CasRequest{me_.names.claim(last_.lane, last_.epoch), last_.encode(),
                      Records::Parent::make};
  }
  void on(const StoreReply& reply) override {
    ended_ = released_ || table_ == 0;
    if (released_) return;
    released_ = !reply.error && reply.cas == Cas::won;
    ended_ = ended_ || !released_;
  }

  [[nodiscard]] const Lane& lane() const { return last_.lane; }
  [[nodiscard]] bool split() const { return last_.kind == LaneClaim::Kind::split; }
  // False: whose the lane is, or whether the claim stands, is not known any more.
  [[nodiscard]] bool released() const { return released_; }

 private:
  const Acquirer& me_;
  LaneClaim last_;
  uint64_t table_;
  bool ended_ = false;
  bool released_ = false;
};

}  // namespace tailrace
