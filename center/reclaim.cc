#include "center/reclaim.h"

#include <algorithm>

namespace tailrace {

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
    case Step::fold: return fold_->next();
    case Step::ended: break;
  }
  return std::nullopt;
}

void Reclaim::on(const StoreReply& reply) {
  if (reply.error && step_ != Step::fold) return end(Outcome::failed, *reply.error);
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
      fold_.emplace(me_.names, Fold::Plan{me_.incarnation, plan_.first_entry, floor_}, uuid_);
      step_ = Step::fold;
      return;
    case Step::fold:
      fold_->on(reply);
      plan_.first_entry = fold_->first();
      if (fold_->next()) return;
      if (fold_->error()) return end(Outcome::failed, *fold_->error());
      return end(Outcome::done);
    case Step::ended: return;
  }
}

void Reclaim::after_lanes() {
  step_ = floor_ > plan_.first_entry ? Step::claim_log : Step::ended;
  outcome_ = Outcome::done;
}

void Reclaim::end(Outcome outcome, Error error) {
  outcome_ = outcome;
  error_ = std::move(error);
  step_ = Step::ended;
}

}  // namespace tailrace
