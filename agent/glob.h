// Globs over paths: `*`, `?`, `[...]` within a name, `**` for any number of folders, `\` before a
// literal. As in a shell, a leading dot is matched by a literal dot only. Thread: any; plain
// values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

// Whether a single name (no '/') matches a single pattern; `hidden`: a wildcard may match a leading
// dot.
[[nodiscard]] bool glob_matches_name(std::string_view pattern, std::string_view name,
                                     bool hidden = false);

// A pattern over absolute paths.
class Glob {
 public:
  // Bit i: part i may be the next to match. Walking a tree is stepping such a set from name to
  // name.
  using Parts = uint64_t;
  struct Step {
    bool matched = false;  // the name ends a match: a file of that name is meant
    Parts next = 0;        // not 0: names below a folder of that name may match
    bool plain =
        false;  // `next` came from a part other than `**`: a symlinked folder may be entered
  };

  // rejected: not absolute, an unclosed `[`, or more than 60 parts.
  [[nodiscard]] static Result<Glob> parse(std::string_view pattern);

  [[nodiscard]] bool matches(std::string_view path) const;
  // The set to start with, at "/".
  [[nodiscard]] Parts first() const { return widen(1); }
  [[nodiscard]] Step step(Parts parts, std::string_view name) const;
  // If all of `parts` are literal: these names and no others can match, so nothing need be listed.
  [[nodiscard]] bool literal(Parts parts, std::vector<std::string>& names) const;
  // The last part is a plain name: the file was asked for by name.
  [[nodiscard]] bool names_file() const { return parts_.back().literal; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  struct Part {
    std::string text;  // unescaped if literal
    bool literal = false;
    bool any_depth = false;  // `**`
  };
  [[nodiscard]] Parts widen(Parts parts) const;  // a `**` may also stand for no folder at all

  std::string text_;
  std::vector<Part> parts_;
};

}  // namespace tailrace
