// ZooKeeper on paper: nodes, sessions and one-shot watches, for one Membership and strangers. What
// can go wrong is scripted: answers that are lost before or after the deed, watches that do not
// fire, sessions that expire unheard.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "discovery/membership.h"

namespace tailrace::testing {

class PaperZooKeeper {
 public:
  struct Node {
    std::string value;
    int64_t owner = 0;
    int32_t version = 0;
  };
  enum class Fault { none, lost_before, lost_after };

  explicit PaperZooKeeper(MembershipOptions options) : machine(std::move(options), Rng(7), 0) {}

  // Until nothing more is asked.
  void settle() {
    for (int rounds = 0; rounds < 1'000; ++rounds) {
      const auto actions = machine.take_actions();
      if (actions.empty()) return;
      for (const MembershipAction& action : actions)
        std::visit([this](const auto& a) { act(a); }, action);
    }
    throw std::runtime_error("it never rests");
  }
  void pass(int64_t ms) {
    for (const int64_t end = now_ms + ms; now_ms < end;) {
      now_ms += 250;
      machine.tick(now_ms);
      settle();
    }
  }

  void put(const std::string& path, const std::string& value, int64_t owner) {
    nodes[path] = Node{value, owner, 0};
    fire(path);
  }
  void take(const std::string& path) {
    nodes.erase(path);
    fire(path);
  }
  // The session has ended at the server; whether it is told is another matter.
  void end_session(bool tell) {
    std::vector<std::string> ended;
    for (const auto& [path, node] : nodes)
      if (node.owner == owner()) ended.push_back(path);
    for (const std::string& path : ended) take(path);
    expired.insert(session);
    if (tell) machine.on(ZooSession{session, ZooSession::What::expired}, now_ms);
    settle();
  }
  void disconnect() {
    reachable = false;
    machine.on(ZooSession{session, ZooSession::What::lost}, now_ms);
    settle();
  }
  void reconnect() {
    reachable = true;
    hello();
    settle();
  }
  [[nodiscard]] int64_t owner() const { return static_cast<int64_t>(session) + 1'000; }
  [[nodiscard]] std::vector<std::string> below(const std::string& folder) const {
    std::vector<std::string> out;
    for (const auto& [path, node] : nodes)
      if (path.starts_with(folder + "/") && path.find('/', folder.size() + 1) == std::string::npos)
        out.push_back(path.substr(folder.size() + 1));
    return out;
  }

  Membership machine;
  int64_t now_ms = 0;
  std::map<std::string, Node> nodes;
  std::vector<std::string> said;
  std::vector<ZooRequest> asked;
  uint64_t session = 0;
  bool reachable = true;
  bool watches_fire = true;
  std::set<uint64_t> expired;
  std::vector<Fault> faults;  // of the next creates

 private:
  void act(const OpenSession& open) {
    session = open.session;
    watched_.clear();
    if (reachable) hello();
  }
  void act(const CloseSession&) {}  // its ephemerals stay until end_session()
  void act(const MembershipSaying& saying) { said.push_back(saying.text); }
  void act(const ZooRequest& request) {
    asked.push_back(request);
    if (!reachable || expired.contains(session)) return;
    const bool creates = request.kind == ZooRequest::Kind::create ||
                         request.kind == ZooRequest::Kind::create_ephemeral;
    Fault fault = Fault::none;
    if (request.kind == ZooRequest::Kind::create_ephemeral && creates && !faults.empty()) {
      fault = faults.front();
      faults.erase(faults.begin());
    }
    ZooReply reply;
    if (fault != Fault::lost_before) reply = done(request);
    if (fault != Fault::none) reply.outcome = ZooReply::Outcome::lost;
    reply.session = session;
    reply.number = request.number;
    machine.on(reply, now_ms);
  }
  void hello() {
    machine.on(ZooSession{session, ZooSession::What::connected, owner(), 10'000}, now_ms);
  }

  static std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }
  ZooReply done(const ZooRequest& r) {
    ZooReply out;
    const auto node = nodes.find(r.path);
    if (r.watch) watched_.insert(r.path);
    using Outcome = ZooReply::Outcome;
    switch (r.kind) {
      case ZooRequest::Kind::create:
      case ZooRequest::Kind::create_ephemeral:
        if (node != nodes.end()) {
          out.outcome = Outcome::exists;
        } else if (!parent(r.path).empty() && !nodes.contains(parent(r.path))) {
          out.outcome = Outcome::no_node;
        } else {
          nodes[r.path] = {r.value, r.kind == ZooRequest::Kind::create ? 0 : owner(), 0};
          fire(r.path);
        }
        return out;
      case ZooRequest::Kind::list: out.names = below(r.path); [[fallthrough]];
      default: break;
    }
    if (node == nodes.end()) {
      out.outcome = Outcome::no_node;
      return out;
    }
    out.value = node->second.value;
    out.owner = node->second.owner;
    out.version = node->second.version;
    if (r.kind != ZooRequest::Kind::remove) return out;
    out.outcome = r.version == node->second.version ? Outcome::ok : Outcome::bad_version;
    if (out.outcome == Outcome::ok) take(r.path);
    return out;
  }
  void fire(const std::string& path) {
    for (const std::string& at : {path, parent(path)})
      if (watched_.erase(at) > 0 && watches_fire && reachable)
        machine.on(ZooChange{session, at}, now_ms);
  }

  std::set<std::string> watched_;
};

}  // namespace tailrace::testing
