#include "base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "base/units.h"

namespace tailrace {

namespace {
constexpr size_t kMostBytes = 1u << 20;
constexpr size_t kMostDepth = 32;
constexpr size_t kMostNodes = 100'000;
constexpr size_t kMostProblems = 100;

struct Stop {};  // thrown through the parser when going on makes no sense

std::string_view line_of(std::string_view text, size_t line) {
  for (size_t at = 0; line > 0 && at <= text.size(); --line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (line == 1) return text.substr(at, end - at);
    at = end + 1;
  }
  return {};
}

// Builds the tree from the parser's events, and looks at what the parser itself lets pass.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const ConfigText& text, std::vector<ConfigProblem>& problems)
      : text_(text), problems_(problems) {}

  void OnDocumentStart(const YAML::Mark& mark) override { begins_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    put({YamlNode::Kind::nothing, line(mark), column(mark), {}, false, {}, {}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    wrong(mark, 1, "aliases (*name) are not supported", "write the value out");
    put({YamlNode::Kind::nothing, line(mark), column(mark), {}, false, {}, {}});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    const bool quoted = tag == "!";
    if (quoted) check_quotes(mark);
    put({YamlNode::Kind::scalar, line(mark), column(mark), value, quoted, {}, {}});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

  void wrong(const YAML::Mark& mark, size_t length, std::string what, std::string hint = {}) {
    problems_.push_back(
        text_.problem(line(mark), column(mark), length, std::move(what), std::move(hint)));
    if (problems_.size() >= kMostProblems) throw Stop();
  }
  // Something follows the document.
  void second_document() {
    const size_t at = line(begins_);
    if (line_of(text_.text(), at).starts_with("---") ||
        line_of(text_.text(), at - 1).starts_with("---"))
      return wrong(begins_, 1, "a second document begins here", "one file holds one document");
    wrong(begins_, 1, "this does not belong to what stands above it",
          "look at the indentation: keys of one map start in the same column");
  }
  [[nodiscard]] YamlNode take_root() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    std::optional<YamlNode> key;
  };
  static size_t line(const YAML::Mark& mark) { return static_cast<size_t>(mark.line + 1); }
  static size_t column(const YAML::Mark& mark) { return static_cast<size_t>(mark.column + 1); }

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0)
      wrong(mark, 1, "anchors (&name) are not supported", "write the value where it is needed");
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      wrong(mark, 1, "tags are not supported: " + escape(tag, 64), "remove it");
  }
  // The parser takes a quote that is never closed as closed at the end of the file.
  void check_quotes(const YAML::Mark& mark) {
    const std::string& all = text_.text();
    const auto begin = static_cast<size_t>(mark.pos);
    if (begin >= all.size() || (all[begin] != '"' && all[begin] != '\'')) return;  // a block
    const char quote = all[begin];
    for (size_t at = begin + 1; at < all.size() && all[at] != '\n'; ++at) {
      if (quote == '"' && all[at] == '\\') {
        ++at;
      } else if (all[at] == quote) {
        if (quote == '"' || at + 1 >= all.size() || all[at + 1] != quote) return;
        ++at;
      }
    }
    wrong(mark, 1, "a quote is opened here and not closed on this line",
          std::string("put a ") + quote + " behind the value");
    throw Stop();
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (open_.size() >= kMostDepth) {
      wrong(mark, 1, "more than " + std::to_string(kMostDepth) + " levels");
      throw Stop();
    }
    Open node;
    node.node.kind = kind;
    node.node.line = line(mark);
    node.node.column = column(mark);
    open_.push_back(std::move(node));
  }
  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    put(std::move(node));
  }
  void put(YamlNode node) {
    if (++nodes_ > kMostNodes) {
      problems_.push_back(text_.problem(node.line, node.column, 1,
                                        "more than " + show_count(kMostNodes) + " values"));
      throw Stop();
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::list) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      check_key(parent.node, node);
      parent.key = std::move(node);
    } else {
      parent.node.entries.push_back({std::move(*parent.key), std::move(node)});
      parent.key.reset();
    }
  }
  void check_key(const YamlNode& map, const YamlNode& key) {
    const auto say = [&](std::string what, std::string hint = {}) {
      problems_.push_back(text_.problem(key.line, key.column, std::max<size_t>(key.text.size(), 1),
                                        std::move(what), std::move(hint)));
    };
    if (key.kind != YamlNode::Kind::scalar) return say("a key must be a plain word");
    if (key.text == "<<") return say("merge keys (<<) are not supported", "write the keys out");
    for (const auto& [other, value] : map.entries)
      if (other.text == key.text)
        return say("duplicate key '" + escape(key.text, 64) + "'",
                   "it stands in line " + std::to_string(other.line) + " already");
  }

  const ConfigText& text_;
  std::vector<ConfigProblem>& problems_;
  std::vector<Open> open_;
  YamlNode root_;
  YAML::Mark begins_;
  size_t nodes_ = 0;
};

