// Which addresses are believed that a stranger names. Thread: any; plain values, pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {

// Those inside one of the networks (10.0.0.0/8, fd00::/8), and host names that are one of the names
// (dn1.example.com) or end in one of the domains (.example.com), in any case. No rule: all. Names
// are not resolved: a network says nothing of them.
class AddressRules {
 public:
  // rejected: a rule that is none of these.
  [[nodiscard]] static Result<AddressRules> parse(const std::vector<std::string>& rules);
  // `address`: host:port.
  [[nodiscard]] bool allow(const std::string& address) const;

 private:
  struct Network {
    std::string bytes;  // 4 or 16
    unsigned bits = 0;
  };
  std::vector<Network> networks_;
  std::vector<std::string> names_;  // in lower case; one with a '.' in front is a domain
};

}  // namespace tailrace
