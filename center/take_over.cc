#include "center/take_over.h"

#include <algorithm>

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
    case Step::ask: step_ = Step::wait; return;
    case Step::wait:
      waited_ms_ += slice_ms(me_);
      if (me_.gone.contains(incarnation_)) return end(true);
      step_ = Step::read_question;
      return;
    case Step::read_question:
      if (!reply.record) return end(false);  // it was answered
      step_ = waited_ms_ < me_.takeover_after_ms && !buggify(Rare::judged_early) ? Step::wait
                                                                                 : Step::list_again;
      return;
    case Step::list_again: return end(newest_entry(reply.names) == newest_);
    case Step::ended: return;
  }
}

void GoneCheck::ask() {
  if (me_.gone.contains(incarnation_)) return end(true);
  step_ = Step::ask;
}

void GoneCheck::end(bool gone) {
  gone_ = gone;
  step_ = Step::ended;
}

TakeOver::TakeOver(const Acquirer& me, std::string incarnation, uint64_t from_entry,
                   uint64_t fence_uuid, int64_t now_ms)
    : check_(me, incarnation, fence_uuid),
      seal_(me.names, me.cluster, me.sink, std::move(incarnation), from_entry, fence_uuid, now_ms) {
}

std::optional<StoreRequest> TakeOver::next() {
  if (auto request = check_.next()) return request;
  return check_.gone() ? seal_.next() : std::nullopt;
}

void TakeOver::on(const StoreReply& reply) {
  if (check_.next())
    check_.on(reply);
  else
    seal_.on(reply);
}

TakeOver::Outcome TakeOver::outcome() const {
  if (!check_.gone()) return Outcome::alive;
  switch (seal_.outcome()) {
    case Seal::Outcome::sealed: return Outcome::sealed;
    case Seal::Outcome::old_view: return Outcome::old_view;
    case Seal::Outcome::failed: break;
  }
  return Outcome::failed;
}

}  // namespace tailrace