// Bytes that no editor writes: the parser would take the rest for nothing.
bool plain_text(const ConfigText& text, std::vector<ConfigProblem>& problems) {
  size_t line = 1;
  size_t begin = 0;
  const std::string& all = text.text();
  for (size_t at = 0; at < all.size(); ++at) {
    const auto c = static_cast<unsigned char>(all[at]);
    if (c == '\n') {
      ++line;
      begin = at + 1;
    } else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f || c >= 0xf5) {
      problems.push_back(text.problem(line, at - begin + 1, 1, "a byte that is no text",
                                      "write the file in UTF-8"));
      return false;
    }
  }
  return true;
}
}  // namespace

std::string ConfigProblem::show() const {
  std::string out = file;
  if (line > 0) out += ":" + std::to_string(line) + ":" + std::to_string(column);
  out += ": error: " + text + "\n";
  if (line > 0) {
    std::string number = std::to_string(line);
    number.insert(0, number.size() < 5 ? 5 - number.size() : 0, ' ');
    const std::string shown = escape(source, 512);
    out += number + " | " + shown + "\n      | ";
    const size_t at = std::min(column > 0 ? column - 1 : 0, shown.size());
    for (size_t i = 0; i < at; ++i) out += ' ';
    out += "^" + std::string(std::max<size_t>(length, 1) - 1, '~');
    out += hint.empty() ? "\n" : " " + hint + "\n";
  } else if (!hint.empty()) {
    out += "      " + hint + "\n";
  }
  return out;
}

ConfigProblem ConfigText::problem(size_t line, size_t column, size_t length, std::string text,
                                  std::string hint) const {
  const std::string source(line_of(text_, line));
  const size_t most = source.size() + 1 > column ? source.size() + 1 - column : 1;
  return {
      file_,           line,           column, std::min(length, std::max<size_t>(most, 1)), source,
      std::move(text), std::move(hint)};
}

YamlNode parse_yaml(const ConfigText& text, std::vector<ConfigProblem>& problems) {
  if (text.text().size() > kMostBytes) {
    problems.push_back(text.problem(0, 0, 1, "the file is larger than " + show_size(kMostBytes)));
    return {};
  }
  if (!plain_text(text, problems)) return {};
  const size_t before = problems.size();
  Builder builder(text, problems);
  YamlNode root;
  try {
    std::istringstream stream(text.text());
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      root = builder.take_root();
      if (problems.size() == before && parser.HandleNextDocument(builder))
        builder.second_document();
    }
  } catch (const Stop&) {
  } catch (const YAML::Exception& e) {
    const bool known = !e.mark.is_null();
    problems.push_back(text.problem(known ? static_cast<size_t>(e.mark.line + 1) : 0,
                                    known ? static_cast<size_t>(e.mark.column + 1) : 0, 1, e.msg));
  }
  if (problems.size() != before) return {};
  if (root.kind == YamlNode::Kind::nothing) root.kind = YamlNode::Kind::map;
  return root;
}

}  // namespace tailrace
