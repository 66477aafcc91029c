#include "discovery/member.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/address.h"
#include "base/random.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr std::string_view kFirstLine = "tailrace-center 1";
constexpr size_t kMostText = 256;
constexpr size_t kMostIncarnations = 32;
constexpr size_t kUuidDigits = 16;
constexpr size_t kIncarnationLength = 13 + 1 + kUuidDigits;

Error corrupt(std::string text) { return Error{Error::Kind::corrupt, std::move(text)}; }

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool hex_digits(std::string_view text) {
  return text.size() == kUuidDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// <start in ms>-<random>, as center/names.h writes them.
bool is_incarnation(std::string_view text) {
  if (text.size() != kIncarnationLength || text[13] != '-') return false;
  const std::string_view ms = text.substr(0, 13);
  return std::all_of(ms.begin(), ms.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         hex_digits(text.substr(14));
}

std::optional<int64_t> number(std::string_view text) {
  int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < 0) return std::nullopt;
  return out;
}

// One line into its field; false: the value is none. What is not known is of a later version.
bool set_field(Member& out, std::string_view key, std::string_view value) {
  const auto text = [value](std::string& field) {
    field = std::string(value);
    return !value.empty() && value.size() <= kMostText && printable(value);
  };
  if (key == "cluster") return text(out.cluster);
  if (key == "name") return text(out.name);
  if (key == "address") return text(out.address) && parse_host_port(value, 0).ok();
  if (key == "version") return text(out.version);
  if (key == "state") {
    out.state = value == "draining" ? Member::State::draining : Member::State::running;
    return value == "draining" || value == "running";
  }
  if (key == "uuid") {
    out.state_uuid = parse_hex16(value);
    return hex_digits(value) && out.state_uuid != 0;
  }
  if (key == "started") {
    const auto ms = number(value);
    out.started_ms = ms.value_or(0);
    return ms.has_value();
  }
  if (key == "sink") {
    const std::string_view sink = value.substr(0, value.find(' '));
    const std::string_view incarnation = value.substr(std::min(sink.size() + 1, value.size()));
    if (!hex_digits(sink) || !is_incarnation(incarnation)) return false;
    return out.incarnations.size() < kMostIncarnations &&
           out.incarnations.emplace(parse_hex16(sink), incarnation).second;
  }
  return true;
}
}  // namespace

Result<std::string> Member::encode() const {
  std::string out(kFirstLine);
  out += "\ncluster " + cluster + "\nname " + name;
  if (!address.empty()) out += "\naddress " + address;
  out += "\nversion " + version;
  out += std::string("\nstate ") + (state == State::draining ? "draining" : "running");
  out += "\nuuid " + hex16(state_uuid) + "\nstarted " + std::to_string(started_ms);
  for (const auto& [sink, incarnation] : incarnations)
    out += "\nsink " + hex16(sink) + " " + incarnation;
  out += "\n";
  const auto back = decode(out);
  if (!back || *back != *this)
    return Error{Error::Kind::rejected,
                 "what this Center says of itself does not fit into a node of ZooKeeper: " +
                     (back ? std::string("its fields change on the way") : back.error().text)};
  return out;
}

Result<Member> Member::decode(std::string_view bytes) {
  if (bytes.size() > kMostMemberBytes)
    return corrupt(show_count(bytes.size()) + " bytes, more than the " +
                   show_count(kMostMemberBytes) + " that a Center writes");
  if (!bytes.starts_with(kFirstLine) || !bytes.ends_with('\n'))
    return corrupt("it is not of this form (its first line is not '" + std::string(kFirstLine) +
                   "')");
  Member out;
  std::set<std::string_view> seen;
  bytes.remove_prefix(std::min(bytes.size(), bytes.find('\n') + 1));
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(line.size() + 1);
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return corrupt("a line without a value");
    const std::string_view key = line.substr(0, space);
    if (!set_field(out, key, line.substr(space + 1)))
      return corrupt("'" + escape(line, 64) + "' is not what a Center writes");
    if (key != "sink" && !seen.insert(key).second) return corrupt("a line stands there twice");
  }
  for (const char* const needed : {"cluster", "name", "version", "state", "uuid", "started"})
    if (!seen.contains(needed)) return corrupt(std::string("it has no '") + needed + "'");
  return out;
}

std::string member_node_name(const std::string& center, uint64_t random) {
  return center + "-" + hex16(random);
}

std::string_view center_of_node(std::string_view node_name) {
  if (node_name.size() <= kUuidDigits + 1) return {};
  const std::string_view name = node_name.substr(0, node_name.size() - kUuidDigits - 1);
  const bool shaped = node_name[name.size()] == '-' &&
                      hex_digits(node_name.substr(name.size() + 1)) && name.size() <= kMostText &&
                      printable(name) && name.find('/') == std::string_view::npos;
  return shaped ? name : std::string_view();
}

Result<Member> believe_member(const std::string& node_name, std::string_view value,
                              const std::string& cluster, const AddressRules& rules) {
  auto member = Member::decode(value);
  if (!member) return member.error();
  if (member->cluster != cluster)
    return Error{Error::Kind::rejected,
                 "it is of the cluster '" + escape(member->cluster, 64) + "'"};
  if (member->name != center_of_node(node_name))
    return Error{Error::Kind::rejected,
                 "it is named '" + escape(member->name, 64) + "', its node is not"};
  if (!member->address.empty() && !rules.allow(member->address))
    return Error{Error::Kind::rejected, "its address " + escape(member->address, 128) +
                                            " is not one that 'discovery.allow' names"};
  return member;
}

}  // namespace tailrace
