#include "base/address.h"

#include <arpa/inet.h>

#include <charconv>

#include "base/units.h"

namespace tailrace {

std::string HostPort::show() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> parse_host_port(std::string_view text, uint16_t default_port) {
  const auto wrong = [text] {
    return Error{Error::Kind::rejected,
                 "expected host:port such as center1:17410, got '" + escape(text, 64) + "'"};
  };
  HostPort out;
  out.port = default_port;
  std::string_view host = text;
  std::string_view port;
  const size_t closed = text.starts_with('[') ? text.find(']') : std::string_view::npos;
  if (closed != std::string_view::npos) {
    host = text.substr(1, closed - 1);
    port = text.substr(closed + 1);
    if (!port.empty() && port.front() != ':') return wrong();
  } else if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
    if (host.find(':') != std::string_view::npos) return wrong();  // an IPv6 address in no brackets
  }
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc() || end != port.data() + port.size()) return wrong();
  }
  if (host.empty() || host.find_first_of(" /\\@\t\n") != std::string_view::npos) return wrong();
  out.host = std::string(host);
  return out;
}

bool is_ip_address(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace tailrace
