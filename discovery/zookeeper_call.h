// What is asked of ZooKeeper and what it says, as plain values: machines speak in them, and
// discovery/zookeeper.h carries them out. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tailrace {

struct ZooRequest {
  enum class Kind { create, create_ephemeral, read, exists, list, remove };
  Kind kind{};
  uint64_t number = 0;  // its reply has the same one
  std::string path{};
  std::string value{};   // of a create
  int32_t version = -1;  // of a remove: only this one
  bool watch = false;    // of exists and list: one ZooChange when it is not so any more
};

struct ZooReply {
  enum class Outcome {
    ok,
    no_node,
    exists,
    bad_version,
    no_auth,
    lost,     // no answer: whether it was done is not known
    refused,  // for another reason: text
  };
  uint64_t session = 0;
  uint64_t number = 0;
  Outcome outcome{};
  std::string text{};  // for a person
  std::string value{};
  std::vector<std::string> names{};  // of a list
  int32_t version = 0;
  int64_t owner = 0;  // the session that an ephemeral belongs to; 0: it is none
};

// What becomes of a session.
struct ZooSession {
  enum class What {
    connected,
    lost,     // it may be connected again
    expired,  // never
    refused,  // never: text
  };
  uint64_t session = 0;
  What what{};
  int64_t id = 0;          // of connected: the owner of its ephemerals
  int64_t timeout_ms = 0;  // of connected: what the server grants
  std::string text{};
};

// A watch has fired: look again.
struct ZooChange {
  uint64_t session = 0;
  std::string path{};
};

using ZooEvent = std::variant<ZooSession, ZooReply, ZooChange>;

}  // namespace tailrace
