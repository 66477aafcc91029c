// SEAL: walks an incarnation's commit log from an entry to its end and closes it there with a
// FENCE, so that nothing can be added any more; what it read tells where every lane stands. Of a
// long log several entries are read at the same time. And what was learned so of all logs. Thread:
// the road. A machine (store_procedure.h). docs/protocol.md, "ACQUIRE" and "JANITOR".
#pragma once

#include <map>
#include <memory>
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
  // `fence_uuid` names this attempt's FENCE; `now_ms` stands in it for people to read. `known`: of
  // this log from a later entry on; it is not read again.
  Seal(StoreNames names, uint64_t cluster, uint64_t sink, std::string log, uint64_t from_entry,
       uint64_t fence_uuid, int64_t now_ms, std::shared_ptr<const SealedLog> known = nullptr);

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
    read_entries,
    list_absent,  // nothing stands there: the end, or folded into a manifest?
    write_fence,
    list_fence,  // a FENCE stands there: the end, or put where entries were folded?
    read_manifest,
    read_before_fence,
    ended
  };
  void on_records(const std::vector<std::optional<std::string>>& records);
  void on_absent();
  void on_record(const std::string& bytes);
  void on_names(const std::vector<std::string>& names);
  void on_manifest(const StoreReply& reply);
  void take(const std::vector<LaneRanges>& lanes);
  void take_row(const Lane& lane, const TableRow& row);
  void look_at_known();
  void fail(Error error);

  StoreNames names_;
  uint64_t cluster_;
  uint64_t sink_;
  std::string name_;
  uint64_t entry_;
  uint64_t fence_uuid_;
  int64_t now_ms_;
  Step step_ = Step::read_entries;
  size_t ahead_ = 1;  // how many entries are asked for at the same time
  std::optional<uint32_t> previous_crc_;
  std::pair<uint64_t, uint64_t> folded_;  // entries of the manifest to be read
  SealedLog log_;
  std::shared_ptr<const SealedLog> known_;
  Outcome outcome_ = Outcome::failed;
  Error error_;
};

// The logs that an incarnation has sealed. Such a log never changes, so one walk serves all its
// lanes: whoever needs it meanwhile waits.
class SealedLogs {
 public:
  // What is known of it, if that is all from this entry on; null: it is not.
  [[nodiscard]] std::shared_ptr<const SealedLog> find(const std::string& log,
                                                      uint64_t from_entry) const;
  // Null as long as another walk of that log is under way. add() what it learns.
  [[nodiscard]] std::shared_ptr<Seal> walk(const StoreNames& names, uint64_t cluster, uint64_t sink,
                                           const std::string& log, uint64_t from_entry,
                                           uint64_t fence_uuid, int64_t now_ms);
  std::shared_ptr<const SealedLog> add(const std::string& log, SealedLog learned);

 private:
  std::map<std::string, std::shared_ptr<const SealedLog>> known_;
  std::map<std::string, std::weak_ptr<const Seal>> walks_;
};

}  // namespace tailrace
