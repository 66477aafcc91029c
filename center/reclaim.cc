#include "center/reclaim.h"

#include <algorithm>

#include "center/ranges.h"

namespace tailrace {

namespace {
constexpr size_t kManifestFiles =
    1000;  // more go into a next manifest: each stays well below 1 MiB
}

Reclaim::Reclaim(const Acquirer& me, Plan plan, std::function<LaneClaim(const Lane&)> next_claim,
                 uint64_t newest_entry, uint64_t uuid)
    : me_(me),
      plan_(std::move(plan)),
      next_claim_(std::move(next_claim)),
      newest_entry_(newest_entry),
      uuid_(uuid),
      floor_(newest_entry) {
  if (plan_.lanes.empty()) after_lanes();
}

std::optional<StoreRequest> Reclaim::next() {
  switch (step_) {
    case Step::claim_lane:
      if (!claim_) claim_ = next_claim_(plan_.lanes[lane_]);
      return CasRequest{me_.names.claim(claim_->lane, claim_->epoch), claim_->encode(),
                        Records::Parent::make};
    case Step::claim_log: {
      LaneClaim own = me_.claim(LaneClaim::Kind::own, plan_.log_epoch + 1, uuid_);
      own.claim_entry = floor_;
      return CasRequest{me_.names.own_claim(me_.incarnation, own.epoch), own.encode(),
                        Records::Parent::must_exist};
    }
    case Step::read_entry: return ReadRequest{me_.names.entry(me_.incarnation, entry_)};
    case Step::write_manifest:
      return CasRequest{
          me_.names.manifest(me_.incarnation, manifest_.first_entry, manifest_.last_entry),
          manifest_.encode(), Records::Parent::must_exist};
    case Step::remove_entry:
      return RemoveRequest{me_.names.entry(me_.incarnation, plan_.first_entry)};
    case Step::ended: break;
  }
  return std::nullopt;
}

void Reclaim::on(const StoreReply& reply) {
  if (reply.error) return end(Outcome::failed, *reply.error);
  switch (step_) {
    case Step::claim_lane:
      if (reply.cas != Cas::won) return end(Outcome::fenced);
      floor_ = std::min(floor_, claim_->claim_entry);
      won_.push_back(std::move(*claim_));
      claim_.reset();
      if (++lane_ == plan_.lanes.size()) after_lanes();
      return;
    case Step::claim_log:
      if (reply.cas != Cas::won) return end(Outcome::fenced);
      ++plan_.log_epoch;
      entry_ = plan_.first_entry;
      manifest_ = Manifest{};
      if (entry_ >= floor_) return end(Outcome::done);
      step_ = Step::read_entry;
      return;
    case Step::read_entry: return on_entry(reply);
    case Step::write_manifest:
      if (reply.cas == Cas::no_directory) return end(Outcome::fenced);
      step_ = Step::remove_entry;
      return;
    case Step::remove_entry:
      if (++plan_.first_entry < entry_) return;
      manifest_ = Manifest{};
      if (entry_ >= floor_) return end(Outcome::done);
      step_ = Step::read_entry;
      return;
    case Step::ended: return;
  }
}

void Reclaim::after_lanes() {
  step_ = floor_ > plan_.first_entry ? Step::claim_log : Step::ended;
  outcome_ = Outcome::done;
}

void Reclaim::on_entry(const StoreReply& reply) {
  const std::string name = me_.names.entry(me_.incarnation, entry_);
  if (!reply.record) return end(Outcome::failed, Error{Error::Kind::corrupt, name + " is gone"});
  const auto record = CommitRecord::decode(*reply.record);
  if (!record) return end(Outcome::failed, record.error().within(name));
  if (manifest_.files.empty() && manifest_.lanes.empty()) {
    manifest_.cluster = me_.cluster;
    manifest_.sink = me_.sink;
    manifest_.incarnation = me_.incarnation;
    manifest_.uuid = uuid_;
    manifest_.first_entry = entry_;
  }
  manifest_.files.insert(manifest_.files.end(), record->files.begin(), record->files.end());
  join_ranges(record->lanes, manifest_.lanes);
  manifest_.last_entry = entry_++;
  if (entry_ == floor_ || manifest_.files.size() >= kManifestFiles) step_ = Step::write_manifest;
}

void Reclaim::end(Outcome outcome, Error error) {
  outcome_ = outcome;
  error_ = std::move(error);
  step_ = Step::ended;
}

}  // namespace tailrace
