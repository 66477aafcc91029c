#include "center/collect.h"

#include <algorithm>
#include <iterator>

#include "center/take_over.h"

namespace tailrace {

// Which logs are DONE is found out before what the lanes refer to: a log that is DONE gets no new
// claim, one that still lives may get one at any time.
Collect::Collect(StoreNames names, uint64_t uuid) : names_(std::move(names)), uuid_(uuid) {}

std::optional<StoreRequest> Collect::next() {
  switch (step_) {
    case Step::logs: return ListRequest{names_.logs()};
    case Step::log_names: return ListRequest{names_.log(logs_.front())};
    case Step::log_claim: return ReadRequest{names_.own_claim(logs_.front(), epoch_)};
    case Step::categories: return ListRequest{names_.lanes()};
    case Step::lanes: return ListRequest{names_.lanes(categories_.front())};
    case Step::claims: return ListRequest{names_.lane(lanes_.front())};
    case Step::read_claim: return ReadRequest{names_.claim(lanes_.front(), epoch_)};
    case Step::done_names: return ListRequest{names_.log(done_.front())};
    case Step::fold: return fold_->next();
    case Step::ended: break;
  }
  return std::nullopt;
}

void Collect::on(const StoreReply& reply) {
  take(reply);
  if (stop_) step_ = Step::ended;
}

void Collect::take(const StoreReply& reply) {
  // What cannot be read might refer to any log: nothing is collected this time.
  if (reply.error && step_ != Step::fold) return stop_short();
  switch (step_) {
    case Step::logs:  // a name that is none of ours is somebody's: a copy, a note
      std::copy_if(reply.names.begin(), reply.names.end(), std::back_inserter(logs_),
                   [](const std::string& name) { return parse_incarnation(name).has_value(); });
      return next_log();
    case Step::log_names: return on_log_names(reply);
    case Step::log_claim: {
      const auto claim = reply.record ? LaneClaim::decode(*reply.record)
                                      : Result<LaneClaim>(Error{Error::Kind::corrupt, "absent"});
      if (claim && claim->kind == LaneClaim::Kind::done) done_.push_back(logs_.front());
      logs_.pop_front();
      return next_log();
    }
    case Step::categories:
      std::copy_if(reply.names.begin(), reply.names.end(), std::back_inserter(categories_),
                   [](const std::string& name) { return valid_category(name); });
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
      if (!claim) return stop_short();
      // NONE and SPLIT hold the whole table: nobody reads a log for them.
      if (claim->kind == LaneClaim::Kind::own) referred_.insert(claim->incarnation);
      lanes_.pop_front();
      return next_lane();
    }
    case Step::done_names:
      fold_.emplace(names_, plan_fold(done_.front(), reply.names), uuid_);
      step_ = Step::fold;
      break;
    case Step::fold: fold_->on(reply); break;
    case Step::ended: return;
  }
  if (fold_->next()) return;
  if (fold_->error()) complete_ = false;
  done_.pop_front();
  next_done();
}

void Collect::stop_short() {
  complete_ = false;
  step_ = Step::ended;
}

void Collect::on_log_names(const StoreReply& reply) {
  epoch_ = newest_epoch(reply.names);
  const Fold::Plan plan = plan_fold(logs_.front(), reply.names);
  if (epoch_ == 0 || plan.first >= plan.end) {
    logs_.pop_front();
    return next_log();
  }
  step_ = Step::log_claim;
}

void Collect::next_log() {
  if (!logs_.empty())
    step_ = Step::log_names;
  else
    step_ = done_.empty() ? Step::ended : Step::categories;
}

void Collect::next_lane() {
  if (!lanes_.empty())
    step_ = Step::claims;
  else if (!categories_.empty())
    step_ = Step::lanes;
  else
    next_done();
}

void Collect::next_done() {
  std::erase_if(done_, [this](const std::string& log) { return referred_.contains(log); });
  step_ = done_.empty() ? Step::ended : Step::done_names;
}

}  // namespace tailrace
