// The commit log of one incarnation: whole closings in, numbered records out, each given to the
// store by one CAS; what is committed but not yet published stays listed until it is. Thread: the
// road. Pure. docs/protocol.md, "COMMIT" and "PUBLISH".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "center/names.h"
#include "center/record.h"

namespace tailrace {

// All files that one category closes at one moment, uploaded: committed together or not at all.
struct Closing {
  std::string category;
  struct ClosedFile {
    CommittedFile file;     // final_path empty: it gets its name with its entry
    std::string directory;  // where the final name lies
  };
  std::vector<ClosedFile> files;
  std::vector<LaneRanges> lanes;
};

struct CommitLogLimits {
  size_t record_bytes = 1u << 20;
  size_t pending_files = 16;          // of a category
  size_t pending_bytes = 256u << 10;  // of all pending entries in a record
};

class CommitLog {
 public:
  CommitLog(StoreNames names, CommitLogLimits limits, uint64_t cluster, uint64_t sink,
            std::string center, std::string incarnation);

  // --- events ---------------------------------------------------------------------------------
  // Closings of a category arrive in the order in which they were closed.
  void queue(Closing closing);
  // The next record, when none is under way and there is something to commit. `uuid` is its own.
  struct Attempt {
    std::string name;
    std::string record;
  };
  [[nodiscard]] std::optional<Attempt> begin(uint64_t uuid, int64_t now_ms);
#ifdef TAILRACE_MUTANTS
  // The same under the next number: what nobody may do (Mutant::timeout_is_failure).
  [[nodiscard]] Attempt begin_again(uint64_t uuid);
#endif
  // It was won: returns the record; its files are pending from now on. A CAS that is lost or finds
  // no directory has no event: the incarnation is over.
  CommitRecord won();
  // The file staged at `stage` is in readers' sight, or its owner removed it since.
  void published(const std::string& stage);
  // Where the files lie that no record names that was ever sent.
  void list_unnamed(std::vector<std::string>& into) const;
  // The FENCE that seals this log, when nothing is under way.
  [[nodiscard]] Attempt seal(uint64_t uuid, int64_t now_ms) const;

  // --- what others ask -------------------------------------------------------------------------
  [[nodiscard]] uint64_t next_entry() const { return next_entry_; }
  [[nodiscard]] bool under_way() const { return attempt_.has_value(); }
  // The record under way; only when there is one.
  [[nodiscard]] const CommitRecord& attempt() const { return *attempt_; }
  // A record under way, or to come, carries the lane.
  [[nodiscard]] bool holds(const Lane& lane) const;
  [[nodiscard]] bool idle() const { return !attempt_ && queued_.empty(); }
  [[nodiscard]] const std::vector<FileRef>& pending() const { return pending_; }
  // Too much of the category (or of all) waits for publishing: nothing more of it may be closed.
  [[nodiscard]] bool blocked(const std::string& category) const;

 private:
  void name_files(Closing& closing, CommitRecord& record);

  StoreNames names_;
  CommitLogLimits limits_;
  std::string center_;
  CommitRecord base_;  // what every record of this log repeats
  uint64_t next_entry_ = 0;
  uint32_t previous_crc_ = 0;
  int64_t last_time_ms_ = 0;
  std::deque<Closing> queued_;
  std::optional<CommitRecord> attempt_;
  uint32_t attempt_crc_ = 0;
  std::vector<FileRef> pending_;
  std::map<std::string, std::string> pending_category_;  // by stage
  std::map<std::string, size_t> pending_count_;          // by category
  size_t pending_bytes_ = 0;
};

}  // namespace tailrace
