// Who is there, as ZooKeeper says: what the Centers' machines are told. It is never what is true: a
// wrong view costs bytes that are sent again. Thread: any; plain values and a pure machine.
// docs/protocol.md, "Several Centers".
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "discovery/member.h"

namespace tailrace {

struct Presence {
  bool fresh = false;           // ZooKeeper answers, and this is what it says now
  std::vector<Member> members;  // while not fresh: what it said last
  // Incarnations that were there, and whose Center has been away for long enough; empty while not
  // fresh.
  std::set<std::string> gone;
  // The operator's nodes; while not fresh as they were last.
  bool paused = false;          // no lane moves for balance
  std::set<std::string> drain;  // names of Centers that shall leave
  bool operator==(const Presence&) const = default;
};

// Which incarnations have gone. Whoever vanishes while one looks has gone after `grace_ms`; who was
// missing when one looked again after a pause may be as late as oneself: `session_ms` more.
class Absences {
 public:
  Absences(int64_t grace_ms, int64_t session_ms) : grace_ms_(grace_ms), session_ms_(session_ms) {}

  // `unbroken`: all that changed since the last time was seen.
  void look(const std::set<std::string>& present, bool unbroken, int64_t now_ms);
  // As of the last look().
  [[nodiscard]] std::set<std::string> gone(int64_t now_ms) const;

 private:
  struct Seen {
    int64_t missing_ms = -1;  // since when; -1: it is there
    int64_t patience_ms = 0;
  };
  int64_t grace_ms_;
  int64_t session_ms_;
  std::map<std::string, Seen> seen_;
};

}  // namespace tailrace
