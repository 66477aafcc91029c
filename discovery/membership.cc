#include "discovery/membership.h"

#include <algorithm>
#include <utility>

#include "base/units.h"

namespace tailrace {

namespace {
using Kind = ZooRequest::Kind;
using Outcome = ZooReply::Outcome;
constexpr size_t kReads = 16;         // of members at a time
constexpr size_t kMostNodes = 1'000;  // that are looked at
constexpr int64_t kAwaySaidMs = 5'000;
constexpr int64_t kOpenAgainMs = 5'000;
constexpr int64_t kRefusedAgainMs = 10'000;
constexpr int64_t kNeverConnectedMs = 60'000;  // then names are resolved again
}  // namespace

Membership::Membership(MembershipOptions options, Rng rng, int64_t now_ms)
    : options_(std::move(options)),
      root_(zookeeper_root(options_.settings)),
      rng_(rng),
      timeout_ms_(options_.settings.session_ms),
      fresh_ms_(now_ms),
      absences_(options_.grace_ms, options_.settings.session_ms) {}

std::vector<MembershipAction> Membership::take_actions() { return std::exchange(actions_, {}); }

std::string Membership::centers(const std::string& name) const {
  return root_ + std::string(kCentersNode) + (name.empty() ? "" : "/" + name);
}

void Membership::say(log::Level level, std::string text) {
  actions_.push_back(MembershipSaying{level, std::move(text)});
}

void Membership::trouble(const std::string& about, std::string text) {
  std::string& known = troubles_[about];
  if (known == text) return;
  known = std::move(text);
  say(log::Level::warning, "ZooKeeper: " + known);
}

// --- the session
// -----------------------------------------------------------------------------------

void Membership::open(int64_t now_ms) {
  session_ = ++last_session_;
  connected_ = was_connected_ = false;
  opened_ms_ = now_ms;
  contact_ms_ = now_ms;
  timeout_ms_ = options_.settings.session_ms;
  actions_.push_back(OpenSession{session_});
}

// As good as expired: whether it is, only a server could say.
void Membership::reopen(const std::string& why, int64_t now_ms) {
  if (was_connected_)
    say(log::Level::info,
        "ZooKeeper at " + options_.settings.servers.hosts + ": " + why + "; a new session begins");
  actions_.push_back(CloseSession{});
  session_ = 0;
  connected_ = listed_ = false;
  broken_ = true;
  asked_.clear();
  paths_.clear();
  if (own_ != Own::none) olds_.insert(std::exchange(own_name_, {}));
  own_ = Own::none;
  open_again_ms_ = now_ms;
  update(now_ms);
}

void Membership::on(const ZooSession& event, int64_t now_ms) {
  if (event.session != session_) return;
  switch (event.what) {
    case ZooSession::What::connected:
      if (!was_connected_) owner_ = event.id;
      connected_ = was_connected_ = true;
      well("session");
      timeout_ms_ = event.timeout_ms > 0 ? event.timeout_ms : options_.settings.session_ms;
      contact_ms_ = now_ms;
      listed_ = false;
      look_due_ms_ = own_again_ms_ = paths_again_ms_ = now_ms;
      return step(now_ms);
    case ZooSession::What::lost:
      connected_ = listed_ = false;
      broken_ = true;
      return update(now_ms);
    case ZooSession::What::expired: return reopen("the session has expired", now_ms);
    case ZooSession::What::refused:
      trouble("session", event.text);
      reopen(event.text, now_ms);
      open_again_ms_ = now_ms + kOpenAgainMs + static_cast<int64_t>(rng_.below(kOpenAgainMs));
  }
}

void Membership::tick(int64_t now_ms) {
  if (session_ == 0 && now_ms >= open_again_ms_) open(now_ms);
  expire(now_ms);
  if (was_connected_ && now_ms - contact_ms_ >= patience_ms())
    reopen("no answer for " + show_duration(now_ms - contact_ms_), now_ms);
  else if (session_ != 0 && !was_connected_ && now_ms - opened_ms_ >= kNeverConnectedMs)
    reopen("no session yet", now_ms);
  step(now_ms);
  update(now_ms);
  if (presence_.fresh || said_away_ || now_ms - fresh_ms_ < kAwaySaidMs) return;
  said_away_ = true;
  say(log::Level::warning, "ZooKeeper at " + options_.settings.servers.hosts +
                               " has not said for " + show_duration(now_ms - fresh_ms_) +
                               " who is there: lines flow on, and whether a Center lives is asked "
                               "in the store");
}

void Membership::expire(int64_t now_ms) {
  for (auto it = asked_.begin(); it != asked_.end();) {
    if (now_ms < it->second.due_ms) {
      ++it;
      continue;
    }
    const Asked asked = std::move(it->second);
    it = asked_.erase(it);
    ZooReply none;
    none.outcome = Outcome::lost;
    answered(asked, none, now_ms);
  }
}

void Membership::step(int64_t now_ms) {
  if (!connected_) return;
  look(now_ms);
  step_own(now_ms);
  step_old(now_ms);
  if (now_ms - contact_ms_ < timeout_ms_ / 3 || asking(Purpose::still_there)) return;
  if (own_ == Own::stands)
    ask(Purpose::read_own, Kind::read, centers(own_name_), now_ms);
  else
    ask(Purpose::still_there, Kind::exists, centers({}), now_ms);
}

bool Membership::asking(Purpose purpose) const {
  return std::any_of(asked_.begin(), asked_.end(),
                     [purpose](const auto& a) { return a.second.purpose == purpose; });
}

void Membership::ask(Purpose purpose, Kind kind, std::string path, int64_t now_ms, std::string name,
                     std::string value, int32_t version) {
  ZooRequest request{kind, next_number_++, std::move(path), std::move(value), version};
  request.watch = purpose == Purpose::list_centers || purpose == Purpose::list_drain ||
                  purpose == Purpose::look_paused;
  asked_[request.number] = Asked{purpose, std::move(name), now_ms + timeout_ms_ / 2};
  actions_.push_back(std::move(request));
}

void Membership::on(const ZooReply& reply, int64_t now_ms) {
  const auto asked = asked_.find(reply.number);
  if (reply.session != session_ || asked == asked_.end()) return;
  if (reply.outcome != Outcome::lost) contact_ms_ = now_ms;
  const Asked of = std::move(asked->second);
  asked_.erase(asked);
  answered(of, reply, now_ms);
  step(now_ms);
  update(now_ms);
}

void Membership::answered(const Asked& asked, const ZooReply& reply, int64_t now_ms) {
  switch (asked.purpose) {
    case Purpose::list_centers: return centers_listed(reply, now_ms);
    case Purpose::list_drain: return drain_listed(reply, now_ms);
    case Purpose::look_paused:
      if (reply.outcome == Outcome::ok || reply.outcome == Outcome::no_node)
        presence_.paused = reply.outcome == Outcome::ok;
      return;
    case Purpose::read_member: return member_read(asked.name, reply, now_ms);
    case Purpose::make_path: return path_made(asked.name, reply, now_ms);
    case Purpose::make_own: return own_made(reply, now_ms);
    case Purpose::read_own: return own_read(reply, now_ms);
    case Purpose::read_old: return old_read(asked.name, reply, now_ms);
    case Purpose::remove_old: return old_removed(asked.name, reply);
    case Purpose::still_there: return;
  }
}

// --- who is there
// ----------------------------------------------------------------------------------

void Membership::on(const ZooChange& change, int64_t now_ms) {
  if (change.session != session_) return;
  // Watches are one-shot: each look sets them anew.
  look_due_ms_ = now_ms;
  if (asking(Purpose::list_centers)) look_again_ = true;
  step(now_ms);
}

void Membership::look(int64_t now_ms) {
  if (now_ms >= look_due_ms_ && paths_.empty() && !asking(Purpose::list_centers)) {
    look_again_ = false;
    look_due_ms_ = now_ms + options_.relist_ms * 3 / 4 +
                   static_cast<int64_t>(rng_.below(static_cast<uint64_t>(options_.relist_ms / 2)));
    ask(Purpose::list_centers, Kind::list, centers({}), now_ms);
    ask(Purpose::list_drain, Kind::list, root_ + std::string(kDrainNode), now_ms);
    ask(Purpose::look_paused, Kind::exists, root_ + std::string(kPausedNode), now_ms);
  }
  size_t reading = 0;
  std::set<std::string> asked;
  for (const auto& [number, of] : asked_)
    if (of.purpose == Purpose::read_member) {
      ++reading;
      asked.insert(of.name);
    }
  for (const std::string& name : unread_) {
    if (reading >= kReads) break;
    if (asked.contains(name)) continue;
    ++reading;
    ask(Purpose::read_member, Kind::read, centers(name), now_ms, name);
  }
}

void Membership::centers_listed(const ZooReply& reply, int64_t now_ms) {
  if (look_again_) look_due_ms_ = now_ms;
  if (reply.outcome == Outcome::no_node) {
    make_paths(now_ms);
    if (paths_.empty()) look_due_ms_ = paths_again_ms_;
    return;
  }
  if (reply.outcome == Outcome::lost) {
    look_due_ms_ = now_ms;
    return;
  }
  if (reply.outcome != Outcome::ok) {
    look_due_ms_ = now_ms + kRefusedAgainMs;
    return trouble("list", centers({}) + " cannot be listed: " + reply.text);
  }
  well("list");
  well("path");
  std::set<std::string> names(reply.names.begin(), reply.names.end());
  while (names.size() > kMostNodes) names.erase(std::prev(names.end()));
  std::erase_if(nodes_, [&](const auto& node) { return !names.contains(node.first); });
  unread_.clear();
  for (const std::string& name : names)
    if (!nodes_.contains(name)) unread_.insert(name);
  listed_ = true;
  // Either it was removed, or the list is older than it.
  if (own_ == Own::stands && !names.contains(own_name_)) own_ = Own::unclear;
}

void Membership::drain_listed(const ZooReply& reply, int64_t now_ms) {
  if (reply.outcome == Outcome::no_node) make_paths(now_ms);
  if (reply.outcome != Outcome::ok && reply.outcome != Outcome::no_node) return;
  presence_.drain.clear();
  for (const std::string& name : reply.names)
    if (presence_.drain.size() < kMostNodes) presence_.drain.insert(name);
}

void Membership::member_read(const std::string& name, const ZooReply& reply, int64_t now_ms) {
  if (!unread_.contains(name)) return;
  if (reply.outcome == Outcome::lost) return;
  unread_.erase(name);
  if (reply.outcome == Outcome::no_node) {  // it went meanwhile: the list is old
    look_due_ms_ = now_ms;
    return;
  }
  const auto not_believed = [&](const std::string& why) {
    nodes_[name] = std::nullopt;
    say(log::Level::warning, "ZooKeeper: the node " + escape(centers(name)) +
                                 " is not a Center's, and passed over: " + why);
  };
  if (reply.outcome != Outcome::ok) return not_believed(reply.text);
  if (reply.owner == 0) return not_believed("it is not ephemeral");
  auto member =
      believe_member(name, reply.value, options_.settings.cluster, options_.settings.allow);
  if (!member) return not_believed(member.error().text);
  // Of a process that had this state directory: its lock is ours, so it is dead.
  const bool former = me_ && member->state_uuid == me_->state_uuid && name != own_name_;
  if (former) olds_.insert(name);
  nodes_[name] = std::move(*member);
}

// What is known, for the others; and what it means that somebody is missing.
void Membership::update(int64_t now_ms) {
  const bool answers = connected_ && listed_ && now_ms - contact_ms_ < patience_ms();
  const bool fresh = answers && unread_.empty();
  if (fresh) {
    std::set<std::string> present;
    presence_.members.clear();
    for (const auto& [name, member] : nodes_) {
      if (!member) continue;
      for (const auto& [sink, incarnation] : member->incarnations) present.insert(incarnation);
      presence_.members.push_back(*member);
    }
    absences_.look(present, !broken_, now_ms);
    broken_ = false;
    fresh_ms_ = now_ms;
    said_away_ = false;
  } else if (answers) {
    return;  // somebody is being read: a moment
  }
  presence_.gone = fresh ? absences_.gone(now_ms) : std::set<std::string>();
  if (std::exchange(presence_.fresh, fresh) == fresh) return;
  if (!fresh) return;
  say(log::Level::info, "ZooKeeper at " + options_.settings.servers.hosts + " says that " +
                            show_count(presence_.members.size()) + " Centers are there");
}

DiscoveryStatus Membership::status(int64_t now_ms) const {
  DiscoveryStatus out;
  out.configured = true;
  out.connected = presence_.fresh;
  out.away_ms = presence_.fresh ? 0 : now_ms - fresh_ms_;
  std::set<uint64_t> there;
  for (const Member& member : presence_.members) there.insert(member.state_uuid);
  out.centers = there.size();
  for (const auto& [name, member] : nodes_) out.ignored += member ? 0 : 1;
  out.announced = own_ == Own::stands && connected_;
  out.paused = presence_.paused;
  if (!troubles_.empty())
    out.trouble = troubles_.begin()->second;
  else if (!presence_.fresh)
    out.trouble = "ZooKeeper at " + options_.settings.servers.hosts + " does not answer";
  return out;
}

}  // namespace tailrace
