#include "base/units.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <optional>

namespace tailrace {

namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr Unit kSizes[] = {{"B", 1},
                           {"KiB", 1ull << 10},
                           {"MiB", 1ull << 20},
                           {"GiB", 1ull << 30},
                           {"TiB", 1ull << 40},
                           {"KB", 1'000},
                           {"MB", 1'000'000},
                           {"GB", 1'000'000'000},
                           {"TB", 1'000'000'000'000}};
constexpr Unit kDurations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};

template <size_t N>
std::optional<uint64_t> parse(std::string_view text, const Unit (&units)[N]) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest == text.data()) return std::nullopt;
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  for (const Unit& u : units)
    if (u.name == unit) {
      uint64_t product = 0;
      if (__builtin_mul_overflow(number, u.factor, &product) || product > (1ull << 62))
        return std::nullopt;
      return product;
    }
  return std::nullopt;
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  if (auto v = parse(text, kSizes)) return *v;
  return Error{Error::Kind::rejected,
               "expected a size such as 128MiB, got '" + escape(text, 64) + "'"};
}

Result<int64_t> parse_duration_ms(std::string_view text) {
  if (auto v = parse(text, kDurations)) return static_cast<int64_t>(*v);
  return Error{Error::Kind::rejected,
               "expected a duration such as 10s or 5m, got '" + escape(text, 64) + "'"};
}

std::string show_size(uint64_t bytes) {
  static constexpr const char* kNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double v = static_cast<double>(bytes);
  size_t u = 0;
  while (v >= 1024 && u + 1 < std::size(kNames)) {
    v /= 1024;
    ++u;
  }
  char text[32];
  std::snprintf(text, sizeof text, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, kNames[u]);
  return text;
}

std::string show_duration(int64_t ms) {
  char text[48];
  const int64_t s = ms / 1000;
  if (ms < 1000)
    std::snprintf(text, sizeof text, "%lld ms", static_cast<long long>(ms));
  else if (ms < 60'000)
    std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(ms) / 1000);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%lldm %02llds", static_cast<long long>(s / 60),
                  static_cast<long long>(s % 60));
  else if (s < 86'400)
    std::snprintf(text, sizeof text, "%lldh %02lldm", static_cast<long long>(s / 3600),
                  static_cast<long long>(s / 60 % 60));
  else
    std::snprintf(text, sizeof text, "%lldd %02lldh", static_cast<long long>(s / 86'400),
                  static_cast<long long>(s / 3600 % 24));
  return text;
}

std::string show_count(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string show_utc(int64_t wall_ms) {
  const std::time_t seconds = wall_ms / 1'000;
  std::tm utc{};
  char text[40] = "-";
  if (::gmtime_r(&seconds, &utc) != nullptr) (void)std::strftime(text, sizeof text, "%FT%TZ", &utc);
  return text;
}

namespace {
// The length of the well-formed UTF-8 sequence at the start of `s`, 0 if there is none.
size_t utf8_length(std::string_view s) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const uint8_t lead = at(0);
  const size_t n = lead < 0x80                   ? 1
                   : lead >= 0xC2 && lead < 0xE0 ? 2
                   : lead >= 0xE0 && lead < 0xF0 ? 3
                   : lead >= 0xF0 && lead < 0xF5 ? 4
                                                 : 0;
  if (n == 0 || n > s.size()) return 0;
  for (size_t i = 1; i < n; ++i)
    if ((at(i) & 0xC0) != 0x80) return 0;
  if (n == 3 && ((lead == 0xE0 && at(1) < 0xA0) || (lead == 0xED && at(1) > 0x9F))) return 0;
  if (n == 4 && ((lead == 0xF0 && at(1) < 0x90) || (lead == 0xF4 && at(1) > 0x8F))) return 0;
  return n;
}
}  // namespace

std::string escape(std::string_view text, size_t most) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (out.size() >= most) return out + "...";
    const size_t n = utf8_length(text.substr(i));
    const uint8_t c = static_cast<uint8_t>(text[i]);
    const bool control =
        c < 0x20 || c == 0x7F || (n == 2 && c == 0xC2 && static_cast<uint8_t>(text[i + 1]) < 0xA0);
    if (n == 0 || control) {
      char hex[8];
      for (size_t k = 0; k < (n ? n : 1); ++k) {
        std::snprintf(hex, sizeof hex, "\\x%02x",
                      static_cast<unsigned>(static_cast<uint8_t>(text[i + k])));
        out += hex;
      }
    } else if (c == '\\') {
      out += "\\\\";
    } else {
      out.append(text.substr(i, n));
    }
    i += n ? n : 1;
  }
  return out;
}

}  // namespace tailrace
