// A time zone by its IANA name, read from the system's zoneinfo: how far its clocks are from UTC.
// Own reader (RFC 8536), because g++ 12 has no zones and localtime() knows only the process's own.
// Thread: any once loaded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

class TimeZone {
 public:
  // "UTC" needs no file. rejected, with what to do: no such zone.
  [[nodiscard]] static Result<TimeZone> load(const std::string& name,
                                             const std::string& directory = "/usr/share/zoneinfo");
  // From the bytes of a TZif file. corrupt if they are none.
  [[nodiscard]] static Result<TimeZone> parse(const std::string& name, std::string_view tzif);
  TimeZone() = default;  // UTC

  // Seconds that local clocks are ahead of UTC at a UTC second.
  [[nodiscard]] int32_t offset_s(int64_t utc_s) const;
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  friend class PosixZoneReader;
  // When a year's change is: day and second of that day, by the clock before it.
  struct Change {
    enum class Kind : uint8_t { day_of_year, day_of_year_without_leap, weekday_of_month };
    Kind kind = Kind::day_of_year;
    int32_t day = 0;  // of the year, from 0 (1 without leap days); or of the week, 0 = Sunday
    int32_t week = 0;
    int32_t month = 0;
    int32_t second = 2 * 3600;
    [[nodiscard]] int64_t local_s(int64_t year) const;
  };
  struct Rule {  // for all time after the last transition
    int32_t standard_s = 0;
    int32_t summer_s = 0;
    bool has_summer = false;
    std::array<Change, 2> changes;  // to summer time, and back
    [[nodiscard]] int32_t offset_s(int64_t utc_s) const;
  };

  std::string name_ = "UTC";
  int32_t first_offset_s_ = 0;        // before all transitions
  std::vector<int64_t> transitions_;  // UTC seconds, ascending
  std::vector<int32_t> offsets_;      // from each transition on
  std::optional<Rule> rule_;
};

}  // namespace tailrace
