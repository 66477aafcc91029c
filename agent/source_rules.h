// Which paths are whose: the globs of all sources, what they leave out, and what is never watched.
// Thread: any; immutable once compiled.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent.h"
#include "agent/glob.h"
#include "base/result.h"

namespace tailrace {

// Names that `*` and friends never mean; a glob whose last part is a plain name gets what it asks
// for.
inline constexpr std::string_view kDefaultExclude[] = {
    "*.gz", "*.zst",  "*.xz",    "*.bz2",     "wtmp",      "wtmp.*",
    "btmp", "btmp.*", "lastlog", "*.journal", "*.journal~"};

class SourceRules {
 public:
  // rejected: a glob that is none.
  [[nodiscard]] static Result<SourceRules> compile(const std::vector<AgentSource>& sources,
                                                   const std::vector<std::string>& never_below);

  // Index of the first source that means a file of this path.
  [[nodiscard]] std::optional<size_t> source_of(std::string_view path) const;
  // Whether the path is one of the directories that are never watched, or below it.
  [[nodiscard]] bool never(std::string_view path) const;

  struct Pattern {
    Glob glob;
    size_t source = 0;
  };
  [[nodiscard]] const std::vector<Pattern>& patterns() const { return patterns_; }
  [[nodiscard]] const std::vector<std::string>& never_below() const { return never_below_; }

 private:
  [[nodiscard]] bool excluded(std::string_view path, const Pattern& pattern) const;

  std::vector<Pattern> patterns_;
  std::vector<std::vector<Glob>> exclude_paths_;         // by source
  std::vector<std::vector<std::string>> exclude_names_;  // by source
  std::vector<std::string> never_below_;
};

}  // namespace tailrace
