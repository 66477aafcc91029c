#include "center/acquire.h"

#include <algorithm>

namespace tailrace {

namespace {
// A hollow claim or an old view is read again; a store that keeps answering so is given up for now.
constexpr int kMostRelists = 20;

std::optional<uint64_t> newest_entry(const std::vector<std::string>& names) {
  std::optional<uint64_t> newest;
  for (const std::string& name : names)
    if (const auto entry = parse_entry_name(name)) newest = std::max(newest.value_or(0), *entry);
  return newest;
}
}  // namespace

GoneCheck::GoneCheck(const Acquirer& me, std::string incarnation)
    : me_(me), incarnation_(std::move(incarnation)) {}

std::optional<StoreRequest> GoneCheck::next() {
  switch (step_) {
    case Step::read_announcement: return ReadRequest{me_.names.announcement(incarnation_)};
    case Step::list_log:
    case Step::list_again: return ListRequest{me_.names.log(incarnation_)};
    case Step::read_newest: return ReadRequest{me_.names.entry(incarnation_, *newest_)};
    case Step::wait: return PauseRequest{me_.takeover_after_ms};
    case Step::ended: break;
  }
  return std::nullopt;
}

void GoneCheck::on(const StoreReply& reply) {
  switch (step_) {
    case Step::read_announcement: {
      // No announcement: its log is DONE, or it never lived to own a lane.
      if (!reply.record) return end(true);
      const auto announcement = Announcement::decode(*reply.record);
      if (announcement && announcement->state_uuid == me_.state_uuid) return end(true);
      step_ = Step::list_log;
      return;
    }
    case Step::list_log: return on_names(reply.names);
    case Step::read_newest: {
      if (reply.record) {
        const auto record = CommitRecord::decode(*reply.record);
        if (record && record->kind == CommitRecord::Kind::fence) return end(true);
      }
      step_ = Step::wait;
      return;
    }
    case Step::wait: step_ = Step::list_again; return;
    case Step::list_again: return end(newest_entry(reply.names) == newest_);
    case Step::ended: return;
  }
}

void GoneCheck::on_names(const std::vector<std::string>& names) {
  newest_ = newest_entry(names);
  step_ = newest_ ? Step::read_newest : Step::wait;
}

void GoneCheck::end(bool gone) {
  gone_ = gone;
  step_ = Step::ended;
}

Acquire::Acquire(const Acquirer& me, SealedLogs& sealed, Lane lane,
                 std::function<uint64_t()> claim_entry, uint64_t uuid, int64_t now_ms)
    : me_(me),
      sealed_(sealed),
      lane_(std::move(lane)),
      ask_claim_entry_(std::move(claim_entry)),
      uuid_(uuid),
      now_ms_(now_ms) {}

std::optional<StoreRequest> Acquire::next() {
  switch (step_) {
    case Step::list_claims: return ListRequest{me_.names.lane(lane_)};
    case Step::read_claim: return ReadRequest{me_.names.claim(lane_, epoch_ - 1)};
    case Step::check_gone: return gone_->next();
    case Step::seal: return seal_->next();
    case Step::write_claim: {
      LaneClaim claim;
      claim.lane = lane_;
      claim.cluster = me_.cluster;
      claim.sink = me_.sink;
      claim.epoch = epoch_;
      claim.uuid = uuid_;
      claim.kind = LaneClaim::Kind::own;
      claim.incarnation = me_.incarnation;
      claim.address = me_.address;
      claim.claim_entry = claim_entry_ = ask_claim_entry_();
      for (const auto& [key, row] : table_) claim.table.push_back(row);
      return CasRequest{me_.names.claim(lane_, epoch_), claim.encode(), Records::Parent::make};
    }
    case Step::ended: break;
  }
  return std::nullopt;
}

void Acquire::on(const StoreReply& reply) {
  if (reply.error) return end(Outcome::failed, *reply.error);
  switch (step_) {
    case Step::list_claims: return on_names(reply.names);
    case Step::read_claim: return on_claim(reply);
    case Step::check_gone:
      gone_->on(reply);
      if (gone_->next()) return;
      if (!gone_->gone()) return end(Outcome::busy);
      seal_.emplace(me_.names, me_.cluster, me_.sink, owner_, owner_claim_entry_, uuid_, now_ms_);
      step_ = Step::seal;
      return;
    case Step::seal:
      seal_->on(reply);
      if (!seal_->next()) after_seal();
      return;
    case Step::write_claim:
      if (reply.cas == Cas::won) return end(Outcome::acquired);
      return end(Outcome::lost);
    case Step::ended: return;
  }
}

void Acquire::on_names(const std::vector<std::string>& names) {
  uint64_t newest = 0;
  for (const std::string& name : names)
    if (const auto epoch = parse_claim_name(name)) newest = std::max(newest, *epoch);
  epoch_ = newest + 1;
  table_.clear();
  owner_.clear();
  step_ = newest == 0 ? Step::write_claim : Step::read_claim;
}

void Acquire::on_claim(const StoreReply& reply) {
  const std::string name = me_.names.claim(lane_, epoch_ - 1);
  if (!reply.record || reply.record->empty()) {  // hollowed since it was listed: list again
    if (++relists_ > kMostRelists)
      return end(Outcome::failed, Error{Error::Kind::corrupt, name + " is listed but not readable"});
    step_ = Step::list_claims;
    return;
  }
  const auto claim = LaneClaim::decode(*reply.record);
  if (!claim) return end(Outcome::failed, claim.error().within(name));
  if (claim->cluster != me_.cluster || claim->sink != me_.sink || claim->epoch != epoch_ - 1 || claim->lane != lane_)
    return end(Outcome::failed, Error{Error::Kind::corrupt, name + " is a claim of something else"});
  for (const TableRow& row : claim->table) table_[row.key] = row;
  switch (claim->kind) {
    case LaneClaim::Kind::split: return end(Outcome::split);
    case LaneClaim::Kind::none: step_ = Step::write_claim; return;
    case LaneClaim::Kind::own: break;
    case LaneClaim::Kind::done:
      return end(Outcome::failed, Error{Error::Kind::corrupt, name + " is a log's claim"});
  }
  // My own, from an attempt whose answer was lost: never resumed; nothing was received under it.
  if (claim->incarnation == me_.incarnation) {
    step_ = Step::write_claim;
    return;
  }
  owner_ = claim->incarnation;
  owner_claim_entry_ = claim->claim_entry;
  const auto known = sealed_.find(owner_);
  if (known != sealed_.end() && known->second->from_entry <= owner_claim_entry_) {
    known->second->fold_into(lane_, table_);
    step_ = Step::write_claim;
    return;
  }
  gone_.emplace(me_, owner_);
  step_ = Step::check_gone;
}

void Acquire::after_seal() {
  switch (seal_->outcome()) {
    case Seal::Outcome::failed: return end(Outcome::failed, seal_->error());
    case Seal::Outcome::old_view:
      if (++relists_ > kMostRelists)
        return end(Outcome::failed, Error{Error::Kind::corrupt,
                                          "the log of " + owner_ + " lacks the entry before its end"});
      step_ = Step::list_claims;
      return;
    case Seal::Outcome::sealed: break;
  }
  auto log = std::make_shared<const SealedLog>(std::move(seal_->log()));
  log->fold_into(lane_, table_);
  sealed_[owner_] = std::move(log);
  step_ = Step::write_claim;
}

void Acquire::end(Outcome outcome, Error error) {
  outcome_ = outcome;
  error_ = std::move(error);
  step_ = Step::ended;
}

}  // namespace tailrace
