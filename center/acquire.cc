#include "center/acquire.h"

#include "base/buggify.h"
#include "base/mutant.h"
#include "center/lane_table.h"
#include "center/placement.h"

namespace tailrace {

namespace {
// A hollow claim or an old view is read again; a store that keeps answering so is given up for now.
constexpr int kMostRelists = 20;

}  // namespace

Acquire::Acquire(const Acquirer& me, SealedLogs& sealed, Lane lane,
                 std::function<uint64_t()> claim_entry, uint64_t uuid, int64_t now_ms,
                 bool only_look)
    : me_(me),
      sealed_(sealed),
      lane_(std::move(lane)),
      ask_claim_entry_(std::move(claim_entry)),
      uuid_(uuid),
      now_ms_(now_ms),
      only_look_(only_look) {}

std::optional<StoreRequest> Acquire::next() {
  switch (step_) {
    case Step::list_claims: return ListRequest{me_.names.lane(lane_)};
    case Step::read_claim: return ReadRequest{me_.names.claim(lane_, epoch_ - 1)};
    case Step::read_table: return ReadRequest{me_.names.table(lane_, epoch_ - 1, newest_table_)};
    case Step::list_parent: return ListRequest{me_.names.lane(*parent_of(lane_))};
    case Step::read_parent: return ReadRequest{me_.names.claim(*parent_of(lane_), parent_epoch_)};
    case Step::take_over: return take_over_->next();
    case Step::look_again: return ListRequest{me_.names.lane(lane_)};
    case Step::write_claim: {
      LaneClaim claim = me_.claim(LaneClaim::Kind::own, epoch_, uuid_);
      claim.lane = lane_;
      claim.claim_entry = ask_claim_entry_();
      if (mutant(Mutant::claim_entry_too_high)) ++claim.claim_entry;
      for (const auto& [key, row] : table_) claim.table.push_back(row);
      return CasRequest{me_.names.claim(lane_, epoch_), claim.encode(), Records::Parent::make};
    }
    case Step::remove_tables:
      return RemoveRequest{me_.names.table(lane_, tables_.back().first, tables_.back().second)};
    case Step::ended: break;
  }
  return std::nullopt;
}

void Acquire::on(const StoreReply& reply) {
  if (reply.error && step_ != Step::remove_tables) return end(Outcome::failed, *reply.error);
  switch (step_) {
    case Step::list_claims: return on_names(reply.names);
    case Step::read_claim: return on_claim(reply);
    case Step::read_table:
      bring_forward(claim_, newest_table_, reply.record);
      return look_at_claim();
    case Step::list_parent: return on_parent_names(reply.names);
    case Step::read_parent: return on_parent(reply);
    case Step::take_over: return on_take_over(reply);
    case Step::look_again:
      step_ = Step::take_over;
      if (newest_epoch(reply.names) >= epoch_) on_names(reply.names);
      return;
    case Step::write_claim:
      if (reply.cas == Cas::won || mutant(Mutant::claim_without_cas)) return next_table();
      return end(Outcome::lost);
    case Step::remove_tables: tables_.pop_back(); return next_table();
    case Step::ended: return;
  }
}

// While it waits for an answer the owner may give the lane away.
void Acquire::on_take_over(const StoreReply& reply) {
  const auto asked = take_over_->next();
  take_over_->on(reply);
  if (!take_over_->next()) return after_take_over();
  if (asked && std::holds_alternative<PauseRequest>(*asked)) step_ = Step::look_again;
}

void Acquire::on_names(const std::vector<std::string>& names) {
  const uint64_t newest = newest_epoch(names);
  epoch_ = newest + 1;
  tables_ = tables_among(names);
  newest_table_ = newest_table(names, newest);
  table_.clear();
  owner_.clear();
  if (newest > 0)
    step_ = Step::read_claim;
  else if (only_look_)
    end(Outcome::looked);
  else if (lane_.parts > 1 && !mutant(Mutant::part_from_empty_table))
    step_ = Step::list_parent;
  else
    step_ = Step::write_claim;
}

void Acquire::on_parent_names(const std::vector<std::string>& names) {
  parent_epoch_ = newest_epoch(names);
  step_ = Step::read_parent;
  if (parent_epoch_ == 0)
    end(Outcome::failed, Error{Error::Kind::corrupt, "the lane that it is a part of has no claim"});
}

// A part begins where the whole has ended.
void Acquire::on_parent(const StoreReply& reply) {
  const auto claim = claim_in(reply, *parent_of(lane_), parent_epoch_);
  if (!claim) return;
  if (claim->kind != LaneClaim::Kind::split)
    return end(Outcome::failed,
               Error{Error::Kind::corrupt, "the lane that it is a part of was not split"});
  for (const TableRow& row : claim->table)
    if (lane_part(row.key, lane_.parts) == lane_.part) table_[row.key] = row;
  step_ = Step::write_claim;
}

std::optional<LaneClaim> Acquire::claim_in(const StoreReply& reply, const Lane& lane,
                                           uint64_t epoch) {
  const std::string name = me_.names.claim(lane, epoch);
  const auto give_up = [this](Error error) {
    end(Outcome::failed, std::move(error));
    return std::nullopt;
  };
  if (!reply.record || reply.record->empty()) {  // hollowed since it was listed: list again
    if (++relists_ > kMostRelists)
      return give_up({Error::Kind::corrupt, name + " is listed but not readable"});
    step_ = Step::list_claims;
    return std::nullopt;
  }
  auto claim = LaneClaim::decode(*reply.record);
  if (!claim) return give_up(claim.error().within(name));
  if (claim->cluster != me_.cluster || claim->sink != me_.sink || claim->epoch != epoch ||
      claim->lane != lane)
    return give_up({Error::Kind::corrupt, name + " is a claim of something else"});
  return std::move(*claim);
}

void Acquire::on_claim(const StoreReply& reply) {
  auto claim = claim_in(reply, lane_, epoch_ - 1);
  if (!claim) return;
  claim_ = std::move(*claim);
  if (newest_table_ == 0) return look_at_claim();
  step_ = Step::read_table;
}

void Acquire::look_at_claim() {
  for (const TableRow& row : claim_.table) table_[row.key] = row;
  const bool split = claim_.kind == LaneClaim::Kind::split && !mutant(Mutant::split_overlooked);
  if (split && lane_.parts == kMostParts)
    return end(Outcome::failed,
               Error{Error::Kind::corrupt, lane_name(lane_) + " says it was split once more"});
  if (split) return end(Outcome::split);
  // One that is mine and that I do not know of, since its answer was lost, nobody else can mend.
  const bool mine = claim_.kind == LaneClaim::Kind::own && claim_.incarnation == me_.incarnation;
  if (only_look_ && !mine) return end(Outcome::looked);
  switch (claim_.kind) {
    case LaneClaim::Kind::split:
    case LaneClaim::Kind::none: step_ = Step::write_claim; return;
    case LaneClaim::Kind::own: break;
    case LaneClaim::Kind::done:
      return end(Outcome::failed,
                 Error{Error::Kind::corrupt, lane_name(lane_) + " is claimed as if it were a log"});
  }
  // My own, from an attempt whose answer was lost: never resumed; nothing was received under it.
  const bool resumed = mutant(Mutant::old_claim_resumed) && claim_.address == me_.address;
  if (claim_.incarnation == me_.incarnation || resumed) {
    step_ = Step::write_claim;
    return;
  }
  owner_ = claim_.incarnation;
  owner_address_ = claim_.address;
  if (const auto known = sealed_.find(owner_, claim_.claim_entry)) {
    known->fold_into(lane_, table_);
    step_ = Step::write_claim;
    return;
  }
  if (mutant(Mutant::no_fence)) {
    step_ = Step::write_claim;
    return;
  }
  take_over_.emplace(me_, sealed_, owner_, claim_.claim_entry, uuid_, now_ms_);
  step_ = Step::take_over;
}

// The lane's own now: what its tables say stands in the claim.
void Acquire::next_table() {
  step_ = Step::remove_tables;
  if (tables_.empty() || buggify(Rare::tables_left)) end(Outcome::acquired);
}

void Acquire::after_take_over() {
  switch (take_over_->outcome()) {
    case TakeOver::Outcome::alive: return end(Outcome::busy);
    case TakeOver::Outcome::failed: return end(Outcome::failed, take_over_->error());
    case TakeOver::Outcome::old_view:
      if (++relists_ > kMostRelists)
        return end(Outcome::failed,
                   Error{Error::Kind::corrupt,
                         "the log of " + owner_ + " lacks the entry before its end"});
      step_ = Step::list_claims;
      return;
    case TakeOver::Outcome::sealed: break;
  }
  take_over_->log().fold_into(lane_, table_);
  step_ = Step::write_claim;
}

void Acquire::end(Outcome outcome, Error error) {
  outcome_ = outcome;
  error_ = std::move(error);
  step_ = Step::ended;
}

}  // namespace tailrace
