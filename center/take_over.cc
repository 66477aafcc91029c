#include "center/take_over.h"

#include <algorithm>
#include <utility>

#include "base/buggify.h"

namespace tailrace {

namespace {
std::optional<uint64_t> newest_entry(const std::vector<std::string>& names) {
  std::optional<uint64_t> newest;
  for (const std::string& name : names)
    if (const auto entry = parse_entry_name(name)) newest = std::max(newest.value_or(0), *entry);
  return newest;
}

// The answer may come long before the time is over, and so may ZooKeeper's word.
int64_t slice_ms(const Acquirer& me) { return std::max<int64_t>(1, me.takeover_after_ms / 10); }
}  // namespace

LaneClaim Acquirer::claim(LaneClaim::Kind kind, uint64_t epoch, uint64_t uuid) const {
  LaneClaim out;
  out.cluster = cluster;
  out.sink = sink;
  out.epoch = epoch;
  out.uuid = uuid;
  out.kind = kind;
  out.incarnation = incarnation;
  out.address = address;
  return out;
}

uint64_t newest_epoch(const std::vector<std::string>& names) {
  uint64_t newest = 0;
  for (const std::string& name : names)
    if (const auto epoch = parse_claim_name(name)) newest = std::max(newest, *epoch);
  return newest;
}

GoneCheck::GoneCheck(const Acquirer& me, std::string incarnation, uint64_t uuid)
    : me_(me),
      incarnation_(std::move(incarnation)),
      question_(me.names.question(incarnation_, uuid)) {}

std::optional<StoreRequest> GoneCheck::next() const {
  switch (step_) {
    case Step::read_announcement: return ReadRequest{me_.names.announcement(incarnation_)};
    case Step::list_log:
    case Step::list_again: return ListRequest{me_.names.log(incarnation_)};
    case Step::read_newest: return ReadRequest{me_.names.entry(incarnation_, *newest_)};
    case Step::ask: return CasRequest{question_, me_.incarnation};
    case Step::read_question: return ReadRequest{question_};
    case Step::wait: return PauseRequest{slice_ms(me_)};
    case Step::remove_question: return RemoveRequest{question_};
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
    case Step::list_log:
      newest_ = newest_entry(reply.names);
      if (!newest_) return ask();
      step_ = Step::read_newest;
      return;
    case Step::read_newest: {
      if (reply.record) {
        const auto record = CommitRecord::decode(*reply.record);
        if (record && record->kind == CommitRecord::Kind::fence) return end(true);
      }
      return ask();
    }
    case Step::ask:
      asked_ = true;
      step_ = Step::wait;
      return;
    case Step::wait:
      waited_ms_ += slice_ms(me_);
      if (me_.gone.contains(incarnation_)) return end(true);
      step_ = Step::read_question;
      return;
    case Step::read_question:
      asked_ = reply.record.has_value();
      if (!asked_) return end(false);  // it was answered
      step_ = waited_ms_ < me_.takeover_after_ms && !buggify(Rare::judged_early) ? Step::wait
                                                                                 : Step::list_again;
      return;
    case Step::list_again: return end(newest_entry(reply.names) == newest_);
    case Step::remove_question:
    case Step::ended: step_ = Step::ended; return;
  }
}

void GoneCheck::ask() {
  if (me_.gone.contains(incarnation_)) return end(true);
  step_ = Step::ask;
}

void GoneCheck::end(bool gone) {
  gone_ = gone;
  step_ = asked_ ? Step::remove_question : Step::ended;
}

TakeOver::TakeOver(const Acquirer& me, SealedLogs& logs, std::string incarnation,
                   uint64_t from_entry, uint64_t fence_uuid, int64_t now_ms)
    : me_(me),
      logs_(logs),
      incarnation_(std::move(incarnation)),
      from_entry_(from_entry),
      fence_uuid_(fence_uuid),
      now_ms_(now_ms),
      check_(me, incarnation_, fence_uuid) {}

std::optional<StoreRequest> TakeOver::next() {
  switch (step_) {
    case Step::check: return check_.next();
    case Step::wait: return PauseRequest{slice_ms(me_)};
    case Step::walk: return seal_->next();
    case Step::ended: break;
  }
  return std::nullopt;
}

void TakeOver::on(const StoreReply& reply) {
  switch (step_) {
    case Step::check:
      check_.on(reply);
      if (check_.next()) return;
      return check_.gone() ? walk() : end(Outcome::alive);
    case Step::wait: return walk();
    case Step::walk:
      seal_->on(reply);
      if (!seal_->next()) walked();
      return;
    case Step::ended: return;
  }
}

void TakeOver::walk() {
  if ((log_ = logs_.find(incarnation_, from_entry_))) return end(Outcome::sealed);
  seal_ =
      logs_.walk(me_.names, me_.cluster, me_.sink, incarnation_, from_entry_, fence_uuid_, now_ms_);
  step_ = seal_ ? Step::walk : Step::wait;
}

void TakeOver::walked() {
  const auto seal = std::exchange(seal_, nullptr);
  switch (seal->outcome()) {
    case Seal::Outcome::sealed:
      log_ = logs_.add(incarnation_, std::move(seal->log()));
      return end(Outcome::sealed);
    case Seal::Outcome::old_view: return end(Outcome::old_view);
    case Seal::Outcome::failed: error_ = seal->error(); return end(Outcome::failed);
  }
}

void TakeOver::end(Outcome outcome) {
  outcome_ = outcome;
  step_ = Step::ended;
}

}  // namespace tailrace
