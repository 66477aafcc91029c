#include "sinks/timezone.h"

#include <algorithm>
#include <chrono>

#include "base/file.h"

namespace tailrace {

namespace {

constexpr size_t kMostFileBytes = 1u << 20;
constexpr uint32_t kMostTransitions = 100'000;
constexpr int64_t kDayS = 86'400;

// Fields of a TZif file, most significant byte first; ok() as ByteReader has it.
class BigEndianReader {
 public:
  explicit BigEndianReader(std::string_view in) : in_(in) {}
  uint64_t number(size_t bytes) {
    uint64_t v = 0;
    for (char c : raw(bytes)) v = (v << 8) | static_cast<uint8_t>(c);
    return v;
  }
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint32_t u32() { return static_cast<uint32_t>(number(4)); }
  int32_t i32() { return static_cast<int32_t>(u32()); }
  std::string_view raw(size_t bytes) {
    if (bytes > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    const std::string_view v = in_.substr(0, bytes);
    in_.remove_prefix(bytes);
    return v;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string_view rest() const { return in_; }

 private:
  std::string_view in_;
  bool ok_ = true;
};

struct TzifHeader {
  char version = 0;
  uint32_t utc_marks = 0, standard_marks = 0, leaps = 0, times = 0, types = 0, chars = 0;

  [[nodiscard]] bool read(BigEndianReader& r) {
    if (r.raw(4) != "TZif") return false;
    version = static_cast<char>(r.u8());
    r.raw(15);
    for (uint32_t* count : {&utc_marks, &standard_marks, &leaps, &times, &types, &chars})
      *count = r.u32();
    return r.ok() && types > 0 && types <= 256 && times <= kMostTransitions;
  }
  [[nodiscard]] size_t data_bytes(size_t time_bytes) const {
    return size_t{times} * (time_bytes + 1) + size_t{types} * 6 + chars +
           size_t{leaps} * (time_bytes + 4) + standard_marks + utc_marks;
  }
};

int64_t days_of(int64_t year, unsigned month, unsigned day) {
  using namespace std::chrono;
  const sys_days days{std::chrono::year(static_cast<int>(year)) / std::chrono::month(month) /
                      std::chrono::day(day)};
  return days.time_since_epoch().count();
}

bool is_leap(int64_t year) { return std::chrono::year(static_cast<int>(year)).is_leap(); }

int64_t year_of(int64_t local_s) {
  using namespace std::chrono;
  const sys_days day = floor<days>(sys_seconds{seconds{local_s}});
  return static_cast<int>(year_month_day{day}.year());
}

bool name_is_safe(std::string_view name) {
  if (name.empty() || name.size() > 255 || name.front() == '/') return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '_' || c == '-' || c == '+';
  });
}

}  // namespace

// Reads the rule at the end of a TZif file: "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX TZ, with RFC 8536's
// hours from -167 to 167).
class PosixZoneReader {
 public:
  explicit PosixZoneReader(std::string_view text) : text_(text) {}

  std::optional<TimeZone::Rule> read() {
    TimeZone::Rule rule;
    skip_name();
    rule.standard_s = -time();
    if (ok_ && !text_.empty()) {
      rule.has_summer = true;
      skip_name();
      rule.summer_s = rule.standard_s + 3600;
      if (!text_.empty() && text_.front() != ',') rule.summer_s = -time();
      for (TimeZone::Change& change : rule.changes) change = read_change();
    }
    if (!ok_ || !text_.empty()) return std::nullopt;
    return rule;
  }

 private:
  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) { ok_ = take(c) && ok_; }
  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  void skip_name() {
    if (take('<')) {
      const size_t end = text_.find('>');
      if (end == std::string_view::npos) ok_ = false;
      text_.remove_prefix(std::min(text_.size(), end));
      expect('>');
      return;
    }
    size_t n = 0;
    while (n < text_.size() && is_letter(text_[n])) ++n;
    if (n < 3) ok_ = false;
    text_.remove_prefix(n);
  }
  int32_t number(int32_t least, int32_t most) {
    int32_t v = 0;
    size_t n = 0;
    for (; n < text_.size() && n < 3 && text_[n] >= '0' && text_[n] <= '9'; ++n)
      v = v * 10 + (text_[n] - '0');
    if (n == 0 || v < least || v > most) ok_ = false;
    text_.remove_prefix(n);
    return v;
  }
  int32_t time() {
    const bool negative = take('-');
    if (!negative) take('+');
    int32_t seconds = number(0, 167) * 3600;
    if (take(':')) seconds += number(0, 59) * 60;
    if (take(':')) seconds += number(0, 59);
    return negative ? -seconds : seconds;
  }
  TimeZone::Change read_change() {
    using Kind = TimeZone::Change::Kind;
    TimeZone::Change change;
    expect(',');
    if (take('M')) {
      change.kind = Kind::weekday_of_month;
      change.month = number(1, 12);
      expect('.');
      change.week = number(1, 5);
      expect('.');
      change.day = number(0, 6);
    } else if (take('J')) {
      change.kind = Kind::day_of_year_without_leap;
      change.day = number(1, 365);
    } else {
      change.day = number(0, 365);
    }
    if (take('/')) change.second = time();
    return change;
  }

