// Our own messages, for a person at 3 a.m.: to stderr, one line each, what happened and what to do.
// Thread: any.
#pragma once

#include <string_view>

namespace tailrace::log {

enum class Level { debug, info, warning, error };

// Lines below `level` are not written. Call once at start.
void set_level(Level level);
// text: "time level text"; json: an object a line. Where journald listens (JOURNAL_STREAM), text
// carries its level in front and no time, which journald has itself.
enum class Format { text, json };
void set_format(Format format);
// When a live line stands on the terminal, it is erased before each message: `erase` is written
// first (a literal; "" by default).
void set_prefix(const char* erase);

void debug(std::string_view text);
void info(std::string_view text);
void warning(std::string_view text);
void error(std::string_view text);

}  // namespace tailrace::log
