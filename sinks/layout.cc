#include "sinks/layout.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

namespace tailrace {

namespace {

constexpr std::string_view kCategoryFirst = "{category}/";
constexpr int64_t kMostOffsetS = 27 * 3600;  // no clock on earth is further from UTC

struct Civil {
  int64_t year = 0;
  unsigned month = 0, day = 0, hour = 0, quarter = 0;
  bool operator==(const Civil&) const = default;
};

Civil civil_of(Bucket bucket, const TimeZone& zone) {
  using namespace std::chrono;
  const int64_t utc_s = bucket_start_ms(bucket) / 1000;
  const sys_seconds local{seconds{utc_s + zone.offset_s(utc_s)}};
  const sys_days day = floor<days>(local);
  const year_month_day date{day};
  const auto minutes = static_cast<unsigned>(floor<std::chrono::minutes>(local - day).count());
  return {static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()), minutes / 60, minutes % 60 / 15};
}

// UTC seconds of the midnight that begins this day, as if it were a day of UTC.
int64_t day_start_s(const Civil& civil) {
  using namespace std::chrono;
  const sys_days day{year(static_cast<int>(civil.year)) / month(civil.month) /
                     std::chrono::day(civil.day)};
  return seconds(day.time_since_epoch()).count();
}

std::string digits(int64_t number, int width) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*lld", width, static_cast<long long>(number));
  return text;
}

Error refused(std::string_view layout, const std::string& why) {
  return Error{Error::Kind::rejected, "layout '" + std::string(layout) + "': " + why};
}

bool may_stand_in_a_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-' || c == '=' || c == '+' || c == ',';
}

// The rules of each directory's name, with the fields still in it.
Result<void> check_names(std::string_view layout) {
  std::string_view rest = layout;
  while (true) {
    const size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (name.empty())
      return refused(layout, "it has an empty directory name (a '/' at the end, or two in a row)");
    if (name.front() == '.' || name.front() == '_')
      return refused(layout, "'" + std::string(name) +
                                 "' begins with '.' or '_': readers would skip that directory");
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace

bool Layout::find_field(std::string_view name, Field& field) {
  constexpr std::array<std::pair<std::string_view, Field>, 7> kFields = {
      {{"category", Field::category},
       {"date", Field::date},
       {"year", Field::year},
       {"month", Field::month},
       {"day", Field::day},
       {"hour", Field::hour},
       {"minute", Field::minute}}};
  const auto found =
      std::find_if(kFields.begin(), kFields.end(), [&](const auto& f) { return f.first == name; });
  if (found == kFields.end()) return false;
  field = found->second;
  return true;
}

Layout::Span Layout::span_of(Field field) {
  switch (field) {
    case Field::year: return Span::year;
    case Field::month: return Span::month;
    case Field::date:
    case Field::day: return Span::day;
    case Field::hour: return Span::hour;
    case Field::minute: return Span::quarter;
    default: return Span::ever;
  }
}

Result<Layout> Layout::parse(std::string_view text) {
  if (text.starts_with('/'))
    return refused(text, "it begins with '/': it is relative to the output directory");
  if (text != "{category}" && !text.starts_with(kCategoryFirst))
    return refused(text,
                   "the first directory must be {category} alone: files are written in "
                   "<category>/_stage, beside their goal");
  if (auto r = check_names(text); !r) return r.error();
  Layout layout;
  for (std::string_view rest = text; !rest.empty();) {
    if (rest.front() != '{') {
      const size_t end = std::min(rest.find('{'), rest.size());
      const std::string_view literal = rest.substr(0, end);
      for (char c : literal)
        if (c != '/' && !may_stand_in_a_name(c))
          return refused(text, std::string("'") + c +
                                   "' may not stand in a directory name: letters, digits and "
                                   "._-=+, may");
      layout.pieces_.push_back({Field::literal, std::string(literal)});
      rest.remove_prefix(end);
      continue;
    }
    const size_t end = rest.find('}');
    if (end == std::string_view::npos) return refused(text, "a '{' is not closed");
    if (auto r = layout.add_field(rest.substr(1, end - 1)); !r)
      return refused(text, r.error().text);
    rest.remove_prefix(end + 1);
  }
  return layout;
}

Result<void> Layout::add_field(std::string_view name) {
  Field field{};
  if (!find_field(name, field))
    return Error{
        Error::Kind::rejected,
        "{" + std::string(name) +
            "} is unknown; there are {category} {date} {year} {month} {day} {hour} {minute}"};
  if (field == Field::category && !pieces_.empty())
    return Error{Error::Kind::rejected, "{category} stands there twice"};
  span_ = std::max(span_, span_of(field));
  pieces_.push_back({field, {}});
  return {};
}

std::string Layout::render(std::string_view category, Bucket bucket, const TimeZone& zone) const {
  TAILRACE_CHECK(valid_category(category), "not a category");
  const Civil at = civil_of(bucket, zone);
  std::string path;
  for (const Piece& piece : pieces_) {
    switch (piece.field) {
      case Field::literal: path += piece.text; break;
      case Field::category: path += category; break;
      case Field::date:
        path += digits(at.year, 4) + "-" + digits(at.month, 2) + "-" + digits(at.day, 2);
        break;
      case Field::year: path += digits(at.year, 4); break;
      case Field::month: path += digits(at.month, 2); break;
      case Field::day: path += digits(at.day, 2); break;
      case Field::hour: path += digits(at.hour, 2); break;
      case Field::minute: path += digits(at.quarter * 15, 2); break;
    }
  }
  return path;
}

int64_t Layout::directory_end_ms(Bucket bucket, const TimeZone& zone) const {
  if (span_ == Span::ever) return INT64_MAX;
  if (span_ == Span::quarter) return bucket_start_ms(bucket + 1);
  const auto span_start = [this](Civil civil) {
    civil.quarter = 0;
    if (span_ <= Span::day) civil.hour = 0;
    if (span_ <= Span::month) civil.day = 1;
    if (span_ <= Span::year) civil.month = 1;
    return civil;
  };
  const Civil here = span_start(civil_of(bucket, zone));
  // A day or more begins not before this; from there, or from here, quarter by quarter.
  Civil next = here;
  if (span_ == Span::year) ++next.year;
  if (span_ == Span::month && ++next.month > 12) next.month = 1, ++next.year;
  int64_t least_s = day_start_s(next) - kMostOffsetS;
  if (span_ == Span::day) least_s += 24 * 3600;
  Bucket end = bucket + 1;
  if (span_ < Span::hour) end = std::max(end, bucket_of(least_s * 1000));
  while (span_start(civil_of(end, zone)) == here) ++end;
  return bucket_start_ms(end);
}

}  // namespace tailrace
