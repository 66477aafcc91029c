#include "base/config.h"

#include <algorithm>
#include <cstdlib>

#include "base/file.h"
#include "base/nearest.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr size_t kMostReferenced = 64u << 10;

std::string list_of(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string meant(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> words(known.begin(), known.end());
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
}  // namespace

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

ConfigMap::ConfigMap(const ConfigText& text, const YamlNode& node, std::string path,
                     std::vector<ConfigProblem>& problems)
    : text_(&text), node_(&node), path_(std::move(path)), problems_(&problems) {}

std::string ConfigMap::name_of(std::string_view key) const {
  return "'" + (path_.empty() ? "" : path_ + ".") + escape(key, 64) + "'";
}

void ConfigMap::say(const YamlNode& node, std::string what, std::string hint) {
  problems_->push_back(text_->problem(node.line, node.column, std::max<size_t>(node.text.size(), 1),
                                      std::move(what), std::move(hint)));
}

const YamlNode* ConfigMap::ask(std::string_view key) {
  asked_.emplace_back(key);
  for (const auto& [name, value] : node_->entries)
    if (name.text == key) return &value;
  return nullptr;
}

bool ConfigMap::has(std::string_view key) const {
  return std::any_of(node_->entries.begin(), node_->entries.end(),
                     [&](const auto& e) { return e.first.text == key; });
}

std::optional<std::string> ConfigMap::scalar(std::string_view key, const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar || (node.text.empty() && !node.quoted)) {
    say(node, name_of(key) + " needs a value");
    return std::nullopt;
  }
  auto value = expand_references(node.text);
  if (value) return *value;
  say(node, value.error().text);
  return std::nullopt;
}

std::optional<std::string> ConfigMap::text(std::string_view key) {
  const YamlNode* node = ask(key);
  return node ? scalar(key, *node) : std::nullopt;
}

template <class T>
std::optional<T> ConfigMap::parsed(std::string_view key, Result<T> (*parse)(std::string_view)) {
  const auto value = text(key);
  if (!value) return std::nullopt;
  const auto understood = parse(*value);
  if (understood) return *understood;
  wrong(key, understood.error().text);
  return std::nullopt;
}

std::optional<uint64_t> ConfigMap::size(std::string_view key) { return parsed(key, parse_size); }

std::optional<int64_t> ConfigMap::duration_ms(std::string_view key) {
  return parsed(key, parse_duration_ms);
}

std::optional<std::string> ConfigMap::word(std::string_view key,
                                           const std::vector<std::string>& words) {
  auto value = text(key);
  if (!value || std::find(words.begin(), words.end(), *value) != words.end()) return value;
  wrong(key, name_of(key) + " is one of: " + list_of(words), meant(*value, words));
  return std::nullopt;
}

std::vector<std::string> ConfigMap::texts(std::string_view key) {
  std::vector<std::string> out;
  const YamlNode* node = ask(key);
  if (!node) return out;
  if (node->kind != YamlNode::Kind::list) {
    say(*node, name_of(key) + " is a list", "write it as [one, two]");
    return out;
  }
  for (const YamlNode& item : node->items)
    if (auto value = scalar(key, item)) out.push_back(std::move(*value));
  return out;
}

std::optional<ConfigMap> ConfigMap::map(std::string_view key) {
  const YamlNode* node = ask(key);
  if (!node) return std::nullopt;
  if (node->kind != YamlNode::Kind::map) {
    say(*node, name_of(key) + " is a map of keys", "write its keys below it, indented");
    return std::nullopt;
  }
  return ConfigMap(*text_, *node, (path_.empty() ? "" : path_ + ".") + std::string(key),
                   *problems_);
}

void ConfigMap::each(const std::function<void(const std::string& name, ConfigMap map)>& visit) {
  for (const auto& [name, value] : node_->entries)
    if (auto below = map(name.text)) visit(name.text, std::move(*below));
}

void ConfigMap::missing(std::string_view key, std::string hint) {
  problems_->push_back(text_->problem(std::max<size_t>(node_->line, 1),
                                      std::max<size_t>(node_->column, 1), 1,
                                      "the key " + name_of(key) + " is missing", std::move(hint)));
}

void ConfigMap::wrong(std::string_view key, std::string what, std::string hint) {
  for (const auto& [name, value] : node_->entries)
    if (name.text == key) return say(value, std::move(what), std::move(hint));
}

void ConfigMap::wrong_name(std::string_view key, std::string what, std::string hint) {
  for (const auto& [name, value] : node_->entries)
    if (name.text == key) return say(name, std::move(what), std::move(hint));
}

void ConfigMap::finish() {
  for (const auto& [name, value] : node_->entries) {
    if (std::find(asked_.begin(), asked_.end(), name.text) != asked_.end()) continue;
    std::string hint = meant(name.text, asked_);
    if (hint.empty()) hint = "known here: " + list_of(asked_);
    say(name, "unknown key " + name_of(name.text), std::move(hint));
  }
}

}  // namespace tailrace
