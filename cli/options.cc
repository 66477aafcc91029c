#include "cli/options.h"

#include <algorithm>

#include "base/nearest.h"
#include "base/units.h"

namespace tailrace {

namespace {

Error usage_error(std::string text) { return Error{Error::Kind::rejected, std::move(text)}; }

Error unknown_option(const Command& command, std::string_view name) {
  std::vector<std::string_view> names{"help"};
  for (const Option& option : command.options) names.push_back(option.name);
  std::string text = "there is no option '--" + escape(name, 64) + "'";
  const std::string_view meant = nearest(name, names);
  if (!meant.empty()) text += "; did you mean '--" + std::string(meant) + "'?";
  return usage_error(text);
}

Error unexpected_word(std::string_view word) {
  std::string text = "'" + escape(word, 128) + "' is not expected here";
  // What an unquoted --from /var/log/*.log looks like once the shell has expanded it.
  if (word.find('/') != std::string_view::npos)
    text += "; put patterns in quotes ('/var/log/*.log'), else the shell expands them";
  return usage_error(text);
}

const Option* find(const Command& command, std::string_view name) {
  for (const Option& option : command.options)
    if (option.name == name) return &option;
  return nullptr;
}

// Appends `text`, broken at spaces so that no line passes column 96, indented by `indent`.
void append_wrapped(std::string& out, std::string_view text, size_t indent) {
  constexpr size_t kWidth = 96;
  size_t column = indent;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (column > indent && column + 1 + end > kWidth) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out += '\n';
}

}  // namespace

std::string_view Arguments::value(std::string_view option) const {
  const auto given = values_.find(option);
  if (given != values_.end()) return given->second.back();
  const auto fallback = fallbacks_.find(option);
  return fallback == fallbacks_.end() ? std::string_view{} : fallback->second;
}

const std::vector<std::string>& Arguments::values(std::string_view option) const {
  static const std::vector<std::string> kNone;
  const auto given = values_.find(option);
  return given == values_.end() ? kNone : given->second;
}

Result<Arguments> parse_arguments(const Command& command, std::span<const std::string> words) {
  Arguments parsed;
  for (const Option& option : command.options)
    if (!option.fallback.empty()) parsed.fallbacks_.emplace(option.name, option.fallback);
  bool options_end = false;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (options_end || !word.starts_with("-") || word == "-") {
      if (command.operands.empty()) return unexpected_word(word);
      parsed.operands_.emplace_back(word);
      continue;
    }
    if (word == "--") {
      options_end = true;
      continue;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const bool attached = equals != std::string_view::npos;
    const Option* option = find(command, name);
    if (option == nullptr || !words[i].starts_with("--")) return unknown_option(command, name);
    auto& values = parsed.values_[std::string(name)];
    if (!values.empty() && !option->repeats)
      return usage_error("--" + std::string(name) + " is given twice");
    if (option->value.empty()) {
      if (attached) return usage_error("--" + std::string(name) + " takes no value");
      values.emplace_back();
    } else if (attached) {
      values.emplace_back(word.substr(equals + 1));
    } else if (i + 1 < words.size()) {
      values.push_back(words[++i]);
    } else {
      return usage_error("--" + std::string(name) + " needs a value: --" + std::string(name) + " " +
                         std::string(option->value));
    }
  }
  return parsed;
}

static std::string options_text(const Command& command) {
  std::string out;
  size_t column = 0;
  const auto left = [](const Option& option) {
    std::string text = "  --" + std::string(option.name);
    if (!option.value.empty()) text += " " + std::string(option.value);
    return text;
  };
  for (const Option& option : command.options) column = std::max(column, left(option).size() + 2);
  for (const Option& option : command.options) {
    std::string head = left(option);
    head.resize(column, ' ');
    out += head;
    std::string help(option.help);
    if (!option.fallback.empty()) help += " (" + std::string(option.fallback) + ")";
    append_wrapped(out, help, column);
  }
  return out;
}

std::string help_text(const Command& command) {
  std::string out = "tailrace " + std::string(command.name) + ": ";
  append_wrapped(out, command.summary, 0);
  out += "\n" + std::string(command.examples) + "\nUsage: tailrace " + std::string(command.name);
  out += " " + std::string(command.synopsis) + "\n\n" + options_text(command);
  if (!command.notes.empty()) out += "\n" + std::string(command.notes);
  return out;
}

std::string daemon_help(const Command& command) {
  return "Usage: tailrace-" + std::string(command.name) + " " + std::string(command.synopsis) +
         "\n\n" + options_text(command) + "\n" + std::string(command.summary) + "\n";
}

}  // namespace tailrace
