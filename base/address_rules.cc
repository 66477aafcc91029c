#include "base/address_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/address.h"
#include "base/units.h"

namespace tailrace {

namespace {
// 4 or 16 bytes; empty: no IP address.
std::string ip_bytes(const std::string& host) {
  char bytes[16];
  if (::inet_pton(AF_INET, host.c_str(), bytes) == 1) return {bytes, 4};
  if (::inet_pton(AF_INET6, host.c_str(), bytes) == 1) return {bytes, 16};
  return {};
}

bool same_bits(const std::string& one, const std::string& other, unsigned bits) {
  if (one.size() != other.size()) return false;
  if (std::memcmp(one.data(), other.data(), bits / 8) != 0) return false;
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xFFu << (8 - bits % 8) & 0xFFu;
  return ((static_cast<unsigned char>(one[bits / 8]) ^
           static_cast<unsigned char>(other[bits / 8])) &
          mask) == 0;
}
std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// As hosts and domains are called: what has a letter is no half address.
bool is_name(std::string_view text) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto plain = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
  };
  return std::all_of(text.begin(), text.end(), plain) &&
         std::any_of(text.begin(), text.end(), letter);
}

std::optional<unsigned> bits_of(std::string_view text) {
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return bits;
}
}  // namespace

Result<AddressRules> AddressRules::parse(const std::vector<std::string>& rules) {
  AddressRules out;
  for (const std::string& rule : rules) {
    if (std::string name = lower_case(rule); is_name(name)) {
      out.names_.push_back(std::move(name));
      continue;
    }
    const size_t slash = rule.find('/');
    const std::string bytes = ip_bytes(rule.substr(0, slash));
    const auto most = static_cast<unsigned>(bytes.size() * 8);
    const auto bits = slash == std::string::npos
                          ? std::optional(most)
                          : bits_of(std::string_view(rule).substr(slash + 1));
    if (bytes.empty() || !bits || *bits > most)
      return Error{Error::Kind::rejected, "'" + escape(rule, 64) +
                                              "' is neither a network such as 10.0.0.0/8 nor a "
                                              "host or a domain such as .example.com"};
    out.networks_.push_back({bytes, *bits});
  }
  return out;
}

bool AddressRules::allow(const std::string& address) const {
  if (networks_.empty() && names_.empty()) return true;
  const auto at = parse_host_port(address, 0);
  if (!at) return false;
  const std::string bytes = ip_bytes(at->host);
  if (bytes.empty())
    return std::any_of(names_.begin(), names_.end(),
                       [host = lower_case(at->host)](const auto& name) {
                         return name.front() == '.' ? host.ends_with(name) : host == name;
                       });
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return same_bits(bytes, network.bytes, network.bits);
  });
}

}  // namespace tailrace
