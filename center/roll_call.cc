#include "center/roll_call.h"

#include <algorithm>

namespace tailrace {

std::optional<StoreRequest> RollCall::next() {
  if (!listed_) return ListRequest{me_.names.live()};
  if (questions_.empty()) return std::nullopt;
  return RemoveRequest{me_.names.live() + "/" + questions_.front()};
}

void RollCall::on(const StoreReply& reply) {
  if (listed_) return questions_.pop_front();
  listed_ = true;
  unknown_ = reply.error.has_value();
  for (const std::string& name : reply.names)
    if (parse_incarnation(name)) announced_.push_back(name);
  for (const std::string& name : reply.names) {
    const auto whom = parse_question_name(name);
    if (!whom) continue;
    const bool there = std::find(announced_.begin(), announced_.end(), *whom) != announced_.end();
    if (*whom == me_.incarnation || !there) questions_.push_back(name);
  }
}

}  // namespace tailrace
