// A Center among the others in ZooKeeper: one ephemeral node says that it is there, the others' say
// who else is, and two nodes are the operator's. A pure machine: what ZooKeeper says and the time
// in, requests out; discovery/discovery.h carries them out. Thread: the road. docs/protocol.md,
// "Several Centers"; docs/formats/membership.md.
//
// A node's value never changes: what changes gets a node of its own, made before the old one goes,
// so that a list with the names says everything.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "discovery/presence.h"
#include "discovery/servers.h"
#include "discovery/zookeeper_call.h"

namespace tailrace {

// --- actions -------------------------------------------------------------------------------------
struct OpenSession {
  uint64_t session = 0;
};
struct CloseSession {};  // the one that was opened last
struct MembershipSaying {
  log::Level level{};
  std::string text;
};
using MembershipAction = std::variant<OpenSession, CloseSession, ZooRequest, MembershipSaying>;

struct MembershipOptions {
  ZooKeeperSettings settings;
  int64_t grace_ms = 3'000;    // from the end of an ephemeral until its Center has gone
  int64_t relist_ms = 60'000;  // a watch may be missed
};

struct DiscoveryStatus {
  bool configured = false;
  bool connected = false;  // what it says is fresh
  int64_t away_ms = 0;     // for how long it has not been
  size_t centers = 0;      // there, this one too
  size_t ignored = 0;      // nodes that are not believed
  bool announced = false;  // one's own node stands
  bool paused = false;
  std::string trouble;  // not empty: what is wrong now
};

class Membership {
 public:
  Membership(MembershipOptions options, Rng rng, int64_t now_ms);

  // --- events -----------------------------------------------------------------------------------
  // What shall stand of this Center from now on.
  void announce(const Member& me, int64_t now_ms);
  void on(const ZooSession& event, int64_t now_ms);
  void on(const ZooReply& reply, int64_t now_ms);
  void on(const ZooChange& change, int64_t now_ms);
  void tick(int64_t now_ms);  // at least each 250 ms

  [[nodiscard]] std::vector<MembershipAction> take_actions();

  // --- what others ask
  [[nodiscard]] const Presence& presence() const { return presence_; }
  [[nodiscard]] DiscoveryStatus status(int64_t now_ms) const;

 private:
  enum class Purpose {
    list_centers,
    list_drain,
    look_paused,
    read_member,
    make_path,
    make_own,
    read_own,
    read_old,
    remove_old,
    still_there,
  };
  struct Asked {
    Purpose purpose{};
    std::string name;    // of a node below centers/, or a path that is made
    int64_t due_ms = 0;  // then it counts as lost
  };
  enum class Own { none, making, unclear, stands };

  void open(int64_t now_ms);
  void reopen(const std::string& why, int64_t now_ms);
  void expire(int64_t now_ms);
  void step(int64_t now_ms);
  void look(int64_t now_ms);
  void ask(Purpose purpose, ZooRequest::Kind kind, std::string path, int64_t now_ms,
           std::string name = {}, std::string value = {}, int32_t version = -1);
  [[nodiscard]] bool asking(Purpose purpose) const;
  void answered(const Asked& asked, const ZooReply& reply, int64_t now_ms);
  void centers_listed(const ZooReply& reply, int64_t now_ms);
  void drain_listed(const ZooReply& reply, int64_t now_ms);
  void member_read(const std::string& name, const ZooReply& reply, int64_t now_ms);
  void step_own(int64_t now_ms);
  void own_made(const ZooReply& reply, int64_t now_ms);
  void own_read(const ZooReply& reply, int64_t now_ms);
  void step_old(int64_t now_ms);
  void old_read(const std::string& name, const ZooReply& reply, int64_t now_ms);
  void old_removed(const std::string& name, const ZooReply& reply);
  void make_paths(int64_t now_ms);
  void path_made(const std::string& path, const ZooReply& reply, int64_t now_ms);
  void update(int64_t now_ms);
  void trouble(const std::string& about, std::string text);
  void well(const std::string& about) { troubles_.erase(about); }
  void say(log::Level level, std::string text);
  [[nodiscard]] std::string centers(const std::string& name) const;
  [[nodiscard]] int64_t patience_ms() const { return timeout_ms_ * 2 / 3; }

  MembershipOptions options_;
  const std::string root_;
  Rng rng_;
  std::vector<MembershipAction> actions_;

  // --- the session
  uint64_t session_ = 0;  // 0: none is open
  uint64_t last_session_ = 0;
  bool connected_ = false;
  bool was_connected_ = false;  // this session, ever
  int64_t owner_ = 0;           // of this session's ephemerals
  int64_t timeout_ms_;
  int64_t opened_ms_ = 0;
  int64_t open_again_ms_ = 0;
  int64_t contact_ms_ = 0;  // of this session: when it last answered
  int64_t fresh_ms_;        // when what is known was last fresh
  uint64_t next_number_ = 1;
  std::map<uint64_t, Asked> asked_;

  // --- who is there
  int64_t look_due_ms_ = 0;
  bool look_again_ = false;  // something changed while it was being listed
  bool listed_ = false;      // since the connection stands
  bool broken_ = true;       // since the last look at all of it changes may have been missed
  std::set<std::string> unread_;
  std::map<std::string, std::optional<Member>> nodes_;  // nullopt: not believed
  Absences absences_;
  Presence presence_;

  // --- one's own
  std::optional<Member> me_;
  std::string want_;  // the value that shall stand; empty: none
  Own own_ = Own::none;
  std::string own_name_;
  std::string own_value_;
  int64_t own_again_ms_ = 0;
  std::set<std::string> olds_;      // that are ours and shall go
  std::vector<std::string> paths_;  // still to be made
  int64_t paths_again_ms_ = 0;
  std::map<std::string, std::string> troubles_;  // by what they are about
  bool said_away_ = false;
};

}  // namespace tailrace
