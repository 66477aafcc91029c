// The part of Membership that says that one is there oneself: the node, those that it replaces, and
// the paths above.
#include <algorithm>

#include "discovery/membership.h"

namespace tailrace {

namespace {
using Kind = ZooRequest::Kind;
using Outcome = ZooReply::Outcome;
constexpr int64_t kRefusedAgainMs = 10'000;
constexpr int64_t kPathsAgainMs = 2'000;
}  // namespace

void Membership::announce(const Member& me, int64_t now_ms) {
  if (me_ == me) return;
  me_ = me;
  auto value = me.encode();
  if (!value) return trouble("own", value.error().text);
  want_ = std::move(*value);
  step(now_ms);
}

// --- the node
// ---------------------------------------------------------------------------------------

void Membership::step_own(int64_t now_ms) {
  if (want_.empty() || !paths_.empty() || now_ms < own_again_ms_) return;
  if (asking(Purpose::make_own) || asking(Purpose::read_own)) return;
  if (own_ == Own::unclear) return ask(Purpose::read_own, Kind::read, centers(own_name_), now_ms);
  if (own_ == Own::stands) {
    if (own_value_ == want_) return;
    olds_.insert(own_name_);
  }
  own_ = Own::making;
  own_name_ = member_node_name(me_->name, rng_.next());
  own_value_ = want_;
  ask(Purpose::make_own, Kind::create_ephemeral, centers(own_name_), now_ms, {}, own_value_);
}

void Membership::own_made(const ZooReply& reply, int64_t now_ms) {
  switch (reply.outcome) {
    case Outcome::ok: own_ = Own::stands; return well("own");
    case Outcome::lost:
    case Outcome::exists: own_ = Own::unclear; return;  // whose it is, if it is there
    case Outcome::no_node:
      own_ = Own::none;
      make_paths(now_ms);
      if (paths_.empty()) own_again_ms_ = paths_again_ms_;
      return;
    default: break;
  }
  own_ = Own::none;
  own_again_ms_ = now_ms + kRefusedAgainMs;
  trouble("own", "this Center is not announced: " + centers({}) + " refuses it: " + reply.text);
}

// After an answer that was lost, and to see that it still stands.
void Membership::own_read(const ZooReply& reply, int64_t now_ms) {
  switch (reply.outcome) {
    case Outcome::ok:
      if (reply.owner == owner_) {
        own_ = Own::stands;
        return;
      }
      // It is of a session of ours that has ended, and would go with it.
      olds_.insert(own_name_);
      own_ = Own::none;
      return;
    case Outcome::no_node: own_ = Own::none; return;  // removed, or wiped with all else
    case Outcome::lost: own_ = Own::unclear; return;
    default: own_again_ms_ = now_ms + kRefusedAgainMs; return;
  }
}

// --- those before it
// ---------------------------------------------------------------------------------

// Not before the new one stands: nobody shall miss this Center meanwhile.
void Membership::step_old(int64_t now_ms) {
  if (olds_.empty() || own_ != Own::stands) return;
  if (asking(Purpose::read_old) || asking(Purpose::remove_old)) return;
  ask(Purpose::read_old, Kind::read, centers(*olds_.begin()), now_ms, *olds_.begin());
}

void Membership::old_read(const std::string& name, const ZooReply& reply, int64_t now_ms) {
  if (reply.outcome == Outcome::lost) return;
  const auto member = Member::decode(reply.value);
  const bool ours = reply.outcome == Outcome::ok && reply.owner != 0 && member && me_ &&
                    member->state_uuid == me_->state_uuid && name != own_name_;
  if (!ours) {
    olds_.erase(name);
    return;
  }
  ask(Purpose::remove_old, Kind::remove, centers(name), now_ms, name, {}, reply.version);
}

void Membership::old_removed(const std::string& name, const ZooReply& reply) {
  if (reply.outcome == Outcome::lost || reply.outcome == Outcome::bad_version) return;
  olds_.erase(name);
  if (reply.outcome != Outcome::ok && reply.outcome != Outcome::no_node)
    trouble("old", "the former node of this Center, " + centers(name) + ", stays: " + reply.text);
}

// --- the paths above
// ---------------------------------------------------------------------------------

void Membership::make_paths(int64_t now_ms) {
  if (!paths_.empty() || now_ms < paths_again_ms_) return;
  for (const std::string& path :
       {root_ + std::string(kCentersNode), root_ + std::string(kDrainNode)})
    for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
      const std::string above = path.substr(0, at);
      if (std::find(paths_.begin(), paths_.end(), above) == paths_.end()) paths_.push_back(above);
      if (at == std::string::npos) break;
    }
  ask(Purpose::make_path, Kind::create, paths_.front(), now_ms, paths_.front());
}

void Membership::path_made(const std::string& path, const ZooReply& reply, int64_t now_ms) {
  if (paths_.empty() || paths_.front() != path) return;
  // Above ours somebody else may be at home: what stands there need not be made.
  const bool goes_on = reply.outcome == Outcome::ok || reply.outcome == Outcome::exists ||
                       reply.outcome == Outcome::no_auth;
  if (!goes_on) {
    paths_.clear();
    paths_again_ms_ = look_due_ms_ =
        now_ms + (reply.outcome == Outcome::lost ? 0 : kRefusedAgainMs);
    if (reply.outcome != Outcome::lost)
      trouble("path", path + " is not there and cannot be made: " + reply.text);
    return;
  }
  paths_.erase(paths_.begin());
  if (!paths_.empty())
    return ask(Purpose::make_path, Kind::create, paths_.front(), now_ms, paths_.front());
  paths_again_ms_ = now_ms + kPathsAgainMs;  // should one of them have been refused
  look_due_ms_ = now_ms;
}

}  // namespace tailrace
