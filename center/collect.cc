#include "center/collect.h"

#include "center/take_over.h"

namespace tailrace {

Collect::Collect(StoreNames names, uint64_t uuid) : names_(std::move(names)), uuid_(uuid) {}

std::optional<StoreRequest> Collect::next() {
  switch (step_) {
    case Step::categories: return ListRequest{names_.lanes()};
    case Step::lanes: return ListRequest{names_.lanes(categories_.front())};
    case Step::claims: return ListRequest{names_.lane(lanes_.front())};
    case Step::read_claim: return ReadRequest{names_.claim(lanes_.front(), epoch_)};
    case Step::logs: return ListRequest{names_.logs()};
    case Step::log_names: return ListRequest{names_.log(logs_.front())};
    case Step::log_claim: return ReadRequest{names_.own_claim(logs_.front(), epoch_)};
    case Step::fold: return fold_->next();
    case Step::ended: break;
  }
  return std::nullopt;
}

void Collect::on(const StoreReply& reply) {
  // What cannot be read might refer to any log: nothing is collected this time.
  if (reply.error && step_ != Step::fold) {
    complete_ = false;
    step_ = Step::ended;
    return;
  }
  switch (step_) {
    case Step::categories:
      categories_.assign(reply.names.begin(), reply.names.end());
      return next_lane();
    case Step::lanes:
      for (const std::string& name : reply.names)
        if (const auto lane = parse_lane_name(categories_.front(), name)) lanes_.push_back(*lane);
      categories_.pop_front();
      return next_lane();
    case Step::claims: {
      epoch_ = newest_epoch(reply.names);
      if (epoch_ == 0) {
        lanes_.pop_front();
        return next_lane();
      }
      step_ = Step::read_claim;
      return;
    }
    case Step::read_claim: {
      const auto claim = reply.record ? LaneClaim::decode(*reply.record)
                                      : Result<LaneClaim>(Error{Error::Kind::corrupt, "absent"});
      if (!claim) {
        complete_ = false;
        step_ = Step::ended;
        return;
      }
      referred_.insert(claim->incarnation);
      lanes_.pop_front();
      return next_lane();
    }
    case Step::logs:
      for (const std::string& log : reply.names)
        if (!referred_.contains(log)) logs_.push_back(log);
      return next_log();
    case Step::log_names: return on_log_names(reply);
    case Step::log_claim: {
      const auto claim = reply.record ? LaneClaim::decode(*reply.record)
                                      : Result<LaneClaim>(Error{Error::Kind::corrupt, "absent"});
      if (claim && claim->kind == LaneClaim::Kind::done && plan_.first < plan_.end) {
        fold_.emplace(names_, plan_, uuid_);
        step_ = Step::fold;
        return;
      }
      logs_.pop_front();
      return next_log();
    }
    case Step::fold:
      fold_->on(reply);
      if (fold_->next()) return;
      if (fold_->error()) complete_ = false;
      logs_.pop_front();
      return next_log();
    case Step::ended: return;
  }
}

void Collect::next_lane() {
  if (!lanes_.empty())
    step_ = Step::claims;
  else
    step_ = categories_.empty() ? Step::logs : Step::lanes;
}

void Collect::next_log() { step_ = logs_.empty() ? Step::ended : Step::log_names; }

void Collect::on_log_names(const StoreReply& reply) {
  epoch_ = newest_epoch(reply.names);
  plan_ = plan_fold(logs_.front(), reply.names);
  if (epoch_ == 0) {
    logs_.pop_front();
    return next_log();
  }
  step_ = Step::log_claim;
}

}  // namespace tailrace
