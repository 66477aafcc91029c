// A programmer's error ends the process, in release builds too: going on would risk lines.
// Thread: any.
#pragma once

#include <string_view>

namespace tailrace {
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view detail);
}  // namespace tailrace

// TAILRACE_CHECK(condition, detail): detail is a string_view, evaluated only on failure.
#define TAILRACE_CHECK(condition, detail)                                 \
  do {                                                                    \
    if (!(condition)) [[unlikely]]                                        \
      ::tailrace::check_failed(__FILE__, __LINE__, #condition, (detail)); \
  } while (false)
