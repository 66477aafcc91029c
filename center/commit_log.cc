#include "center/commit_log.h"

#include <algorithm>

#include "base/buggify.h"
#include "base/mutant.h"
#include "center/ranges.h"

namespace tailrace {

namespace {
size_t bytes_of(const FileRef& file) { return file.stage.size() + file.final_path.size() + 16; }

}  // namespace

CommitLog::CommitLog(StoreNames names, CommitLogLimits limits, uint64_t cluster, uint64_t sink,
                     std::string center, std::string incarnation)
    : names_(std::move(names)), limits_(limits), center_(std::move(center)) {
  base_.cluster = cluster;
  base_.sink = sink;
  base_.incarnation = std::move(incarnation);
  base_.kind = CommitRecord::Kind::commit;
}

void CommitLog::queue(Closing closing) { queued_.push_back(std::move(closing)); }

std::optional<CommitLog::Attempt> CommitLog::begin(uint64_t uuid, int64_t now_ms) {
  if (attempt_ || queued_.empty()) return std::nullopt;
  CommitRecord record = base_;
  record.entry = next_entry_;
  record.uuid = uuid;
  record.prev_crc = previous_crc_;
  // Names begin with it, and readers take files in the order of their names.
  record.time_ms = last_time_ms_ = std::max(last_time_ms_, now_ms);
  if (!mutant(Mutant::pending_forgotten)) record.pending = pending_;
  // Group commit: whole closings, as many as fit; the first always does.
  std::string bytes;
  while (!queued_.empty()) {
    CommitRecord more = record;
    name_files(queued_.front(), more);
    join_ranges(queued_.front().lanes, more.lanes);
    std::string encoded = more.encode();
    if (!bytes.empty() && (encoded.size() > limits_.record_bytes || buggify(Rare::commit_alone)))
      break;
    for (const Closing::ClosedFile& f : queued_.front().files) {
      pending_category_[f.file.stage] = queued_.front().category;
      ++pending_count_[queued_.front().category];
    }
    queued_.pop_front();
    record = std::move(more);
    bytes = std::move(encoded);
    if (mutant(Mutant::closing_in_parts)) break;
  }
  attempt_crc_ = record_crc(bytes);
  attempt_ = std::move(record);
  return Attempt{names_.entry(base_.incarnation, next_entry_), std::move(bytes)};
}

#ifdef TAILRACE_MUTANTS
CommitLog::Attempt CommitLog::begin_again(uint64_t uuid) {
  attempt_->entry = ++next_entry_;
  attempt_->uuid = uuid;
  std::string bytes = attempt_->encode();
  attempt_crc_ = record_crc(bytes);
  return Attempt{names_.entry(base_.incarnation, next_entry_), std::move(bytes)};
}
#endif

CommitRecord CommitLog::won() {
  TAILRACE_CHECK(attempt_, "no commit is under way");
  CommitRecord record = std::move(*attempt_);
  attempt_.reset();
  previous_crc_ = attempt_crc_;
  ++next_entry_;
  for (const CommittedFile& file : record.files) {
    if (mutant(Mutant::pending_left_out) && &file != &record.files.front()) continue;
    pending_.push_back(file);
    pending_bytes_ += bytes_of(file);
  }
  return record;
}

void CommitLog::published(const std::string& stage) {
  const auto file = std::find_if(pending_.begin(), pending_.end(),
                                 [&](const FileRef& f) { return f.stage == stage; });
  if (file == pending_.end()) return;
  pending_bytes_ -= bytes_of(*file);
  pending_.erase(file);
  const auto category = pending_category_.find(stage);
  if (--pending_count_[category->second] == 0) pending_count_.erase(category->second);
  pending_category_.erase(category);
}

void CommitLog::list_unnamed(std::vector<std::string>& into) const {
  for (const Closing& closing : queued_)
    for (const Closing::ClosedFile& closed : closing.files) into.push_back(closed.file.stage);
}

CommitLog::Attempt CommitLog::seal(uint64_t uuid, int64_t now_ms) const {
  CommitRecord fence = base_;
  fence.kind = CommitRecord::Kind::fence;
  fence.entry = next_entry_;
  fence.uuid = uuid;
  fence.prev_crc = previous_crc_;
  fence.time_ms = now_ms;
  return Attempt{names_.entry(base_.incarnation, next_entry_), fence.encode()};
}

bool CommitLog::holds(const Lane& lane) const {
  const auto names = [&lane](const std::vector<LaneRanges>& lanes) {
    return std::any_of(lanes.begin(), lanes.end(),
                       [&lane](const LaneRanges& l) { return l.lane == lane; });
  };
  return (attempt_ && names(attempt_->lanes)) ||
         std::any_of(queued_.begin(), queued_.end(),
                     [&names](const Closing& closing) { return names(closing.lanes); });
}

bool CommitLog::blocked(const std::string& category) const {
  const auto count = pending_count_.find(category);
  return (count != pending_count_.end() && count->second >= limits_.pending_files) ||
         pending_bytes_ >= limits_.pending_bytes;
}

void CommitLog::name_files(Closing& closing, CommitRecord& record) {
  for (Closing::ClosedFile& closed : closing.files) {
    CommittedFile file = closed.file;
    const FinalName name{.category = closing.category,
                         .closed_s = record.time_ms / 1000,
                         .center = center_,
                         .incarnation = base_.incarnation,
                         .entry = record.entry,
                         .k = static_cast<uint32_t>(record.files.size()),
                         .codec = file.codec,
                         .format = file.format};
    file.final_path = final_path(closed.directory, name);
    record.files.push_back(std::move(file));
  }
}

}  // namespace tailrace