  std::string_view text_;
  bool ok_ = true;
};

int64_t TimeZone::Change::local_s(int64_t year) const {
  int64_t days = days_of(year, 1, 1);
  switch (kind) {
    case Kind::day_of_year: days += day; break;
    case Kind::day_of_year_without_leap:
      days += day - 1 + (is_leap(year) && day >= 60 ? 1 : 0);
      break;
    case Kind::weekday_of_month: {
      const auto first = days_of(year, static_cast<unsigned>(month), 1);
      const auto behind = month == 12 ? days_of(year + 1, 1, 1)
                                      : days_of(year, static_cast<unsigned>(month) + 1, 1);
      const int64_t weekday = ((first + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday
      days = first + (day - weekday + 7) % 7 + 7 * (week - 1);
      if (days >= behind) days -= 7;  // the fifth is the last
      break;
    }
  }
  return days * kDayS + second;
}

int32_t TimeZone::Rule::offset_s(int64_t utc_s) const {
  if (!has_summer) return standard_s;
  const int64_t year = year_of(utc_s + standard_s);
  const int64_t begin = changes[0].local_s(year) - standard_s;
  const int64_t end = changes[1].local_s(year) - summer_s;
  const bool summer =
      begin < end ? utc_s >= begin && utc_s < end : !(utc_s >= end && utc_s < begin);
  return summer ? summer_s : standard_s;
}

int32_t TimeZone::offset_s(int64_t utc_s) const {
  const auto next = std::upper_bound(transitions_.begin(), transitions_.end(), utc_s);
  if (next == transitions_.end() && rule_) return rule_->offset_s(utc_s);
  if (next == transitions_.begin()) return first_offset_s_;
  return offsets_[static_cast<size_t>(next - transitions_.begin()) - 1];
}

Result<TimeZone> TimeZone::parse(const std::string& name, std::string_view tzif) {
  const Error broken{Error::Kind::corrupt, "the time zone file of " + name + " is damaged"};
  BigEndianReader r(tzif);
  TzifHeader header;
  if (!header.read(r)) return broken;
  size_t time_bytes = 4;
  if (header.version >= '2') {  // what follows is there twice; the second has times of eight bytes
    r.raw(header.data_bytes(4));
    if (!header.read(r)) return broken;
    time_bytes = 8;
  }
  TimeZone zone;
  zone.name_ = name;
  for (uint32_t i = 0; i < header.times; ++i) {
    const uint64_t at = r.number(time_bytes);
    zone.transitions_.push_back(time_bytes == 8 ? static_cast<int64_t>(at)
                                                : static_cast<int32_t>(static_cast<uint32_t>(at)));
  }
  const std::string_view kinds = r.raw(header.times);
  std::vector<int32_t> types;
  for (uint32_t i = 0; i < header.types; ++i) {
    types.push_back(r.i32());
    r.raw(2);
  }
  if (!r.ok() || !std::is_sorted(zone.transitions_.begin(), zone.transitions_.end())) return broken;
  zone.first_offset_s_ = types.front();
  for (char kind : kinds) {
    if (static_cast<uint8_t>(kind) >= types.size()) return broken;
    zone.offsets_.push_back(types[static_cast<uint8_t>(kind)]);
  }
  r.raw(header.data_bytes(time_bytes) - header.times * (time_bytes + 1) - types.size() * 6);
  if (time_bytes == 4) {
    if (!r.ok()) return broken;
    return zone;
  }
  const std::string_view footer = r.rest();
  if (!r.ok() || footer.size() < 2 || footer.front() != '\n' || footer.back() != '\n')
    return broken;
  if (footer.size() > 2) {
    zone.rule_ = PosixZoneReader(footer.substr(1, footer.size() - 2)).read();
    if (!zone.rule_) return broken;
  }
  return zone;
}

Result<TimeZone> TimeZone::load(const std::string& name, const std::string& directory) {
  if (name == "UTC") return TimeZone();
  const Error unknown{Error::Kind::rejected,
                      "unknown time zone '" + name +
                          "': a name such as UTC, Europe/Berlin or Asia/Kolkata is wanted (there "
                          "is a file of that name below " +
                          directory + ", which the package tzdata brings)"};
  if (!name_is_safe(name)) return unknown;
  const auto bytes = read_file(directory + "/" + name, kMostFileBytes);
  if (!bytes || !bytes->starts_with("TZif")) return unknown;
  return parse(name, *bytes);
}

}  // namespace tailrace
