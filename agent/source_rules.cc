#include "agent/source_rules.h"

#include <limits.h>
#include <stdlib.h>

namespace tailrace {

namespace {
std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }
}  // namespace

Result<SourceRules> SourceRules::compile(const std::vector<AgentSource>& sources,
                                         const std::vector<std::string>& never_below) {
  SourceRules rules;
  for (size_t i = 0; i < sources.size(); ++i) {
    for (const std::string& text : sources[i].globs) {
      auto glob = Glob::parse(text);
      if (!glob) return glob.error().within("source '" + sources[i].category + "'");
      rules.patterns_.push_back({std::move(*glob), i});
    }
    auto& paths = rules.exclude_paths_.emplace_back();
    auto& names = rules.exclude_names_.emplace_back();
    for (const std::string& text : sources[i].exclude) {
      if (text.find('/') == std::string::npos) {
        names.push_back(text);
        continue;
      }
      auto glob = Glob::parse(text);
      if (!glob) return glob.error().within("source '" + sources[i].category + "', exclude");
      paths.push_back(std::move(*glob));
    }
  }
  for (std::string path : never_below) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    char real[PATH_MAX];
    if (::realpath(path.c_str(), real) && path != real) rules.never_below_.emplace_back(real);
    rules.never_below_.push_back(std::move(path));
  }
  return rules;
}

bool SourceRules::excluded(std::string_view path, const Pattern& pattern) const {
  const std::string_view name = name_of(path);
  if (!pattern.glob.names_file())
    for (const std::string_view p : kDefaultExclude)
      if (glob_matches_name(p, name, true)) return true;
  for (const std::string& p : exclude_names_[pattern.source])
    if (glob_matches_name(p, name, true)) return true;
  for (const Glob& g : exclude_paths_[pattern.source])
    if (g.matches(path)) return true;
  return false;
}

std::optional<size_t> SourceRules::source_of(std::string_view path) const {
  if (never(path)) return std::nullopt;
  for (const Pattern& p : patterns_)
    if (p.glob.matches(path) && !excluded(path, p)) return p.source;
  return std::nullopt;
}

bool SourceRules::never(std::string_view path) const {
  for (const std::string& dir : never_below_)
    if (path.starts_with(dir) && (path.size() == dir.size() || path[dir.size()] == '/'))
      return true;
  return false;
}

}  // namespace tailrace
