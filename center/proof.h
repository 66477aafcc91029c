// Proves that a commit log has not been sealed by somebody else: nothing stands where its next
// entry goes. For an incarnation that commits nothing and so does not notice by itself.
// Thread: the road. A machine (store_procedure.h). docs/protocol.md, "Local to Center".
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "center/store_procedure.h"

namespace tailrace {

class Proof final : public StoreProcedure {
 public:
  // `name`: of the log's next entry, number `entry`.
  Proof(std::string name, uint64_t entry) : name_(std::move(name)), entry_(entry) {}

  std::optional<StoreRequest> next() override {
    return ended_ ? std::nullopt : std::optional<StoreRequest>(ReadRequest{name_});
  }
  void on(const StoreReply& reply) override {
    ended_ = true;
    unknown_ = reply.error.has_value();
    stands_ = reply.record.has_value();
  }

  [[nodiscard]] uint64_t entry() const { return entry_; }
  [[nodiscard]] bool unknown() const { return unknown_; }  // the store did not answer
  [[nodiscard]] bool stands() const { return stands_; }    // an entry of that number is there

 private:
  const std::string name_;
  const uint64_t entry_;
  bool ended_ = false;
  bool unknown_ = false;
  bool stands_ = false;
};

}  // namespace tailrace
