#include "cli/category.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/units.h"
#include "flow/stream.h"

namespace tailrace {

namespace {

constexpr size_t kLongest = 64;

bool letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// The nearest valid category to a name; "" if nothing of it can stay.
std::string as_category(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool stays = letter_or_digit(c) || c == '.' || c == '_' || c == '-';
    out += stays ? c : '-';
  }
  const auto first = std::find_if(out.begin(), out.end(), letter_or_digit);
  out.erase(out.begin(), first);
  if (out.size() > kLongest) out.resize(kLongest);
  while (!out.empty() && !letter_or_digit(out.back())) out.pop_back();
  return out;
}

bool says_nothing(std::string_view folder) {
  static constexpr std::array<std::string_view, 6> kWords = {"log",  "logs", "var",
                                                             "data", "tmp",  "current"};
  return std::find(kWords.begin(), kWords.end(), folder) != kWords.end();
}

bool has_wildcard(std::string_view part) {
  return part.find_first_of("*?[") != std::string_view::npos;
}

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (!part.empty() && part != ".") parts.push_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

// The same path without "//", "/./" and a leading "./"; ".." stays: what it means depends on
// symlinks.
std::string absolute(std::string_view glob, std::string_view cwd) {
  std::string out;
  if (!glob.starts_with('/'))
    for (const std::string_view part : parts_of(cwd)) out += "/" + std::string(part);
  for (const std::string_view part : parts_of(glob)) out += "/" + std::string(part);
  return out;
}

}  // namespace

std::string derive_category(std::string_view glob) {
  std::vector<std::string_view> folders = parts_of(glob);
  std::string_view file;
  if (!folders.empty()) {
    file = folders.back();
    folders.pop_back();
  }
  std::string last_resort = "logs";
  bool found_last = false;
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    if (has_wildcard(*folder) || *folder == "..") continue;
    const std::string name = as_category(*folder);
    if (name.empty()) continue;
    if (!says_nothing(name)) return name;
    if (!found_last) last_resort = name;
    found_last = true;
  }
  const size_t dot = file.rfind('.');
  const std::string stem = as_category(dot == 0 ? file.substr(1) : file.substr(0, dot));
  return stem.empty() ? last_resort : stem;
}

Result<From> parse_from(std::string_view text, std::string_view cwd) {
  From from;
  std::string_view glob = text;
  const size_t equals = text.find('=');
  if (equals != std::string_view::npos && equals < text.find('/')) {
    from.category = std::string(text.substr(0, equals));
    glob = text.substr(equals + 1);
    if (!valid_category(from.category))
      return Error{Error::Kind::rejected,
                   "'" + escape(from.category, 64) +
                       "' can't be a category: 1 to 64 of a-z 0-9 . _ -, the first a letter or a "
                       "digit (a pattern that has a '=' of its own can begin with './')"};
  }
  if (glob.empty() || glob.ends_with('/'))
    return Error{Error::Kind::rejected, "'" + escape(text, 128) +
                                            "' names no files; a whole folder is '" +
                                            escape(glob, 128) + "*'"};
  from.glob = absolute(glob, cwd);
  if (from.category.empty()) {
    from.category = derive_category(from.glob);
    from.derived = true;
  }
  return from;
}

}  // namespace tailrace
