#include "center/janitor.h"

#include "base/buggify.h"
#include "base/mutant.h"
namespace tailrace {

namespace {
constexpr int kMostRelists = 20;
}

Janitor::Janitor(const Acquirer& me, std::string log, uint64_t uuid, int64_t now_ms, bool told)
    : me_(me), log_(std::move(log)), uuid_(uuid), now_ms_(now_ms), told_(told) {}

std::optional<StoreRequest> Janitor::next() {
  switch (step_) {
    case Step::list_log: return ListRequest{me_.names.log(log_)};
    case Step::read_claim: return ReadRequest{me_.names.own_claim(log_, epoch_)};
    case Step::take_over: return take_over_->next();
    case Step::publish:
      return PublishRequest{to_publish_.front().stage, to_publish_.front().final_path};
    case Step::write_done: {
      LaneClaim done = me_.claim(LaneClaim::Kind::done, epoch_ + 1, uuid_);
      done.claim_entry = claim_entry_;
      return CasRequest{me_.names.own_claim(log_, done.epoch), done.encode(),
                        Records::Parent::must_exist};
    }
    case Step::list_categories: return ListRequest{me_.names.lanes()};
    case Step::list_stage: return ListFilesRequest{stage_directory(categories_.front(), log_)};
    case Step::remove_staged:
      return RemoveFileRequest{stage_directory(categories_.front(), log_) + "/" +
                               leftovers_.front()};
    case Step::list_tmp: return ListRequest{me_.names.tmp(log_)};
    case Step::remove_tmp: return RemoveRequest{me_.names.tmp(log_) + "/" + leftovers_.front()};
    case Step::remove_announcement: return RemoveRequest{me_.names.announcement(log_)};
    case Step::ended: break;
  }
  return std::nullopt;
}

void Janitor::on(const StoreReply& reply) {
  if (step_ == Step::publish) return on_published(reply);
  if (reply.error) return end(Outcome::failed, *reply.error);
  switch (step_) {
    case Step::list_log:
      epoch_ = newest_epoch(reply.names);
      // It was announced after its log had claimed itself.
      if (epoch_ == 0 && !mutant(Mutant::moved_is_dead))
        return end(Outcome::failed,
                   Error{Error::Kind::rejected, "it has no claim of its own: somebody removed it"});
      step_ = epoch_ == 0 ? Step::remove_announcement : Step::read_claim;
      return;
    case Step::read_claim: return on_claim(reply);
    case Step::take_over:
      take_over_->on(reply);
      if (!take_over_->next()) after_take_over();
      return;
    case Step::write_done:
      if (reply.cas != Cas::won) return end(Outcome::later);  // another janitor was here
      step_ = Step::list_categories;
      return;
    case Step::list_categories:
      categories_.assign(reply.names.begin(), reply.names.end());
      return next_category();
    case Step::list_stage:
      leftovers_.assign(reply.names.begin(), reply.names.end());
      if (!leftovers_.empty()) {
        step_ = Step::remove_staged;
        return;
      }
      categories_.pop_front();
      return next_category();
    case Step::remove_staged:
      leftovers_.pop_front();
      if (!leftovers_.empty()) return;
      categories_.pop_front();
      return next_category();
    case Step::list_tmp:
      leftovers_.assign(reply.names.begin(), reply.names.end());
      step_ = leftovers_.empty() ? Step::remove_announcement : Step::remove_tmp;
      return;
    case Step::remove_tmp:
      leftovers_.pop_front();
      if (leftovers_.empty()) step_ = Step::remove_announcement;
      return;
    case Step::remove_announcement: return end(Outcome::done);
    case Step::publish:
    case Step::ended: return;
  }
}

void Janitor::on_claim(const StoreReply& reply) {
  const std::string name = me_.names.own_claim(log_, epoch_);
  if (!reply.record) {
    if (++relists_ > kMostRelists)
      return end(Outcome::failed,
                 Error{Error::Kind::corrupt, name + " is listed but not readable"});
    step_ = Step::list_log;
    return;
  }
  const auto claim = LaneClaim::decode(*reply.record);
  if (!claim) return end(Outcome::failed, claim.error().within(name));
  if (claim->kind == LaneClaim::Kind::done) {  // only the clearing up was left
    step_ = Step::list_categories;
    return;
  }
  claim_entry_ = claim->claim_entry;
  take_over_.emplace(me_, log_, claim_entry_, uuid_, now_ms_);
  step_ = Step::take_over;
}

void Janitor::after_take_over() {
  switch (take_over_->outcome()) {
    case TakeOver::Outcome::alive: return end(Outcome::alive);
    case TakeOver::Outcome::failed: return end(Outcome::failed, take_over_->error());
    case TakeOver::Outcome::old_view:
      if (++relists_ > kMostRelists)
        return end(
            Outcome::failed,
            Error{Error::Kind::corrupt, "the log of " + log_ + " lacks the entry before its end"});
      step_ = Step::list_log;
      return;
    case TakeOver::Outcome::sealed: break;
  }
  if (const auto& last = take_over_->log().last; last && !mutant(Mutant::no_roll_forward)) {
    to_publish_.assign(last->pending.begin(), last->pending.end());
    to_publish_.insert(to_publish_.end(), last->files.begin(), last->files.end());
    last_files_ = last->files;
  }
  step_ = to_publish_.empty() ? Step::write_done : Step::publish;
}

void Janitor::on_published(const StoreReply& reply) {
  const FileRef file = to_publish_.front();
  if (reply.error) {
    if (mutant(Mutant::stage_collected_early)) {
      step_ = Step::list_categories;
      return;
    }
    if (reply.error->kind == Error::Kind::retry_later) return end(Outcome::later, *reply.error);
    return end(Outcome::failed, reply.error->within("publishing " + file.final_path));
  }
  // `before`: its own incarnation may have published it, and whoever removed it since was free to.
  if (reply.published == Published::before) gone_.push_back(file);
  for (const CommittedFile& f : last_files_)
    if (f.stage == file.stage && reply.published == Published::now) published_.push_back(f);
  to_publish_.pop_front();
  if (!to_publish_.empty()) return;
  if (!gone_.empty() && !told_ && !mutant(Mutant::gone_unsaid)) return end(Outcome::gone);
  if (buggify(Rare::janitor_stops)) return end(Outcome::later);
  step_ = Step::write_done;
}

void Janitor::next_category() { step_ = categories_.empty() ? Step::list_tmp : Step::list_stage; }

void Janitor::end(Outcome outcome, Error error) {
  outcome_ = outcome;
  error_ = std::move(error);
  step_ = Step::ended;
}

}  // namespace tailrace
