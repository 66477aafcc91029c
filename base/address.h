// "host:port", "[::1]:port", ":port" as people write it. Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace {

struct HostPort {
  std::string host;  // a name or an IP address, without brackets
  uint16_t port = 0;
  [[nodiscard]] std::string show() const;
};

// Without a port it gets `default_port`; rejected: no host, or a port that is none.
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text, uint16_t default_port);
[[nodiscard]] bool is_ip_address(const std::string& host);

}  // namespace tailrace
