#include "center/names.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <tuple>

#include "base/check.h"
#include "base/random.h"

namespace tailrace {

namespace {

constexpr size_t kMostPath = 1024;
constexpr size_t kNumberDigits = 10;
constexpr size_t kHexDigits = 16;
constexpr size_t kStampDigits = 16;  // yyyymmddThhmmssZ
constexpr std::string_view kOverSuffix = ".over";
constexpr char kQuestionMark = '.';  // between whom it is put to and a random number
constexpr std::string_view kClaimSuffix = ".own";
constexpr std::string_view kManifestPrefix = "manifest-";
constexpr std::string_view kTablePrefix = "table-";
constexpr std::string_view kStage = "_stage";
constexpr std::array kCodecs = {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy};

// Numbers in names sort as they count.
std::string digits10(uint64_t n) {
  std::string text = std::to_string(n);
  TAILRACE_CHECK(text.size() <= kNumberDigits, "a number in a name has more than ten digits");
  return std::string(kNumberDigits - text.size(), '0') + text;
}

// Digits alone, all of `text`.
std::optional<uint64_t> number(std::string_view text) {
  uint64_t n = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, n);
  if (text.empty() || error != std::errc() || at != end) return std::nullopt;
  return n;
}

// As std::to_string writes it: no leading zeros.
std::optional<uint64_t> plain_number(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return number(text);
}

std::optional<uint64_t> number10(std::string_view text) {
  return text.size() == kNumberDigits ? number(text) : std::nullopt;
}

std::optional<uint64_t> hex_number(std::string_view text) {
  if (text.size() != kHexDigits) return std::nullopt;
  const uint64_t n = parse_hex16(text);
  if (hex16(n) != text) return std::nullopt;
  return n;
}

std::string checked_incarnation(std::string_view name) {
  TAILRACE_CHECK(parse_incarnation(name), "not an incarnation's name");
  return std::string(name);
}

std::string checked_category(std::string_view category) {
  TAILRACE_CHECK(valid_category(category), "not a category");
  return std::string(category);
}

std::string stamp(int64_t seconds) {
  using namespace std::chrono;
  const sys_seconds at{std::chrono::seconds{seconds}};
  const sys_days day = floor<days>(at);
  const year_month_day date{day};
  const hh_mm_ss time{at - day};
  char text[64];
  std::snprintf(text, sizeof text, "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return text;
}

std::optional<int64_t> parse_stamp(std::string_view text) {
  using namespace std::chrono;
  if (text.size() != kStampDigits) return std::nullopt;
  const auto y = number(text.substr(0, 4)), mo = number(text.substr(4, 2)),
             d = number(text.substr(6, 2)), h = number(text.substr(9, 2)),
             mi = number(text.substr(11, 2)), s = number(text.substr(13, 2));
  if (!y || !mo || !d || !h || !mi || !s) return std::nullopt;
  const year_month_day date{year(static_cast<int>(*y)), month(static_cast<unsigned>(*mo)),
                            day(static_cast<unsigned>(*d))};
  if (!date.ok()) return std::nullopt;
  const int64_t at = seconds(sys_days(date).time_since_epoch()).count() +
                     static_cast<int64_t>(*h * 3600 + *mi * 60 + *s);
  if (stamp(at) != text) return std::nullopt;
  return at;
}

// The part of `text` behind its last '-', which is taken off with it; nullopt if there is none.
std::optional<std::string_view> take_last(std::string_view& text) {
  const size_t dash = text.rfind('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view last = text.substr(dash + 1);
  text = text.substr(0, dash);
  return last;
}

// Takes ".seq", or ".log" and a codec's extension off.
std::optional<std::pair<FileFormat, Codec>> take_suffix(std::string_view& name) {
  const auto take = [&name](FileFormat format, Codec codec) {
    const std::string suffix = file_suffix(format, codec);
    if (!name.ends_with(suffix)) return false;
    name.remove_suffix(suffix.size());
    return true;
  };
  for (Codec codec : kCodecs)
    if (take(FileFormat::lines, codec)) return std::pair(FileFormat::lines, codec);
  if (take(FileFormat::sequence, Codec::none)) return std::pair(FileFormat::sequence, Codec::none);
  return std::nullopt;
}

}  // namespace

std::string incarnation_name(const IncarnationId& incarnation) {
  TAILRACE_CHECK(incarnation.start_ms >= 0, "an incarnation that started before 1970");
  return std::to_string(incarnation.start_ms) + "-" + hex16(incarnation.random);
}

std::optional<IncarnationId> parse_incarnation(std::string_view name) {
  const auto random_text = take_last(name);
  if (!random_text) return std::nullopt;
  const auto start = plain_number(name);
  const auto random = hex_number(*random_text);
  if (!start || !random || *start > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
  return IncarnationId{static_cast<int64_t>(*start), *random};
}

bool valid_center_name(std::string_view name) { return valid_category(name); }

bool valid_lane(const Lane& lane) {
  if (lane.category.empty()) return lane.parts == 1 && lane.part == 0;
  if (lane.parts != 1 && lane.parts != 8 && lane.parts != 64) return false;
  return valid_category(lane.category) && lane.part < lane.parts;
}

bool valid_store_path(std::string_view path) {
  if (path.empty() || path.size() > kMostPath) return false;
  for (char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

StoreNames::StoreNames(std::string_view control, uint64_t sink) {
  TAILRACE_CHECK(valid_store_path(control.substr(control.starts_with('/') ? 1 : 0)),
                 "not a control path");
  base_ = std::string(control) + "/" + hex16(sink) + "/";
}

std::string StoreNames::lanes() const { return base_ + "lanes"; }
std::string StoreNames::lanes(std::string_view category) const {
  return lanes() + "/" + checked_category(category);
}
std::string StoreNames::lane(const Lane& lane) const {
  TAILRACE_CHECK(!lane.category.empty() && valid_lane(lane), "not a lane");
  return lanes() + "/" + lane_name(lane);
}
std::string StoreNames::claim(const Lane& lane, uint64_t epoch) const {
  return this->lane(lane) + "/" + digits10(epoch) + std::string(kClaimSuffix);
}
std::string StoreNames::table(const Lane& lane, uint64_t epoch, uint64_t entry) const {
  return this->lane(lane) + "/" + std::string(kTablePrefix) + digits10(epoch) + "-" +
         digits10(entry);
}
std::string StoreNames::logs() const { return base_ + "logs"; }
std::string StoreNames::log(std::string_view incarnation) const {
  return logs() + "/" + checked_incarnation(incarnation);
}
std::string StoreNames::entry(std::string_view incarnation, uint64_t entry) const {
  return log(incarnation) + "/" + digits10(entry);
}
std::string StoreNames::own_claim(std::string_view incarnation, uint64_t epoch) const {
  return log(incarnation) + "/" + digits10(epoch) + std::string(kClaimSuffix);
}
std::string StoreNames::manifest(std::string_view incarnation, uint64_t first,
                                 uint64_t last) const {
  return log(incarnation) + "/" + std::string(kManifestPrefix) + digits10(first) + "-" +
         digits10(last);
}
std::string StoreNames::live() const { return base_ + "live"; }
std::string StoreNames::announcement(std::string_view incarnation) const {
  return live() + "/" + checked_incarnation(incarnation);
}
std::string StoreNames::question(std::string_view incarnation, uint64_t uuid) const {
  return announcement(incarnation) + kQuestionMark + hex16(uuid);
}
std::string StoreNames::over(std::string_view incarnation) const {
  return announcement(incarnation) + std::string(kOverSuffix);
}
std::string StoreNames::tmps() const { return base_ + "tmp"; }
std::string StoreNames::tmp(std::string_view incarnation) const {
  return tmps() + "/" + checked_incarnation(incarnation);
}
std::string StoreNames::tmp(std::string_view incarnation, uint64_t uuid) const {
  return tmp(incarnation) + "/" + hex16(uuid);
}

std::optional<uint64_t> parse_claim_name(std::string_view name) {
  if (!name.ends_with(kClaimSuffix)) return std::nullopt;
  name.remove_suffix(kClaimSuffix.size());
  return number10(name);
}

std::optional<std::string> parse_question_name(std::string_view name) {
  const size_t mark = name.find(kQuestionMark);
  if (mark == std::string_view::npos || !parse_incarnation(name.substr(0, mark)) ||
      parse_hex16(name.substr(mark + 1)) == 0)
    return std::nullopt;
  return std::string(name.substr(0, mark));
}

std::optional<std::string> parse_over_name(std::string_view name) {
  if (!name.ends_with(kOverSuffix)) return std::nullopt;
  name.remove_suffix(kOverSuffix.size());
  if (!parse_incarnation(name)) return std::nullopt;
  return std::string(name);
}

std::optional<uint64_t> parse_entry_name(std::string_view name) { return number10(name); }

namespace {
std::optional<std::pair<uint64_t, uint64_t>> two_numbers(std::string_view name,
                                                         std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const auto last_text = take_last(name);
  if (!last_text) return std::nullopt;
  const auto first = number10(name), last = number10(*last_text);
  if (!first || !last) return std::nullopt;
  return std::pair(*first, *last);
}
}  // namespace

std::optional<std::pair<uint64_t, uint64_t>> parse_table_name(std::string_view name) {
  return two_numbers(name, kTablePrefix);
}

std::optional<std::pair<uint64_t, uint64_t>> parse_manifest_name(std::string_view name) {
  const auto entries = two_numbers(name, kManifestPrefix);
  return entries && entries->first <= entries->second ? entries : std::nullopt;
}

std::optional<Lane> parse_lane_name(std::string_view category, std::string_view name) {
  const auto part_text = take_last(name);
  if (!part_text || category.empty()) return std::nullopt;
  const auto parts = plain_number(name), part = plain_number(*part_text);
  if (!parts || !part || *parts > 64 || *part > 63) return std::nullopt;
  Lane lane{std::string(category), static_cast<uint8_t>(*parts), static_cast<uint8_t>(*part)};
  if (!valid_lane(lane)) return std::nullopt;
  return lane;
}

std::string stage_directory(std::string_view category) {
  return checked_category(category) + "/" + std::string(kStage);
}
std::string stage_directory(std::string_view category, std::string_view incarnation) {
  return stage_directory(category) + "/" + checked_incarnation(incarnation);
}
std::string stage_path(std::string_view category, std::string_view incarnation, uint64_t uuid) {
  return stage_directory(category, incarnation) + "/" + hex16(uuid);
}

std::optional<StageName> parse_stage_path(std::string_view path) {
  std::array<std::string_view, 4> parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t slash = path.find('/');
    if ((slash == std::string_view::npos) != (i + 1 == parts.size())) return std::nullopt;
    parts[i] = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  const auto uuid = hex_number(parts[3]);
  if (!valid_category(parts[0]) || parts[1] != kStage || !parse_incarnation(parts[2]) || !uuid)
    return std::nullopt;
  return StageName{std::string(parts[0]), std::string(parts[2]), *uuid};
}

std::string final_path(std::string_view directory, const FinalName& name) {
  TAILRACE_CHECK(valid_store_path(directory), "not a directory of ours");
  TAILRACE_CHECK(directory.substr(0, directory.find('/')) == name.category,
                 "a directory of another category");
  TAILRACE_CHECK(valid_center_name(name.center), "not a Center's name");
  return std::string(directory) + "/" + checked_category(name.category) + "-" +
         stamp(name.closed_s) + "-" + name.center + "-" + checked_incarnation(name.incarnation) +
         "-" + std::to_string(name.entry) + "-" + std::to_string(name.k) +
         file_suffix(name.format, name.codec);
}

std::optional<FinalName> parse_final_path(std::string_view path) {
  FinalName found;
  const size_t first = path.find('/'), last = path.rfind('/');
  if (first == std::string_view::npos) return std::nullopt;
  found.category = path.substr(0, first);
  std::string_view name = path.substr(last + 1);
  const auto suffix = take_suffix(name);
  if (!suffix || !valid_category(found.category)) return std::nullopt;
  const std::string prefix = found.category + "-";
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const auto closed = parse_stamp(name.substr(0, kStampDigits));
  if (!closed || name.size() <= kStampDigits || name[kStampDigits] != '-') return std::nullopt;
  name.remove_prefix(kStampDigits + 1);
  const auto k_text = take_last(name), entry_text = take_last(name), random = take_last(name),
             start = take_last(name);
  if (!k_text || !entry_text || !random || !start || !valid_center_name(name)) return std::nullopt;
  const auto k = plain_number(*k_text), entry = plain_number(*entry_text);
  found.incarnation = std::string(*start) + "-" + std::string(*random);
  if (!k || *k > UINT32_MAX || !entry || !parse_incarnation(found.incarnation)) return std::nullopt;
  found.closed_s = *closed;
  found.center = name;
  found.entry = *entry;
  found.k = static_cast<uint32_t>(*k);
  std::tie(found.format, found.codec) = *suffix;
  return found;
}

}  // namespace tailrace
