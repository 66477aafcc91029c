// Looks who is there and who is over, and answers who asks whether this incarnation lives: by
// taking the question away. Nothing is written while nobody asks. Thread: the road. A machine
// (store_procedure.h). docs/protocol.md, "Several Centers".
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "center/record.h"
#include "center/store_procedure.h"
#include "center/take_over.h"

namespace tailrace {

// Announced incarnations, oldest first. An announcement that cannot be read is an empty one.
using Announced = std::map<std::string, Announcement>;

class RollCall final : public StoreProcedure {
 public:
  // `before`: what the last one found; only those that are new, or could not be read, are read.
  // `mine`: announced again if somebody took it down; nullopt: not any more.
  RollCall(const Acquirer& me, Announced before, std::optional<Announcement> mine)
      : me_(me), before_(std::move(before)), mine_(std::move(mine)) {}

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  // The store did not say who is there.
  [[nodiscard]] bool unknown() const { return unknown_; }
  [[nodiscard]] const Announced& announced() const { return announced_; }
  // Those among them whose logs are sealed and not finished yet.
  [[nodiscard]] const std::set<std::string>& over() const { return over_; }

 private:
  void take_names(const std::vector<std::string>& names);

  const Acquirer& me_;
  Announced before_;
  std::optional<Announcement> mine_;  // to be announced
  bool listed_ = false;
  bool unknown_ = false;
  Announced announced_;
  std::deque<std::string> unread_;
  std::set<std::string> over_;
  // What asks or says something of me, and then of those that are not announced any more.
  std::deque<std::string> questions_;
};

}  // namespace tailrace
