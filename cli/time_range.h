// `--from T --to T` of `tailrace cat`, and which published files a range means.
// Thread: any; pure functions. Times are seconds since 1970 of a clock on the wall: the time zone
// is whichever the directories were named in, so that nothing is converted.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace tailrace {

// 2026-11-22, 2026-11-22T13, 2026-11-22T13:00, 2026-11-22T13:00:05; a 'Z' may end it, and a space
// may stand for the 'T'.
[[nodiscard]] Result<int64_t> parse_time(std::string_view text);

struct TimeRange {
  int64_t from_s = std::numeric_limits<int64_t>::min();
  int64_t to_s = std::numeric_limits<int64_t>::max();  // exclusive
  [[nodiscard]] bool everything() const {
    return from_s == std::numeric_limits<int64_t>::min() &&
           to_s == std::numeric_limits<int64_t>::max();
  }
  [[nodiscard]] bool overlaps(const TimeRange& other) const {
    return from_s < other.to_s && other.from_s < to_s;
  }
};

// What a published file's path says of its lines' time: its dt= (or plain date) directory and the
// hr= below it; without them the second in which it was closed, from its name. nullopt: nothing.
[[nodiscard]] std::optional<TimeRange> time_of_path(std::string_view path);

// The category in the name of a published file, <category>-<yyyymmddThhmmssZ>-...; "" in others.
[[nodiscard]] std::string_view category_of_name(std::string_view name);

}  // namespace tailrace
