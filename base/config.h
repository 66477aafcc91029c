// Typed reading of a configuration file: each key is asked for once, with its type; what was not
// asked for is an unknown key. All that is wrong is collected, nothing stops at the first.
// Thread: any.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/yaml.h"

namespace tailrace {

class ConfigMap {
 public:
  // `node` is a map of `text`; `path` names it in messages ("" is the file). All must outlive it.
  ConfigMap(const ConfigText& text, const YamlNode& node, std::string path,
            std::vector<ConfigProblem>& problems);

  // --- values; absent is nullopt and no problem, wrong is nullopt and one -----------------------
  // Scalars may hold ${env:NAME}, ${env:NAME:-default} and ${file:PATH}; $$ is one $.
  [[nodiscard]] std::optional<std::string> text(std::string_view key);
  [[nodiscard]] std::optional<uint64_t> size(std::string_view key);        // "256MiB"
  [[nodiscard]] std::optional<int64_t> duration_ms(std::string_view key);  // "10s"
  // One of the words.
  [[nodiscard]] std::optional<std::string> word(std::string_view key,
                                                const std::vector<std::string>& words);
  [[nodiscard]] std::vector<std::string> texts(std::string_view key);
  // A map below this one, or each of the maps below it, by name.
  [[nodiscard]] std::optional<ConfigMap> map(std::string_view key);
  void each(const std::function<void(const std::string& name, ConfigMap map)>& visit);

  [[nodiscard]] bool has(std::string_view key) const;
  // Says that a key is missing, at the map's own place.
  void missing(std::string_view key, std::string hint);
  // Says what is wrong with a key's value.
  void wrong(std::string_view key, std::string what, std::string hint = {});
  void wrong_name(std::string_view key, std::string what, std::string hint = {});
  // Whatever was never asked for is unknown. Call it last.
  void finish();

 private:
  template <class T>
  [[nodiscard]] std::optional<T> parsed(std::string_view key, Result<T> (*parse)(std::string_view));
  [[nodiscard]] const YamlNode* ask(std::string_view key);
  [[nodiscard]] std::optional<std::string> scalar(std::string_view key, const YamlNode& node);
  void say(const YamlNode& node, std::string what, std::string hint = {});
  [[nodiscard]] std::string name_of(std::string_view key) const;

  const ConfigText* text_;
  const YamlNode* node_;
  std::string path_;
  std::vector<ConfigProblem>* problems_;
  std::vector<std::string> asked_;
};

// ${env:NAME}, ${env:NAME:-default}, ${file:PATH}, $$. rejected: what is not there.
[[nodiscard]] Result<std::string> expand_references(std::string_view text);

}  // namespace tailrace
