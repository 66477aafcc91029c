#include "center/fold.h"

#include <algorithm>

#include "center/ranges.h"

namespace tailrace {

namespace {
constexpr size_t kManifestFiles = 1000;  // more go into a next one: each stays well below 1 MiB
}

Fold::Fold(const StoreNames& names, Plan plan, uint64_t uuid)
    : names_(names), plan_(std::move(plan)), uuid_(uuid), entry_(plan_.first) {
  entry_ = std::max(entry_, std::min(plan_.covered, plan_.end));
  go_on();
}

std::optional<StoreRequest> Fold::next() const {
  switch (step_) {
    case Step::read: return ReadRequest{names_.entry(plan_.log, entry_)};
    case Step::write:
      return CasRequest{names_.manifest(plan_.log, manifest_.first_entry, manifest_.last_entry),
                        manifest_.encode(), Records::Parent::must_exist};
    case Step::remove: return RemoveRequest{names_.entry(plan_.log, plan_.first)};
    case Step::ended: break;
  }
  return std::nullopt;
}

void Fold::on(const StoreReply& reply) {
  if (reply.error) return fail(*reply.error);
  switch (step_) {
    case Step::read: return on_entry(reply);
    case Step::write:
      if (reply.cas == Cas::no_directory)
        return fail({Error::Kind::rejected, "the directory of the log " + plan_.log + " is gone"});
      // Lost: another has written the same manifest.
      return go_on();
    case Step::remove: ++plan_.first; return go_on();
    case Step::ended: return;
  }
}

// What a manifest tells is removed first, oldest first; then the next ones are folded.
void Fold::go_on() {
  if (plan_.first < entry_) {
    step_ = Step::remove;
    return;
  }
  manifest_ = Manifest{};
  step_ = entry_ < plan_.end ? Step::read : Step::ended;
}

void Fold::on_entry(const StoreReply& reply) {
  const std::string name = names_.entry(plan_.log, entry_);
  if (!reply.record) return fail({Error::Kind::closed, name + " is gone"});
  const auto record = CommitRecord::decode(*reply.record);
  if (!record) return fail(record.error().within(name));
  if (manifest_.incarnation.empty()) {
    manifest_.cluster = record->cluster;
    manifest_.sink = record->sink;
    manifest_.incarnation = plan_.log;
    manifest_.uuid = uuid_;
    manifest_.first_entry = entry_;
  }
  manifest_.files.insert(manifest_.files.end(), record->files.begin(), record->files.end());
  join_ranges(record->lanes, manifest_.lanes);
  manifest_.last_entry = entry_++;
  if (entry_ == plan_.end || manifest_.files.size() >= kManifestFiles) step_ = Step::write;
}

void Fold::fail(Error error) {
  error_ = std::move(error);
  step_ = Step::ended;
}

Fold::Plan plan_fold(std::string log, const std::vector<std::string>& names) {
  std::vector<uint64_t> entries;
  Fold::Plan plan;
  plan.log = std::move(log);
  for (const std::string& name : names) {
    if (const auto entry = parse_entry_name(name)) entries.push_back(*entry);
    if (const auto manifest = parse_manifest_name(name))
      plan.covered = std::max(plan.covered, manifest->second + 1);
  }
  std::sort(entries.begin(), entries.end());
  if (!entries.empty() && entries.front() == 0) entries.erase(entries.begin());
  for (int keep = 0; keep < 2 && !entries.empty(); ++keep) entries.pop_back();
  if (entries.empty()) return plan;
  plan.first = entries.front();
  plan.end = entries.back() + 1;
  return plan;
}

}  // namespace tailrace
