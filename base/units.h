// Sizes and durations as people write and read them: "128MiB", "10m", "1.5 GiB", "2h 05m".
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace {

// "4096B", "16KiB", "128MiB", "1GiB", "2TiB" (also KB, MB, GB as powers of ten). A bare number is
// refused: nobody remembers its unit.
[[nodiscard]] Result<uint64_t> parse_size(std::string_view text);
// "500ms", "10s", "5m", "1h", "2d"; in milliseconds. A bare number is refused.
[[nodiscard]] Result<int64_t> parse_duration_ms(std::string_view text);

[[nodiscard]] std::string show_size(uint64_t bytes);  // "1.5 GiB"
[[nodiscard]] std::string show_duration(int64_t ms);  // "1.2 s", "3m 20s"
[[nodiscard]] std::string show_count(uint64_t n);     // "1,234,567"
// Milliseconds since 1970 as "2026-11-22T13:05:01Z"; "-" of what no calendar knows.
[[nodiscard]] std::string show_utc(int64_t wall_ms);

// Text of a peer or a file made safe for a terminal or a log: control bytes and non-UTF-8 as \xNN,
// at most `most` bytes, "..." at a cut.
[[nodiscard]] std::string escape(std::string_view text, size_t most = 256);

}  // namespace tailrace
