#include "center/janitor.h"

#include <algorithm>
#include <iterator>

#include "base/buggify.h"
#include "base/mutant.h"
namespace tailrace {

namespace {
constexpr int kMostRelists = 20;
}

Janitor::Janitor(const Acquirer& me, SealedLogs& sealed, std::string log, uint64_t uuid,
                 int64_t now_ms, Told told)
    : me_(me),
      sealed_(sealed),
      log_(std::move(log)),
      uuid_(uuid),
      now_ms_(now_ms),
      told_(std::move(told)) {}

std::optional<StoreRequest> Janitor::next() {
  switch (step_) {
    case Step::list_log: return ListRequest{me_.names.log(log_)};
    case Step::read_claim: return ReadRequest{me_.names.own_claim(log_, epoch_)};
    case Step::look_whether_cleared: return ReadRequest{me_.names.announcement(log_)};
    case Step::take_over: return take_over_->next();
    case Step::say_over:
      return CasRequest{me_.names.over(log_), me_.incarnation, Records::Parent::must_exist};
    case Step::publish:
      return PublishRequest{to_publish_.front().stage, to_publish_.front().final_path};
    case Step::write_done: {
      LaneClaim done = me_.claim(LaneClaim::Kind::done, epoch_ + 1, uuid_);
      done.claim_entry = claim_entry_;
      return CasRequest{me_.names.own_claim(log_, done.epoch), done.encode(),
                        Records::Parent::must_exist};
    }
    case Step::list_categories: return ListRequest{me_.names.lanes()};
    case Step::list_stages: return ListFilesRequest{stage_directory(categories_.front())};
    case Step::list_stage: return ListFilesRequest{stage_directory(categories_.front(), log_)};
    case Step::remove_staged: return RemoveFileRequest{leftovers_.front(), true};
    case Step::list_tmp: return ListRequest{me_.names.tmp(log_)};
    case Step::remove_tmp: return RemoveRequest{leftovers_.front()};
    case Step::remove_announcement: return RemoveRequest{me_.names.announcement(log_)};
    case Step::remove_over: return RemoveRequest{me_.names.over(log_)};
    case Step::ended: break;
  }
  return std::nullopt;
}

void Janitor::on(const StoreReply& reply) {
  if (step_ == Step::publish) return on_published(reply);
  if (step_ == Step::list_stages || step_ == Step::list_stage || step_ == Step::remove_staged)
    return on_cleared(reply);
  if (reply.error && !(step_ == Step::remove_tmp && at_directory()))
    return end(Outcome::failed, *reply.error);
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
    case Step::look_whether_cleared:  // the announcement goes last
      if (!reply.record) return end(Outcome::done);
      step_ = Step::list_categories;
      return;
    case Step::take_over:
      take_over_->on(reply);
      if (!take_over_->next()) after_take_over();
      return;
    case Step::say_over: return after_saying();
    case Step::write_done:
      if (reply.cas != Cas::won)
        return end(Outcome::later,
                   Error{Error::Kind::retry_later, "another Center was quicker to finish it"});
      step_ = Step::list_categories;
      return;
    case Step::list_categories:
      std::copy_if(reply.names.begin(), reply.names.end(), std::back_inserter(categories_),
                   [](const std::string& name) { return valid_category(name); });
      return next_category();
    case Step::list_tmp:
      take_leftovers(me_.names.tmp(log_), reply.names);
      step_ = Step::remove_tmp;
      return;
    case Step::remove_tmp:
      leftovers_.pop_front();
      if (leftovers_.empty()) step_ = Step::remove_announcement;
      return;
    case Step::remove_announcement:
      if (log_ == me_.incarnation) return end(Outcome::done);
      step_ = Step::remove_over;
      return;
    case Step::remove_over: return end(Outcome::done);
    case Step::publish:
    case Step::list_stages:
    case Step::list_stage:
    case Step::remove_staged:
    case Step::ended: return;
  }
}

// What cannot be cleared up now is left for another time: the next category is not.
void Janitor::on_cleared(const StoreReply& reply) {
  if (reply.error && !(step_ == Step::remove_staged && at_directory())) {
    waits_.emplace(Outcome::later, reply.error->within("clearing up after it"));
    leftovers_.clear();
  } else if (step_ == Step::list_stages) {
    if (std::find(reply.names.begin(), reply.names.end(), log_) != reply.names.end()) {
      step_ = Step::list_stage;
      return;
    }
  } else if (step_ == Step::list_stage) {
    take_leftovers(stage_directory(categories_.front(), log_), reply.names);
  } else {
    leftovers_.pop_front();
  }
  step_ = Step::remove_staged;
  if (!leftovers_.empty()) return;
  categories_.pop_front();
  next_category();
}

void Janitor::take_leftovers(const std::string& directory, const std::vector<std::string>& names) {
  for (const std::string& name : names) leftovers_.push_back(directory + "/" + name);
  leftovers_.push_back(directory);
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
  if (claim->kind == LaneClaim::Kind::done) {
    step_ = Step::look_whether_cleared;
    return;
  }
  claim_entry_ = claim->claim_entry;
  take_over_.emplace(me_, sealed_, log_, claim_entry_, uuid_, now_ms_);
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
  // What follows may take long, or not be possible now: its lanes need not wait for it.
  if (log_ == me_.incarnation || mutant(Mutant::over_unsaid)) return after_saying();
  step_ = Step::say_over;
}

void Janitor::after_saying() {
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
    return waits(file, *reply.error);
  }
  // `before`: its own incarnation may have published it, and whoever removed it since was free to.
  if (reply.published == Published::before && told_ && !told_->contains(file.stage))
    gone_.push_back(file);
  for (const CommittedFile& f : last_files_)
    if (f.stage == file.stage && reply.published == Published::now) published_.push_back(f);
  to_publish_.pop_front();
  if (to_publish_.empty()) after_publishing();
}

// Its category waits alone.
void Janitor::waits(const FileRef& file, const Error& error) {
  const bool later = error.kind == Error::Kind::retry_later;
  if (!waits_ || (!later && waits_->first == Outcome::later))
    waits_.emplace(later ? Outcome::later : Outcome::failed,
                   later ? error : error.within("publishing " + file.final_path));
  const std::string category = file.stage.substr(0, file.stage.find('/') + 1);
  if (mutant(Mutant::janitor_stops_short)) return end(waits_->first, waits_->second);
  std::erase_if(to_publish_,
                [&](const FileRef& other) { return other.stage.starts_with(category); });
  if (to_publish_.empty()) after_publishing();
}

void Janitor::after_publishing() {
  if (!gone_.empty() && !mutant(Mutant::gone_unsaid)) return end(Outcome::gone);
  if (waits_) return end(waits_->first, waits_->second);
  if (buggify(Rare::janitor_stops))
    return end(Outcome::later, Error{Error::Kind::retry_later, "it is put off"});
  step_ = Step::write_done;
}

void Janitor::next_category() {
  if (!categories_.empty())
    step_ = Step::list_stages;
  else if (waits_)
    end(waits_->first, waits_->second);
  else
    step_ = Step::list_tmp;
}

void Janitor::end(Outcome outcome, Error error) {
  outcome_ = outcome;
  error_ = std::move(error);
  step_ = Step::ended;
}

}  // namespace tailrace
