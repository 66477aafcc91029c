// Takes staged files away that will never be committed. What it leaves behind, the janitor of this
// log finds. Thread: the road. A machine (store_procedure.h).
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/mutant.h"
#include "center/record.h"
#include "center/store_procedure.h"

namespace tailrace {

class RemoveStaged final : public StoreProcedure {
 public:
  // The files of a record that was sent, and of which it is not known whether it stands.
  struct Undecided {
    std::string name;  // of its entry
    std::string incarnation;
    uint64_t entry = 0;
    std::vector<std::string> staged;
  };
  // `unnamed`: no record that was ever sent names them.
  explicit RemoveStaged(const std::vector<std::string>& unnamed) : RemoveStaged(unnamed, {}) {}
  RemoveStaged(const std::vector<std::string>& unnamed, Undecided undecided)
      : staged_(unnamed.begin(), unnamed.end()), undecided_(std::move(undecided)) {}

  std::optional<StoreRequest> next() override {
    if (!staged_.empty()) return RemoveFileRequest{staged_.front()};
    if (!undecided_.staged.empty()) return ReadRequest{undecided_.name};
    return std::nullopt;
  }
  void on(const StoreReply& reply) override {
    if (!staged_.empty()) return staged_.pop_front();
    if (!stands_not(reply) && !mutant(Mutant::undecided_removed)) return undecided_.staged.clear();
    staged_.assign(undecided_.staged.begin(), undecided_.staged.end());
    undecided_.staged.clear();
  }

 private:
  // A FENCE has its name: it will never get it. Nothing else proves that, least of all absence.
  [[nodiscard]] bool stands_not(const StoreReply& reply) const {
    if (!reply.record) return false;
    const auto record = CommitRecord::decode(*reply.record);
    return record && record->kind == CommitRecord::Kind::fence &&
           record->incarnation == undecided_.incarnation && record->entry == undecided_.entry;
  }

  std::deque<std::string> staged_;
  Undecided undecided_;
};

}  // namespace tailrace
