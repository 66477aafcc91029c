// SEAL: walks an incarnation's commit log from an entry to its end and closes it there with a
// FENCE, so that nothing can be added any more; what it read tells where every lane stands. Thread:
// the road. A machine (store_procedure.h). docs/protocol.md, "ACQUIRE" and "JANITOR".
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "center/names.h"
#include "center/record.h"
#include "center/store_procedure.h"

namespace tailrace {

// What sealing learned: for each lane the last position of each stream among the entries read.
struct SealedLog {
  uint64_t from_entry = 0;
  std::map<Lane, std::map<StreamKey, TableRow>> lanes;
  std::optional<CommitRecord>
      last;  // the entry before the FENCE; its files may not be published yet

  // `table` and what this log says of `lane`, folded: the greater position of each stream.
  void fold_into(const Lane& lane, std::map<StreamKey, TableRow>& table) const;
};

class Seal final : public StoreProcedure {
 public:
  // `fence_uuid` names this attempt's FENCE; `now_ms` stands in it for people to read.
  Seal(StoreNames names, uint64_t cluster, uint64_t sink, std::string log, uint64_t from_entry,
       uint64_t fence_uuid, int64_t now_ms);

  std::optional<StoreRequest> next() override;
  void on(const StoreReply& reply) override;

  enum class Outcome {
    sealed,
    old_view,  // what it was to read is gone: list the claims again
    failed,    // error(): a record that cannot be understood; never guess
  };
  [[nodiscard]] Outcome outcome() const { return outcome_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] SealedLog& log() { return log_; }

 private:
  enum class Step {
    read_entry,
    list_absent,  // nothing stands there: the end, or folded into a manifest?
    write_fence,
    list_fence,  // a FENCE stands there: the end, or put where entries were folded?
    read_manifest,
    read_before_fence,
    ended
  };
  void on_record(const std::string& bytes);
  void on_names(const std::vector<std::string>& names);
  void on_manifest(const StoreReply& reply);
  void take(const std::vector<LaneRanges>& lanes);
  void fail(Error error);

  StoreNames names_;
  uint64_t cluster_;
  uint64_t sink_;
  std::string name_;
  uint64_t entry_;
  uint64_t fence_uuid_;
  int64_t now_ms_;
  Step step_ = Step::read_entry;
  std::optional<uint32_t> previous_crc_;
  std::pair<uint64_t, uint64_t> folded_;  // entries of the manifest to be read
  SealedLog log_;
  Outcome outcome_ = Outcome::failed;
  Error error_;
};

}  // namespace tailrace
