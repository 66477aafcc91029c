#include "agent/glob.h"

#include <optional>

namespace tailrace {

namespace {
constexpr size_t kMaxParts = 60;
constexpr size_t kNone = std::string_view::npos;

// One `[...]` at `pattern[at]`: where it ends, and whether `c` is in it. kNone: it is not closed.
struct ClassMatch {
  size_t end = kNone;
  bool in = false;
};
ClassMatch match_class(std::string_view pattern, size_t at, char c) {
  size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool in = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) return {i + 1, in != negated};
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const auto low = static_cast<unsigned char>(pattern[i++]);
    auto high = low;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      i += pattern[i + 1] == '\\' && i + 2 < pattern.size() ? 2 : 1;
      high = static_cast<unsigned char>(pattern[i++]);
    }
    const auto u = static_cast<unsigned char>(c);
    if (low <= u && u <= high) in = true;
  }
  return {};
}

// Matches one element of the pattern (not `*`) against `c`; where the next one starts, or kNone.
size_t match_one(std::string_view pattern, size_t at, char c) {
  switch (pattern[at]) {
    case '?': return at + 1;
    case '[': {
      const ClassMatch m = match_class(pattern, at, c);
      return m.in ? m.end : kNone;
    }
    case '\\':
      if (at + 1 < pattern.size()) return pattern[at + 1] == c ? at + 2 : kNone;
      [[fallthrough]];
    default: return pattern[at] == c ? at + 1 : kNone;
  }
}

bool has_wildcard(std::string_view part) {
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '\\') {
      ++i;
      continue;
    }
    if (part[i] == '*' || part[i] == '?' || part[i] == '[') return true;
  }
  return false;
}

bool classes_closed(std::string_view part) {
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '\\') {
      ++i;
    } else if (part[i] == '[') {
      const size_t end = match_class(part, i, 'x').end;
      if (end == kNone) return false;
      i = end - 1;
    }
  }
  return true;
}

std::string unescape(std::string_view part) {
  std::string out;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '\\' && i + 1 < part.size()) ++i;
    out += part[i];
  }
  return out;
}

// Cuts the first name off a path of names and slashes; empty when there is none.
std::string_view take_name(std::string_view& path) {
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  const size_t slash = path.find('/');
  const std::string_view name = path.substr(0, slash);
  path.remove_prefix(name.size());
  return name;
}
}  // namespace

bool glob_matches_name(std::string_view pattern, std::string_view name, bool hidden) {
  if (!hidden && !name.empty() && name[0] == '.' && !pattern.starts_with('.') &&
      !pattern.starts_with("\\."))
    return false;
  size_t p = 0;
  size_t n = 0;
  size_t star = kNone;  // after the last `*`, and what it has taken in so far
  size_t taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      taken = n;
      continue;
    }
    const size_t next = p < pattern.size() ? match_one(pattern, p, name[n]) : kNone;
    if (next != kNone) {
      p = next;
      ++n;
    } else if (star != kNone) {
      p = star;
      n = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<Glob> Glob::parse(std::string_view pattern) {
  const auto refuse = [&](const char* why) {
    return Error{Error::Kind::rejected, "glob '" + std::string(pattern) + "': " + why};
  };
  if (!pattern.starts_with('/')) return refuse("it must be an absolute path");
  Glob glob;
  glob.text_ = pattern;
  std::string_view rest = pattern;
  for (std::string_view name = take_name(rest); !name.empty(); name = take_name(rest)) {
    if (!classes_closed(name)) return refuse("a '[' has no ']'");
    if (name == "." || name == "..") return refuse("'.' and '..' are not resolved here");
    Part part;
    part.any_depth = name == "**";
    part.literal = !has_wildcard(name);
    part.text = part.literal ? unescape(name) : std::string(name);
    if (part.any_depth && !glob.parts_.empty() && glob.parts_.back().any_depth) continue;
    glob.parts_.push_back(std::move(part));
  }
  if (glob.parts_.empty()) return refuse("it names no file");
  if (glob.parts_.size() > kMaxParts) return refuse("it has more than 60 parts");
  return glob;
}

Glob::Parts Glob::widen(Parts parts) const {
  for (size_t i = 0; i + 1 < parts_.size(); ++i)
    if ((parts >> i & 1) && parts_[i].any_depth) parts |= Parts{1} << (i + 1);
  return parts;
}

Glob::Step Glob::step(Parts parts, std::string_view name) const {
  Step step;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!(parts >> i & 1)) continue;
    const bool last = i + 1 == parts_.size();
    const Part& part = parts_[i];
    if (part.any_depth) {
      if (name.starts_with('.')) continue;
      if (last) step.matched = true;
      step.next |= Parts{1} << i;
    } else if (part.literal ? part.text == name : glob_matches_name(part.text, name)) {
      if (last) {
        step.matched = true;
      } else {
        step.next |= Parts{1} << (i + 1);
        step.plain = true;
      }
    }
  }
  step.next = widen(step.next);
  return step;
}

bool Glob::matches(std::string_view path) const {
  if (!path.starts_with('/')) return false;
  Parts parts = first();
  for (;;) {
    const std::string_view name = take_name(path);
    if (name.empty()) return false;
    const Step s = step(parts, name);
    if (path.empty()) return s.matched;
    if (s.next == 0) return false;
    parts = s.next;
  }
}

bool Glob::literal(Parts parts, std::vector<std::string>& names) const {
  names.clear();
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!(parts >> i & 1)) continue;
    if (!parts_[i].literal) return false;
    names.push_back(parts_[i].text);
  }
  return true;
}

}  // namespace tailrace
