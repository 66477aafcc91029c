#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "base/units.h"

namespace tailrace::log {

namespace {
constexpr size_t kMostValueBytes = 4096;  // a path

std::atomic<const char*> prefix{""};
std::atomic<const char*> role{""};
std::atomic<bool> as_json{false};

bool in_journal() {
  static const bool there = std::getenv("JOURNAL_STREAM") != nullptr;
  return there;
}

spdlog::logger& out() {
  static const auto logger = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto made = std::make_shared<spdlog::logger>("tailrace", sink);
    made->set_pattern(in_journal() ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    return made;
  }();
  return *logger;
}

// syslog's number of the level, as sd-daemon(3) has it.
std::string_view journal_level(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return "<3>";
  if (level == spdlog::level::warn) return "<4>";
  return level == spdlog::level::info ? "<6>" : "<7>";
}

std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned char>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out;
}

void add_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(",\"").append(name).append("\":\"").append(quoted(value)).append("\"");
}

constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                 spdlog::level::warn, spdlog::level::err};

void put(spdlog::level::level_enum level, std::string_view text, std::span<const Field> fields) {
  std::fputs(prefix.load(), stderr);
  std::string line;
  if (as_json) {
    if (*role.load() != '\0') add_field("role", role.load(), line);
    add_field("text", text, line);
    for (const auto& [name, value] : fields) add_field(name, escape(value, kMostValueBytes), line);
  } else {
    if (in_journal()) line = journal_level(level);
    line += text;
  }
  out().log(level, spdlog::string_view_t(line.data(), line.size()));
}
}  // namespace

void set_level(Level level) { out().set_level(kLevels[static_cast<int>(level)]); }
void set_format(Format format) {
  as_json = format == Format::json;
  if (as_json) out().set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l"%v})");
}
void set_role(const char* name) { role = name; }
void set_prefix(const char* erase) { prefix = erase; }

void write(Level level, std::string_view text, const std::vector<Field>& fields) {
  put(kLevels[static_cast<int>(level)], text, fields);
}
void debug(std::string_view text, Fields fields) { put(spdlog::level::debug, text, fields); }
void info(std::string_view text, Fields fields) { put(spdlog::level::info, text, fields); }
void warning(std::string_view text, Fields fields) { put(spdlog::level::warn, text, fields); }
void error(std::string_view text, Fields fields) { put(spdlog::level::err, text, fields); }

}  // namespace tailrace::log
