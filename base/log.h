// Our own messages, for a person at 3 a.m.: to stderr, one line each, what happened and what to do.
// Thread: any.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace tailrace::log {

enum class Level { debug, info, warning, error };

// Lines below `level` are not written. Call once at start.
void set_level(Level level);
// text: "time level text"; json: an object a line. Where journald listens (JOURNAL_STREAM), text
// carries its level in front and no time, which journald has itself.
enum class Format { text, json };
void set_format(Format format);
// What this program is: the field "role" of each JSON line. A literal.
void set_role(const char* role);
// When a live line stands on the terminal, it is erased before each message: `erase` is written
// first (a literal; "" by default).
void set_prefix(const char* erase);

// What a text is about, for programs: further fields of the JSON line (path, peer, category,
// lines). The text says all of it too. Names are plain words; values may be any bytes.
using Field = std::pair<std::string_view, std::string_view>;
using Fields = std::initializer_list<Field>;

void debug(std::string_view text, Fields fields = {});
void info(std::string_view text, Fields fields = {});
void warning(std::string_view text, Fields fields = {});
void error(std::string_view text, Fields fields = {});
// For what was said by a machine and is written by its shell.
void write(Level level, std::string_view text, const std::vector<Field>& fields);

}  // namespace tailrace::log
