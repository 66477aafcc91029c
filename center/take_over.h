// Whether an incarnation is gone, and the end of its log if it is: the first half of taking a lane
// over (acquire.h) and of finishing a dead log (janitor.h). Thread: the road. Machines
// (store_procedure.h). docs/protocol.md, "ACQUIRE" and "JANITOR".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "center/names.h"
#include "center/record.h"
#include "center/seal.h"
#include "center/store_procedure.h"

namespace tailrace {

// Who acquires, and what it may rest on.
struct Acquirer {
  StoreNames names;
  uint64_t cluster = 0;
  uint64_t sink = 0;
  std::string incarnation;
  std::string address;
  uint64_t state_uuid = 0;  // its lock is held: logs announced with it are of the dead
  // Those of others are gone when they neither wrote an entry nor answered for so long.
  int64_t takeover_after_ms = 15'000;
  // Incarnations of which ZooKeeper knew and that have gone (discovery/presence.h): not asked
  // first.
  std::set<std::string> gone{};

  // A claim that it writes: all but the lane, the table and the entry that it starts from.
  [[nodiscard]] LaneClaim claim(LaneClaim::Kind kind, uint64_t epoch, uint64_t uuid) const;
};

// The newest epoch among the names in a lane's or a log's directory; 0: none.
[[nodiscard]] uint64_t newest_epoch(const std::vector<std::string>& names);

class GoneCheck {
 public:
  // `me` must outlive it.
  // `uuid` names the question that it puts to that incarnation.
  GoneCheck(const Acquirer& me, std::string incarnation, uint64_t uuid);
  [[nodiscard]] std::optional<StoreRequest> next() const;
  void on(const StoreReply& reply);
  [[nodiscard]] bool gone() const { return gone_; }

 private:
  enum class Step {
    read_announcement,
    list_log,
    read_newest,
    ask,
    wait,
    read_question,
    list_again,
    remove_question,
    ended,
  };
  // Unless it is known to be gone.
  void ask();
  void end(bool gone);

  const Acquirer& me_;
  std::string incarnation_;
  std::string question_;
  Step step_ = Step::read_announcement;
  std::optional<uint64_t> newest_;
  int64_t waited_ms_ = 0;
  bool asked_ = false;  // and nobody has taken the question away
  bool gone_ = false;
};

class TakeOver {
 public:
  // Of the log of `incarnation`, from `from_entry` on. `me` and `logs` must outlive it; `logs` gets
  // what is learned, and whoever walks through that log already is waited for.
  TakeOver(const Acquirer& me, SealedLogs& logs, std::string incarnation, uint64_t from_entry,
           uint64_t fence_uuid, int64_t now_ms);
  [[nodiscard]] std::optional<StoreRequest> next();
  void on(const StoreReply& reply);

  enum class Outcome {
    sealed,    // log()
    alive,     // nothing was done to it
    old_view,  // a FENCE whose predecessor is gone: list the claims again
    failed,    // error()
  };
  [[nodiscard]] Outcome outcome() const { return outcome_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] const SealedLog& log() const { return *log_; }

 private:
  enum class Step { check, wait, walk, ended };
  void walk();
  void walked();
  void end(Outcome outcome);

  const Acquirer& me_;
  SealedLogs& logs_;
  std::string incarnation_;
  uint64_t from_entry_;
  uint64_t fence_uuid_;
  int64_t now_ms_;
  Step step_ = Step::check;
  GoneCheck check_;
  std::shared_ptr<Seal> seal_;
  std::shared_ptr<const SealedLog> log_;
  Outcome outcome_ = Outcome::failed;
  Error error_;
};

}  // namespace tailrace
