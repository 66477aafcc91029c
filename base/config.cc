#include "base/config.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/address.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr size_t kMostReferenced = 64u << 10;

std::vector<std::string_view> split(std::string_view words, char at) {
  std::vector<std::string_view> out;
  while (!words.empty()) {
    const size_t end = std::min(words.find(at), words.size());
    out.push_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return out;
}

std::string list_of(const std::vector<std::string_view>& words) {
  std::string out;
  for (const std::string_view word : words) out += (out.empty() ? "" : ", ") + std::string(word);
  return out;
}

std::string meant(std::string_view word, const std::vector<std::string_view>& words) {
  const std::string_view near = nearest(word, words);
  return near.empty() ? "" : "did you mean '" + std::string(near) + "'?";
}

Result<std::string> resolve(std::string_view reference) {
  const auto wrong = [](std::string text) { return Error{Error::Kind::rejected, std::move(text)}; };
  if (reference.starts_with("env:")) {
    const std::string_view rest = reference.substr(4);
    const size_t bar = rest.find(":-");
    const std::string name(rest.substr(0, bar));
    if (const char* value = std::getenv(name.c_str()); value && *value) return std::string(value);
    if (bar != std::string_view::npos) return std::string(rest.substr(bar + 2));
    return wrong("the environment has no " + escape(name, 64));
  }
  const std::string path(reference.substr(5));
  auto content = read_file(path, kMostReferenced);
  if (!content) return content.error().within(escape(path));
  while (content->ends_with('\n')) content->pop_back();
  return content;
}

// What a value of this type is; rejected: it is none.
Result<uint64_t> parse_number(const ConfigKey& key, std::string_view text) {
  if (key.type == ConfigKey::Type::size) return parse_size(text);
  if (key.type == ConfigKey::Type::count) {
    uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error == std::errc() && end == text.data() + text.size()) return n;
    return Error{Error::Kind::rejected,
                 "expected a whole number such as 64, got '" + escape(text, 64) + "'"};
  }
  const auto ms = parse_duration_ms(text);
  if (!ms) return ms.error();
  return static_cast<uint64_t>(*ms);
}

Result<void> check_text(const ConfigKey& key, const std::string& value) {
  const auto wrong = [](std::string text) { return Error{Error::Kind::rejected, std::move(text)}; };
  switch (key.type) {
    case ConfigKey::Type::path:
      if (!value.starts_with('/')) return wrong("the path must begin with '/'");
      return {};
    case ConfigKey::Type::address: {
      const auto address = parse_host_port(value, 0);
      if (!address) return address.error();
      return {};
    }
    case ConfigKey::Type::size:
    case ConfigKey::Type::duration:
    case ConfigKey::Type::count: {
      const auto number = parse_number(key, value);
      if (!number) return number.error();
      if (*number < key.least || *number > key.most)
        return wrong("'" + escape(value, 64) + "' is not between " + show_number(key, key.least) +
                     " and " + show_number(key, key.most));
      return {};
    }
    default: return {};
  }
}
}  // namespace

std::string show_number(const ConfigKey& key, uint64_t number) {
  if (key.type == ConfigKey::Type::count) return std::to_string(number);
  return key.type == ConfigKey::Type::size ? show_size(number)
                                           : show_duration(static_cast<int64_t>(number));
}

