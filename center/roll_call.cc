#include "center/roll_call.h"

#include <utility>

namespace tailrace {

std::optional<StoreRequest> RollCall::next() {
  if (!listed_) return ListRequest{me_.names.live()};
  if (mine_)
    return CasRequest{me_.names.announcement(me_.incarnation), mine_->encode(),
                      Records::Parent::make};
  if (!unread_.empty()) return ReadRequest{me_.names.announcement(unread_.front())};
  if (!questions_.empty()) return RemoveRequest{me_.names.live() + "/" + questions_.front()};
  return std::nullopt;
}

void RollCall::on(const StoreReply& reply) {
  if (!std::exchange(listed_, true)) {
    unknown_ = reply.error.has_value();
    if (unknown_) return mine_.reset();
    return take_names(reply.names);
  }
  if (mine_) return mine_.reset();
  if (unread_.empty()) return questions_.pop_front();
  const std::string name = std::move(unread_.front());
  unread_.pop_front();
  if (!reply.record) return;  // it is gone by now
  auto said = Announcement::decode(*reply.record);
  announced_[name] = said ? std::move(*said) : Announcement{};
}

void RollCall::take_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!parse_incarnation(name)) continue;
    if (name == me_.incarnation) mine_.reset();
    const auto known = before_.find(name);
    if (known != before_.end() && known->second.state_uuid != 0)
      announced_.insert(*known);
    else
      unread_.push_back(name);
  }
  for (const std::string& name : names) {
    const auto over = parse_over_name(name);
    const auto whom = over ? over : parse_question_name(name);
    if (!whom) continue;
    bool there = announced_.contains(*whom);
    for (const std::string& other : unread_) there = there || other == *whom;
    if (*whom == me_.incarnation)
      questions_.push_front(name);
    else if (!there)
      questions_.push_back(name);
    else if (over)
      over_.insert(*over);
  }
}

}  // namespace tailrace
