#include "center/seal.h"

#include <algorithm>

#include "base/buggify.h"
#include "base/mutant.h"

namespace tailrace {

namespace {
constexpr size_t kMostKnown = 16;
constexpr size_t kMostAhead = 8;  // as many as a store far away answers at the same time
}  // namespace

void SealedLog::fold_into(const Lane& lane, std::map<StreamKey, TableRow>& table) const {
  const auto found = lanes.find(lane);
  if (found == lanes.end()) return;
  for (const auto& [key, row] : found->second) {
    TableRow& mine = table.try_emplace(key, row).first->second;
    if (row.seq > mine.seq) {
      mine.seq = row.seq;
      mine.chain = row.chain;
    }
    mine.flags |= row.flags;
  }
}

Seal::Seal(StoreNames names, uint64_t cluster, uint64_t sink, std::string log, uint64_t from_entry,
           uint64_t fence_uuid, int64_t now_ms, std::shared_ptr<const SealedLog> known)
    : names_(std::move(names)),
      cluster_(cluster),
      sink_(sink),
      name_(std::move(log)),
      entry_(from_entry),
      fence_uuid_(fence_uuid),
      now_ms_(now_ms),
      known_(std::move(known)) {
  log_.from_entry = from_entry;
}

std::optional<StoreRequest> Seal::next() {
  switch (step_) {
    case Step::read_entries: {
      uint64_t end = entry_ + ahead_;
      if (known_) end = std::max(entry_ + 1, std::min(end, known_->from_entry));
      ReadsRequest several;
      for (uint64_t entry = entry_; entry < end; ++entry)
        several.names.push_back(names_.entry(name_, entry));
      return several;
    }
    case Step::list_absent:
    case Step::list_fence: return ListRequest{names_.log(name_)};
    case Step::read_manifest:
      return ReadRequest{names_.manifest(name_, folded_.first, folded_.second)};
    case Step::read_before_fence: return ReadRequest{names_.entry(name_, entry_ - 1)};
    case Step::write_fence: {
      CommitRecord fence;
      fence.kind = CommitRecord::Kind::fence;
      fence.cluster = cluster_;
      fence.sink = sink_;
      fence.incarnation = name_;
      fence.entry = entry_;
      fence.uuid = fence_uuid_;
      fence.prev_crc = previous_crc_.value_or(0);
      fence.time_ms = now_ms_;
      return CasRequest{names_.entry(name_, entry_), fence.encode(), Records::Parent::must_exist};
    }
    case Step::ended: break;
  }
  return std::nullopt;
}

void Seal::on(const StoreReply& reply) {
  if (reply.error) return fail(*reply.error);
  switch (step_) {
    case Step::read_entries: return on_records(reply.records);
    case Step::write_fence:
      if (reply.cas == Cas::no_directory)
        return fail(Error{Error::Kind::rejected,
                          "the commit log of " + name_ + " has no directory: somebody removed it"});
      // Won: sealed; lost: an entry came in between, or another's FENCE. Reading tells either way.
      step_ = Step::read_entries;
      return;
    case Step::list_absent:
    case Step::list_fence: return on_names(reply.names);
    case Step::read_manifest: return on_manifest(reply);
    case Step::read_before_fence: {
      step_ = Step::ended;
      outcome_ = Outcome::old_view;
      if (!reply.record) return;
      auto record = CommitRecord::decode(*reply.record);
      if (!record) return fail(record.error().within(names_.entry(name_, entry_ - 1)));
      outcome_ = Outcome::sealed;
      if (record->kind == CommitRecord::Kind::commit) log_.last = std::move(*record);
      return;
    }
    case Step::ended: return;
  }
}

void Seal::on_records(const std::vector<std::optional<std::string>>& records) {
  for (const std::optional<std::string>& record : records) {
    if (!record) return on_absent();
    on_record(*record);
    if (step_ != Step::read_entries) return;
  }
  ahead_ = std::min(ahead_ * 2, kMostAhead);
}

void Seal::on_absent() {
  ahead_ = 1;
  // It proves nothing by itself: the FENCE's CAS decides.
  step_ = Step::list_absent;
  if (!mutant(Mutant::end_believed)) return;
  outcome_ = Outcome::sealed;
  step_ = Step::ended;
}

void Seal::on_record(const std::string& bytes) {
  const std::string name = names_.entry(name_, entry_);
  auto record = CommitRecord::decode(bytes);
  if (!record) return fail(record.error().within(name));
  if (record->cluster != cluster_ || record->sink != sink_ || record->incarnation != name_ ||
      record->entry != entry_)
    return fail(Error{Error::Kind::corrupt, name + " is a record of something else"});
  if (record->kind == CommitRecord::Kind::fence) {
    step_ = Step::list_fence;
    return;
  }
  if (previous_crc_ && record->prev_crc != *previous_crc_)
    return fail(Error{Error::Kind::corrupt, name + " does not continue the entry before it"});
  previous_crc_ = record_crc(bytes);
  take(record->lanes);
  log_.last = std::move(*record);
  ++entry_;
  look_at_known();
}

// Only behind the last entry is the end. Before it there are holes, where entries were folded; a
// FENCE fits into one.
void Seal::on_names(const std::vector<std::string>& names) {
  bool end = true;
  bool folded = false;
  for (const std::string& name : names) {
    end = end && parse_entry_name(name).value_or(0) <= entry_;
    const auto manifest = parse_manifest_name(name);
    if (!manifest || entry_ < manifest->first || entry_ > manifest->second) continue;
    folded_ = *manifest;
    folded = true;
  }
  if (!end) {
    outcome_ = Outcome::old_view;
    step_ = folded ? Step::read_manifest : Step::ended;
  } else if (step_ == Step::list_absent) {
    step_ = Step::write_fence;
  } else if (entry_ > 0 && !log_.last) {
    step_ = Step::read_before_fence;
  } else {
    outcome_ = Outcome::sealed;
    step_ = Step::ended;
  }
}

void Seal::on_manifest(const StoreReply& reply) {
  const std::string name = names_.manifest(name_, folded_.first, folded_.second);
  if (!reply.record) return fail(Error{Error::Kind::corrupt, name + " is listed but not readable"});
  const auto manifest = Manifest::decode(*reply.record);
  if (!manifest) return fail(manifest.error().within(name));
  if (manifest->cluster != cluster_ || manifest->sink != sink_ || manifest->incarnation != name_)
    return fail(Error{Error::Kind::corrupt, name + " is a manifest of something else"});
  take(manifest->lanes);
  log_.last.reset();
  previous_crc_.reset();
  entry_ = folded_.second + 1;
  step_ = Step::read_entries;
  look_at_known();
}

void Seal::look_at_known() {
  if (!known_ || entry_ < known_->from_entry) return;
  for (const auto& [lane, rows] : known_->lanes)
    for (const auto& [key, row] : rows) take_row(lane, row);
  log_.last = known_->last;
  outcome_ = Outcome::sealed;
  step_ = Step::ended;
}

void Seal::take(const std::vector<LaneRanges>& lanes) {
  for (const LaneRanges& lane : lanes)
    for (const StreamRange& range : lane.ranges)
      take_row(lane.lane, {range.key, range.to_seq, range.chain_to, range.flags});
}

void Seal::take_row(const Lane& lane, const TableRow& row) {
  TableRow& mine = log_.lanes[lane][row.key];
  mine.key = row.key;
  mine.flags |= row.flags;
  if (row.seq < mine.seq) return;
  mine.seq = row.seq;
  mine.chain = row.chain;
}

void Seal::fail(Error error) {
  error_ = std::move(error);
  outcome_ = Outcome::failed;
  step_ = Step::ended;
}

std::shared_ptr<const SealedLog> SealedLogs::find(const std::string& log,
                                                  uint64_t from_entry) const {
  const auto known = known_.find(log);
  if (known == known_.end()) return nullptr;
  if (known->second->from_entry > from_entry && !mutant(Mutant::sealed_from_later)) return nullptr;
  return buggify(Rare::sealed_again) ? nullptr : known->second;
}

std::shared_ptr<Seal> SealedLogs::walk(const StoreNames& names, uint64_t cluster, uint64_t sink,
                                       const std::string& log, uint64_t from_entry,
                                       uint64_t fence_uuid, int64_t now_ms) {
  if (!walks_[log].expired()) return nullptr;
  const auto known = known_.find(log);
  const bool later = known != known_.end() && known->second->from_entry > from_entry;
  auto seal = std::make_shared<Seal>(names, cluster, sink, log, from_entry, fence_uuid, now_ms,
                                     later ? known->second : nullptr);
  walks_[log] = seal;
  return seal;
}

std::shared_ptr<const SealedLog> SealedLogs::add(const std::string& log, SealedLog learned) {
  const auto known = std::make_shared<const SealedLog>(std::move(learned));
  known_[log] = known;
  if (known_.size() > kMostKnown) known_.erase(known_.begin());  // the oldest, by its name
  std::erase_if(walks_, [](const auto& walk) { return walk.second.expired(); });
  return known;
}

}  // namespace tailrace
