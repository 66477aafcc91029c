#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>

namespace tailrace::log {

namespace {
std::atomic<const char*> prefix{""};

spdlog::logger& out() {
  static const auto logger = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto made = std::make_shared<spdlog::logger>("tailrace", sink);
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    return made;
  }();
  return *logger;
}

void write(spdlog::level::level_enum level, std::string_view text) {
  std::fputs(prefix.load(), stderr);
  out().log(level, spdlog::string_view_t(text.data(), text.size()));
}
}  // namespace

void set_level(Level level) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  out().set_level(kLevels[static_cast<int>(level)]);
}
void set_prefix(const char* erase) { prefix = erase; }

void debug(std::string_view text) { write(spdlog::level::debug, text); }
void info(std::string_view text) { write(spdlog::level::info, text); }
void warning(std::string_view text) { write(spdlog::level::warn, text); }
void error(std::string_view text) { write(spdlog::level::err, text); }

}  // namespace tailrace::log
