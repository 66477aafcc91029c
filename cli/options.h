// Command lines as tables: from one table come the parser, --help and what to say to a typing
// error. Thread: any; pure functions and plain values.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

struct Option {
  std::string_view name;        // "roll-size", written --roll-size
  std::string_view value{};     // what stands for it in --help: "SIZE"; empty: a switch
  std::string_view fallback{};  // used when the option is absent; empty: none
  std::string_view help{};
  bool repeats = false;
};

class Arguments;

struct Command {
  std::string_view name;
  std::string_view summary;     // one line, in the list of commands
  std::string_view synopsis;    // after the name: "--from [CATEGORY=]GLOB --to DIR"
  std::string_view examples;    // shown first: whoever asks for help wants to copy a line
  std::string_view operands{};  // what bare arguments are: "DIR|FILE..."; empty: none are taken
  std::string_view notes{};     // after the options
  std::span<const Option> options{};
  int (*run)(const Arguments&) = nullptr;
};

// What was given to a command, with the table's fallbacks filled in.
class Arguments {
 public:
  [[nodiscard]] bool given(std::string_view option) const { return values_.count(option) > 0; }
  // The last value given, or the fallback; "" if there is neither.
  [[nodiscard]] std::string_view value(std::string_view option) const;
  [[nodiscard]] const std::vector<std::string>& values(std::string_view option) const;
  [[nodiscard]] const std::vector<std::string>& operands() const { return operands_; }

 private:
  friend Result<Arguments> parse_arguments(const Command&, std::span<const std::string>);
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> fallbacks_;
  std::vector<std::string> operands_;
};

// --name VALUE, --name=VALUE, --switch; "--" ends the options. rejected: the text says what is
// wrong with which word and what was probably meant.
[[nodiscard]] Result<Arguments> parse_arguments(const Command& command,
                                                std::span<const std::string> words);

[[nodiscard]] std::string help_text(const Command& command);
// Of a program that is no subcommand of tailrace.
[[nodiscard]] std::string daemon_help(const Command& command);

}  // namespace tailrace
