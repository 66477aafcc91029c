// The table of keys as text for people and for editors.
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/config/keys.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;

std::string_view kind_of(ConfigKey::Type type) {
  switch (type) {
    case ConfigKey::Type::map: return "map";
    case ConfigKey::Type::text: return "text";
    case ConfigKey::Type::path: return "path";
    case ConfigKey::Type::address: return "host:port";
    case ConfigKey::Type::size: return "size";
    case ConfigKey::Type::duration: return "duration";
    case ConfigKey::Type::count: return "number";
    case ConfigKey::Type::word: return "word";
    case ConfigKey::Type::list: return "list";
  }
  return "";
}

std::string with_bars(std::string_view words) {
  std::string out;
  for (const char c : words) out += c == '|' ? std::string(", ") : std::string(1, c);
  return out;
}

std::string range_of(const ConfigKey& key) {
  using enum ConfigKey::Type;
  if (key.type != size && key.type != duration && key.type != count) return "";
  std::string out;
  if (key.least > 0) out += "; " + show_number(key, key.least) + " at least";
  if (key.most != UINT64_MAX) out += "; " + show_number(key, key.most) + " at most";
  return out;
}

std::string what_of(const ConfigKey& key) {
  std::string out(kind_of(key.type));
  if (key.type == ConfigKey::Type::word) out = with_bars(key.words);
  return out + range_of(key);
}

Json schema_of(const ConfigKeys& keys, const std::string& pattern);

Json schema_of_key(const ConfigKeys& keys, const std::string& pattern, const ConfigKey* key) {
  if (key == nullptr || key->type == ConfigKey::Type::map) {
    Json out = schema_of(keys, pattern);
    if (key != nullptr) out["description"] = key->help;
    return out;
  }
  Json out;
  out["description"] = key->help;
  out["type"] = key->type == ConfigKey::Type::list ? "array" : "string";
  if (!key->fallback.empty()) out["default"] = key->fallback;
  switch (key->type) {
    case ConfigKey::Type::list:
      out["items"] = {{"type", "string"}};
      out["minItems"] = 1;
      break;
    case ConfigKey::Type::word: {
      std::string_view words = key->words;
      while (!words.empty()) {
        const size_t end = std::min(words.find('|'), words.size());
        out["enum"].push_back(words.substr(0, end));
        words.remove_prefix(std::min(end + 1, words.size()));
      }
      break;
    }
    case ConfigKey::Type::size: out["pattern"] = "^[0-9.]+ ?([KMGT]i?)?B$|\\$\\{"; break;
    case ConfigKey::Type::duration: out["pattern"] = "^[0-9.]+ ?(ms|s|m|h|d)$|\\$\\{"; break;
    case ConfigKey::Type::count:
      out["type"] = {"integer", "string"};
      out["pattern"] = "^[0-9]+$|\\$\\{";
      break;
    case ConfigKey::Type::path: out["pattern"] = "^/|\\$\\{"; break;
    default: break;
  }
  return out;
}

Json schema_of(const ConfigKeys& keys, const std::string& pattern) {
  Json out;
  out["type"] = "object";
  out["additionalProperties"] = false;
  for (const std::string_view name : keys.below(pattern)) {
    const std::string below = (pattern.empty() ? "" : pattern + ".") + std::string(name);
    const ConfigKey* const key = keys.find(below);
    Json schema = schema_of_key(keys, below, key);
    if (name == "*") {
      out["additionalProperties"] = std::move(schema);
      continue;
    }
    out["properties"][std::string(name)] = std::move(schema);
    if (key != nullptr && !key->required.empty()) out["required"].push_back(name);
  }
  return out;
}

std::string_view title_of(std::string_view role) {
  if (role == "agent") return "tailrace-agent: /etc/tailrace/agent.yaml and conf.d/*.yaml";
  if (role == "local") return "tailrace-local: /etc/tailrace/local.yaml";
  if (role == "center") return "tailrace-center: /etc/tailrace/center.yaml";
  return "tailrace run --config FILE: all three roles in one process";
}
}  // namespace

std::string keys_as_help(std::string_view role) {
  const ConfigKeys& keys = config_keys(role);
  std::string out = "Keys of the settings (`tailrace config --page` tells all of each):\n";
  for (const ConfigKey& key : keys.all) {
    if ((key.files & keys.file) == 0 || key.type == ConfigKey::Type::map) continue;
    std::string line = "  " + std::string(key.path);
    line.resize(std::max<size_t>(line.size() + 1, 28), ' ');
    line += what_of(key);
    if (!key.fallback.empty()) line += " (" + std::string(key.fallback) + ")";
    if (!key.required.empty()) line += ", needed";
    out += line + "\n";
  }
  return out;
}

std::string keys_as_page() {
  std::string out =
      "# Configuration\n\nWritten by `build/bin/tailrace config --page`, from the table that the "
      "programs read by; change that table (cli/config/keys.cc), not this page.\n\n"
      "Sizes have a unit (`256MiB`), durations too (`10s`, `5m`, `1h`); a bare number is refused. "
      "Inside a value `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` are replaced after "
      "the file was parsed, so that they can't change its structure; `$$` is one `$`. An unknown "
      "key, a wrong value or a key that stands twice is refused with its line, exit 78: "
      "`tailrace check FILE`. `tailrace config --effective FILE` shows what counts, and from which "
      "line it comes. `tailrace config --schema ROLE` prints a JSON Schema for editors.\n";
  for (const std::string_view role : kRoles) {
    const ConfigKeys& keys = config_keys(role);
    out += "\n## " + std::string(title_of(role)) +
           "\n\n| key | what | default | meaning |\n| --- | --- | --- | --- |\n";
    for (const ConfigKey& key : keys.all) {
      if ((key.files & keys.file) == 0) continue;
      std::string what = what_of(key);
      std::string fallback =
          key.fallback.empty() ? std::string() : "`" + std::string(key.fallback) + "`";
      if (!key.required.empty()) fallback = "needed";
      out += "| `" + std::string(key.path) + "` | " + what + " | " + fallback + " | " +
             std::string(key.help) + " |\n";
    }
  }
  return out;
}

std::string keys_as_schema(std::string_view role) {
  Json out;
  out["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  out["title"] = title_of(role);
  out.update(schema_of(config_keys(role), ""));
  return out.dump(2) + "\n";
}

}  // namespace tailrace