Result<std::string> expand_references(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.starts_with("$$")) {
      out += '$';
      text.remove_prefix(2);
    } else if (text.starts_with("${env:") || text.starts_with("${file:")) {
      const size_t end = text.find('}');
      if (end == std::string_view::npos)
        return Error{Error::Kind::rejected, "a ${ is not closed by }"};
      const auto value = resolve(text.substr(2, end - 2));
      if (!value) return value.error();
      out += *value;
      text.remove_prefix(end + 1);
    } else if (!text.empty()) {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

const ConfigKey* ConfigKeys::find(std::string_view pattern) const {
  for (const ConfigKey& key : all)
    if ((key.files & file) != 0 && key.path == pattern) return &key;
  return nullptr;
}

std::vector<std::string_view> ConfigKeys::below(std::string_view pattern) const {
  std::vector<std::string_view> out;
  for (const ConfigKey& key : all) {
    if ((key.files & file) == 0) continue;
    std::string_view rest = key.path;
    if (!pattern.empty()) {
      if (!rest.starts_with(pattern) || rest.size() <= pattern.size() ||
          rest[pattern.size()] != '.')
        continue;
      rest.remove_prefix(pattern.size() + 1);
    }
    rest = rest.substr(0, rest.find('.'));
    if (std::find(out.begin(), out.end(), rest) == out.end()) out.push_back(rest);
  }
  return out;
}

ConfigMap::ConfigMap(const ConfigText& text, const YamlNode& root, const ConfigKeys& keys,
                     std::vector<ConfigProblem>& problems)
    : text_(&text), node_(&root), keys_(&keys), problems_(&problems) {}

std::string ConfigMap::name_of(std::string_view key) const {
  return "'" + (path_.empty() ? "" : path_ + ".") + escape(key, 64) + "'";
}

std::string ConfigMap::pattern_of(std::string_view key) const {
  const std::string before = pattern_.empty() ? "" : pattern_ + ".";
  const std::vector<std::string_view> names = keys_->below(pattern_);
  if (names.size() == 1 && names[0] == "*") return before + "*";
  return before + std::string(key);
}

const ConfigKey* ConfigMap::key(std::string_view key) const { return keys_->find(pattern_of(key)); }

const YamlNode* ConfigMap::node(std::string_view key) const {
  if (node_ == nullptr) return nullptr;
  for (const auto& [name, value] : node_->entries)
    if (name.text == key) return &value;
  return nullptr;
}

std::vector<std::string> ConfigMap::names() const {
  std::vector<std::string> out;
  for (const std::string_view name : keys_->below(pattern_)) {
    if (name != "*") {
      out.emplace_back(name);
    } else if (node_ != nullptr) {
      for (const auto& [chosen, value] : node_->entries) out.push_back(chosen.text);
    }
  }
  return out;
}

void ConfigMap::say(const YamlNode& node, std::string what, std::string hint) {
  problems_->push_back(text_->problem(node.line, node.column, std::max<size_t>(node.text.size(), 1),
                                      std::move(what), std::move(hint)));
}

// --- checking ----------------------------------------------------------------------------------

void ConfigMap::check() {
  const std::vector<std::string_view> known = keys_->below(pattern_);
  const bool chosen = known.size() == 1 && known[0] == "*";
  for (const auto& [name, value] : node_->entries) {
    if (!chosen && std::find(known.begin(), known.end(), name.text) == known.end()) {
      std::string hint = meant(name.text, known);
      if (hint.empty()) hint = "known here: " + list_of(known);
      say(name, "unknown key " + name_of(name.text), std::move(hint));
      continue;
    }
    if (value.kind == YamlNode::Kind::nothing) {
      say(name, name_of(name.text) + " needs a value");
      continue;
    }
    const ConfigKey* const key = keys_->find(pattern_of(name.text));
    if (key != nullptr && key->type != ConfigKey::Type::map) {
      check_value(*key, name.text, value);
    } else if (value.kind != YamlNode::Kind::map) {
      say(value, name_of(name.text) + " is a map of keys", "write its keys below it, indented");
    } else {
      map(name.text).check();
    }
  }
  for (const std::string_view name : known) {
    const ConfigKey* const key = this->key(name);
    if (key != nullptr && !key->required.empty() && name != "*" && !has(name))
      missing(name, std::string(key->required));
  }
}

std::optional<std::string> ConfigMap::scalar(std::string_view name, const YamlNode& node) {
  if (node.kind == YamlNode::Kind::list || node.kind == YamlNode::Kind::map) {
    say(node, name_of(name) + " is one value, not a list or a map");
    return std::nullopt;
  }
  auto value = expand_references(node.text);
  if (!value) {
    say(node, value.error().text);
    return std::nullopt;
  }
  if (value->empty()) {
    say(node, name_of(name) + " needs a value");
    return std::nullopt;
  }
  return *value;
}

void ConfigMap::check_value(const ConfigKey& key, std::string_view name, const YamlNode& node) {
  if (key.type == ConfigKey::Type::list) {
    if (node.kind != YamlNode::Kind::list)
      return say(node, name_of(name) + " is a list", "write it as [one, two]");
    if (node.items.empty()) return say(node, name_of(name) + " is an empty list");
    for (const YamlNode& item : node.items) (void)scalar(name, item);
    return;
  }
  const auto value = scalar(name, node);
  if (!value) return;
  if (key.type == ConfigKey::Type::word) {
    const std::vector<std::string_view> words = split(key.words, '|');
    if (std::find(words.begin(), words.end(), *value) == words.end())
      say(node, name_of(name) + " is one of: " + list_of(words), meant(*value, words));
    return;
  }
  if (const auto checked = check_text(key, *value); !checked) say(node, checked.error().text);
}

// --- values ------------------------------------------------------------------------------------

bool ConfigMap::has(std::string_view key) const { return node(key) != nullptr; }

bool ConfigMap::known(std::string_view key) const { return !text(key).empty(); }

std::string ConfigMap::text(std::string_view key) const {
  if (const YamlNode* const at = node(key); at != nullptr && at->kind == YamlNode::Kind::scalar) {
    if (auto value = expand_references(at->text); value.ok()) return *value;
  }
  const ConfigKey* const known = this->key(key);
  return known == nullptr ? "" : std::string(known->fallback);
}

uint64_t ConfigMap::number(std::string_view key) const {
  const ConfigKey* const known = this->key(key);
  if (known == nullptr) return 0;
  const auto number = parse_number(*known, text(key));
  return number ? *number : 0;
}

std::vector<std::string> ConfigMap::texts(std::string_view key) const {
  std::vector<std::string> out;
  const YamlNode* const at = node(key);
  if (at == nullptr) return out;
  for (const YamlNode& item : at->items)
    if (auto value = expand_references(item.text); value && !value->empty()) out.push_back(*value);
  return out;
}

ConfigMap ConfigMap::map(std::string_view key) const {
  ConfigMap below = *this;
  below.node_ = node(key);
  if (below.node_ != nullptr && below.node_->kind != YamlNode::Kind::map) below.node_ = nullptr;
  below.path_ = (path_.empty() ? "" : path_ + ".") + std::string(key);
  below.pattern_ = pattern_of(key);
  return below;
}

void ConfigMap::each(const std::function<void(const std::string&, ConfigMap)>& visit) const {
  if (node_ == nullptr) return;
  for (const auto& [name, value] : node_->entries)
    if (value.kind == YamlNode::Kind::map) visit(name.text, map(name.text));
}

void ConfigMap::missing(std::string_view key, std::string hint) {
  const size_t line = node_ == nullptr ? 1 : std::max<size_t>(node_->line, 1);
  const size_t column = node_ == nullptr ? 1 : std::max<size_t>(node_->column, 1);
  problems_->push_back(
      text_->problem(line, column, 1, "the key " + name_of(key) + " is missing", std::move(hint)));
}

void ConfigMap::wrong(std::string_view key, std::string what, std::string hint) {
  if (const YamlNode* const at = node(key)) say(*at, std::move(what), std::move(hint));
}

void ConfigMap::wrong_name(std::string_view key, std::string what, std::string hint) {
  if (node_ == nullptr) return;
  for (const auto& [name, value] : node_->entries)
    if (name.text == key) return say(name, std::move(what), std::move(hint));
}

}  // namespace tailrace
