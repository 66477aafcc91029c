// Configuration files as a tree in which each value knows its line and column. A strict part of
// YAML: what people get wrong without noticing (duplicate keys, quotes that are not closed, a wrong
// indent, a second document, anchors, tags) is refused with its place.
// Thread: any; pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tailrace {

struct YamlEntry;

struct YamlNode {
  enum class Kind { nothing, scalar, list, map };
  Kind kind = Kind::nothing;
  size_t line = 0;  // from 1
  size_t column = 0;
  std::string text;  // scalar
  bool quoted = false;
  std::vector<YamlNode> items;     // list
  std::vector<YamlEntry> entries;  // map: scalar keys, each once
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

// What is wrong at one place of one file.
struct ConfigProblem {
  std::string file;
  size_t line = 0;  // 0: the file as a whole
  size_t column = 0;
  size_t length = 1;   // of what the caret marks
  std::string source;  // that line of the file
  std::string text;
  std::string hint;  // what to do; may be empty
  // "file:8:5: error: text", the line, a caret and the hint: several lines, each ended.
  [[nodiscard]] std::string show() const;
};

// One file's text, and where in it something is wrong.
class ConfigText {
 public:
  ConfigText(std::string file, std::string text) : file_(std::move(file)), text_(std::move(text)) {}
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] ConfigProblem problem(size_t line, size_t column, size_t length, std::string text,
                                      std::string hint = {}) const;

 private:
  std::string file_;
  std::string text_;
};

// The file's one document; an empty file is an empty map. What is wrong goes to `problems`, and the
// root is then of kind nothing.
[[nodiscard]] YamlNode parse_yaml(const ConfigText& text, std::vector<ConfigProblem>& problems);

}  // namespace tailrace
