// Configuration files against a table of their keys: from the one table come the checks, the typed
// values with their defaults, what is said of a mistake, and (cli/config) the reference page, the
// JSON Schema and --help. All that is wrong is collected, nothing stops at the first.
// Thread: any.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/yaml.h"

namespace tailrace {

struct ConfigKey {
  enum class Type {
    map,  // has keys below it
    text,
    path,      // absolute
    address,   // host:port
    size,      // "256MiB", in bytes
    duration,  // "10s", in ms
    count,     // "64", of things
    word,      // one of `words`
    list,      // of texts
  };
  unsigned files = 0;       // in which kinds of files it may stand: a bit each
  std::string_view path{};  // "sinks.*.roll.size"; "*" is a name that the file chooses
  Type type = Type::text;
  std::string_view fallback{};  // as it would be written; empty: none
  std::string_view help{};
  std::string_view words{};  // "gzip|zstd|snappy|none"
  uint64_t least = 0;        // of a size, a duration or a count
  uint64_t most = UINT64_MAX;
  std::string_view required{};  // not empty: it must be there, and what to write
  bool secret = false;          // its value is never shown
};

// The keys that one kind of file may have.
struct ConfigKeys {
  std::span<const ConfigKey> all;
  unsigned file = 0;
  // By the pattern of its path; null: there is none.
  [[nodiscard]] const ConfigKey* find(std::string_view pattern) const;
  // Names that may stand directly below a pattern ("": the top), in the table's order.
  [[nodiscard]] std::vector<std::string_view> below(std::string_view pattern) const;
};

// One map of a file, or of none: then every value is its default. Cheap to copy; the text, the
// nodes, the keys and the problems must outlive it.
class ConfigMap {
 public:
  ConfigMap(const ConfigText& text, const YamlNode& root, const ConfigKeys& keys,
            std::vector<ConfigProblem>& problems);

  // Reports every unknown key, wrong value and missing key of this map and below. Once, before
  // anything is read.
  void check();

  // --- values: what the file says, else the default; "", 0 or {} if there is neither ------------
  // Scalars may hold ${env:NAME}, ${env:NAME:-default} and ${file:PATH}; $$ is one $.
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] uint64_t number(std::string_view key) const;  // bytes, ms, things
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const;
  // Whether there is anything: the file's or a default.
  [[nodiscard]] bool known(std::string_view key) const;
  [[nodiscard]] ConfigMap map(std::string_view key) const;
  // The maps below names that the file chose.
  void each(const std::function<void(const std::string& name, ConfigMap map)>& visit) const;

  // --- what only the reader can know -------------------------------------------------------------
  void wrong(std::string_view key, std::string what, std::string hint = {});
  void wrong_name(std::string_view key, std::string what, std::string hint = {});
  void missing(std::string_view key, std::string hint);

  // --- what a listing needs ----------------------------------------------------------------------
  [[nodiscard]] const ConfigText& source() const { return *text_; }
  [[nodiscard]] const YamlNode* node(std::string_view key) const;  // null: not in the file
  [[nodiscard]] const ConfigKey* key(std::string_view key) const;
  // The names below it, as they stand in the table, the chosen ones as they stand in the file.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  [[nodiscard]] std::string pattern_of(std::string_view key) const;
  void check_value(const ConfigKey& key, std::string_view name, const YamlNode& node);
  [[nodiscard]] std::optional<std::string> scalar(std::string_view name, const YamlNode& node);
  void say(const YamlNode& node, std::string what, std::string hint = {});
  [[nodiscard]] std::string name_of(std::string_view key) const;

  const ConfigText* text_;
  const YamlNode* node_;  // null: the file does not have this map
  const ConfigKeys* keys_;
  std::vector<ConfigProblem>* problems_;
  std::string path_;     // "" is the file
  std::string pattern_;  // the same with '*' for chosen names
};

// A number of that key's type as it would be written.
[[nodiscard]] std::string show_number(const ConfigKey& key, uint64_t number);

// ${env:NAME}, ${env:NAME:-default}, ${file:PATH}, $$. rejected: what is not there.
[[nodiscard]] Result<std::string> expand_references(std::string_view text);

}  // namespace tailrace
