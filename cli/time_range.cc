#include "cli/time_range.h"

#include <chrono>

#include "base/units.h"

namespace tailrace {

namespace {

constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 24 * kHour;

// `n` digits off the front of `text`; nullopt leaves it in an undefined state.
std::optional<int> take_digits(std::string_view& text, size_t n) {
  if (text.size() < n) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < n; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> day_start(int year, int month, int day) {
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return int64_t{sys_days(date).time_since_epoch().count()} * kDay;
}

std::optional<int64_t> take_date(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  return day_start(*year, *month, *day);
}

// "13", "13:00", "13:00:05"
std::optional<int64_t> take_clock(std::string_view& text) {
  static constexpr int kMost[] = {23, 59, 59};
  static constexpr int64_t kSeconds[] = {3600, 60, 1};
  int64_t sum = 0;
  for (int field = 0; field < 3; ++field) {
    if (field > 0 && !take(text, ':')) return sum;
    const auto value = take_digits(text, 2);
    if (!value || *value > kMost[field]) return std::nullopt;
    sum += *value * kSeconds[field];
  }
  return sum;
}

std::optional<int64_t> whole_time(std::string_view text) {
  const auto day = take_date(text);
  if (!day) return std::nullopt;
  int64_t clock = 0;
  if (take(text, 'T') || take(text, 't') || take(text, ' ')) {
    const auto seconds = take_clock(text);
    if (!seconds) return std::nullopt;
    clock = *seconds;
  }
  if (!take(text, 'Z')) take(text, 'z');
  if (!text.empty()) return std::nullopt;
  return *day + clock;
}

// Where in a file's name its stamp stands: "-yyyymmddThhmmssZ-".
struct Stamp {
  size_t dash;
  int64_t seconds;
};
std::optional<Stamp> find_stamp(std::string_view name) {
  for (size_t dash = name.find('-'); dash != std::string_view::npos;
       dash = name.find('-', dash + 1)) {
    std::string_view rest = name.substr(dash + 1);
    const auto year = take_digits(rest, 4);
    const auto month = year ? take_digits(rest, 2) : std::nullopt;
    const auto day = month ? take_digits(rest, 2) : std::nullopt;
    if (!day || !take(rest, 'T')) continue;
    const auto hour = take_digits(rest, 2);
    const auto minute = hour ? take_digits(rest, 2) : std::nullopt;
    const auto second = minute ? take_digits(rest, 2) : std::nullopt;
    if (!second || !take(rest, 'Z') || !take(rest, '-')) continue;
    const auto start = day_start(*year, *month, *day);
    if (start) return Stamp{dash, *start + *hour * kHour + *minute * 60 + *second};
  }
  return std::nullopt;
}

}  // namespace

Result<int64_t> parse_time(std::string_view text) {
  if (const auto seconds = whole_time(text)) return *seconds;
  return Error{
      Error::Kind::rejected,
      "expected a time such as 2026-11-22 or 2026-11-22T13:00, got '" + escape(text, 64) + "'"};
}

std::optional<TimeRange> time_of_path(std::string_view path) {
  std::optional<TimeRange> range;
  bool hour_known = false;
  while (true) {
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos) break;
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash + 1);
    if (part.starts_with("dt=")) part.remove_prefix(3);
    std::string_view date = part;
    if (const auto day = take_date(date); day && date.empty()) {
      range = TimeRange{*day, *day + kDay};
      hour_known = false;
    } else if (range && !hour_known) {
      if (part.starts_with("hr=")) part.remove_prefix(3);
      const auto hour = take_digits(part, 2);
      if (!hour || !part.empty() || *hour > 23) continue;
      range = TimeRange{range->from_s + *hour * kHour, range->from_s + (*hour + 1) * kHour};
      hour_known = true;
    }
  }
  if (range) return range;
  if (const auto stamp = find_stamp(path)) return TimeRange{stamp->seconds, stamp->seconds + 1};
  return std::nullopt;
}

std::string_view category_of_name(std::string_view name) {
  const auto stamp = find_stamp(name);
  return stamp ? name.substr(0, stamp->dash) : std::string_view{};
}

}  // namespace tailrace
