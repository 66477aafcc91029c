// What a Center says of itself in ZooKeeper: the value of its ephemeral node, as lines that a
// person reads with zkCli ("get"), and which of such values are believed. Thread: any; pure.
// docs/formats/membership.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/address_rules.h"
#include "base/result.h"

namespace tailrace {

inline constexpr size_t kMostMemberBytes = 4'096;

struct Member {
  enum class State { running, draining };
  std::string cluster;
  std::string name;
  std::string address;  // where Locals reach it, as host:port
  std::string version;  // of the program
  State state = State::running;
  uint64_t state_uuid = 0;                       // of its state directory, whose lock it holds
  int64_t started_ms = 0;                        // wall
  std::map<uint64_t, std::string> incarnations;  // its current one at each store, by sink
  bool operator==(const Member&) const = default;

  // rejected: it would be larger than kMostMemberBytes, or a field holds what no line can.
  [[nodiscard]] Result<std::string> encode() const;
  // corrupt: not such a value, or one of the fields is not what it must be.
  [[nodiscard]] static Result<Member> decode(std::string_view bytes);
};

// <name>-<16 hex digits>; never given twice.
[[nodiscard]] std::string member_node_name(const std::string& center, uint64_t random);
// The Center's name in it; empty: it is no such name.
[[nodiscard]] std::string_view center_of_node(std::string_view node_name);

// What a stranger may have written there, judged as a Center's: `node_name` is the node's, and the
// member's own says. rejected or corrupt: it is passed over.
[[nodiscard]] Result<Member> believe_member(const std::string& node_name, std::string_view value,
                                            const std::string& cluster, const AddressRules& rules);

}  // namespace tailrace
