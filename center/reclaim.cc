#include "center/reclaim.h"

#include <algorithm>

namespace tailrace {

Reclaim::Reclaim(const Acquirer& me, Plan plan, std::function<LaneClaim(const Lane&)> table,
                 uint64_t newest_entry, uint64_t uuid)
    : me_(me),
      plan_(std::move(plan)),
      make_table_(std::move(table)),
      newest_entry_(newest_entry),
      uuid_(uuid),
      floor_(newest_entry) {
  if (plan_.lanes.empty()) after_lanes();
}

std::optional<StoreRequest> Reclaim::next() {
  switch (step_) {
    case Step::write_table:
      if (!table_) table_ = make_table_(plan_.lanes[lane_].first);
      return CasRequest{me_.names.table(table_->lane, table_->epoch, table_->claim_entry),
                        table_->encode(), Records::Parent::must_exist};
    case Step::remove_table:
      return RemoveRequest{me_.names.table(table_->lane, table_->epoch, plan_.lanes[lane_].second)};
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
    case Step::write_table: {
      // Lost: it stands from an earlier time, and says the same.
      if (reply.cas == Cas::no_directory)
        return end(Outcome::failed,
                   {Error::Kind::rejected,
                    "the directory of the lane " + lane_name(table_->lane) + " is gone"});
      floor_ = std::min(floor_, table_->claim_entry);
      const uint64_t before = plan_.lanes[lane_].second;
      if (before == 0 || before == table_->claim_entry) return next_lane();
      step_ = Step::remove_table;
      return;
    }
    case Step::remove_table: return next_lane();
    case Step::claim_log:
      if (reply.cas != Cas::won) return end(Outcome::fenced);
      ++plan_.log_epoch;
      fold_.emplace(me_.names, Fold::Plan{me_.incarnation, plan_.first_entry, floor_}, uuid_);
      step_ = Step::fold;
      return;
    case Step::fold:
      fold_->on(reply);
      plan_.first_entry = fold_->first();
      if (fold_->error()) return end(Outcome::failed, *fold_->error());
      if (fold_->next() && !stop_) return;
      return end(Outcome::done);
    case Step::ended: return;
  }
}

void Reclaim::next_lane() {
  plan_.lanes[lane_].second = table_->claim_entry;
  table_.reset();
  step_ = Step::write_table;
  if (stop_) return end(Outcome::done);
  if (++lane_ == plan_.lanes.size()) after_lanes();
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
