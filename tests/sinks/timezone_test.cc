// Time zones: compared with what the C library makes of the same files, to the second.
#include "sinks/timezone.h"

#include <stdlib.h>
#include <time.h>

#include <boost/test/unit_test.hpp>

#include "base/file.h"
#include "base/random.h"

using namespace tailrace;

namespace {

// The zones with files on this machine; an environment without tzdata has none.
const char* const kZones[] = {"Europe/Berlin",       "Asia/Kolkata",       "America/New_York",
                              "Australia/Lord_Howe", "Africa/Casablanca",  "America/Sao_Paulo",
                              "Pacific/Apia",        "Asia/Kathmandu",     "Europe/Dublin",
                              "Pacific/Chatham",     "America/Nuuk",       "Africa/Monrovia",
                              "Etc/GMT+12",          "Pacific/Kiritimati", "Antarctica/Troll"};

class LibraryZone {
 public:
  explicit LibraryZone(const std::string& name) {
    ::setenv("TZ", (":" + name).c_str(), 1);
    ::tzset();
  }
  ~LibraryZone() {
    ::unsetenv("TZ");
    ::tzset();
  }
  [[nodiscard]] long offset_s(time_t at) const {
    struct tm local {};
    ::localtime_r(&at, &local);
    return local.tm_gmtoff;
  }
};

int64_t utc_s(int year, int month, int day, int hour, int minute) {
  struct tm t {};
  t.tm_year = year - 1900, t.tm_mon = month - 1, t.tm_mday = day, t.tm_hour = hour,
  t.tm_min = minute;
  return ::timegm(&t);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(time_zones)

BOOST_AUTO_TEST_CASE(utc_needs_no_file) {
  const auto zone = TimeZone::load("UTC", "/nonexistent");
  BOOST_REQUIRE(zone.ok());
  BOOST_TEST(zone->offset_s(1795528800) == 0);
  BOOST_TEST(zone->name() == "UTC");
}

BOOST_AUTO_TEST_CASE(known_moments) {
  const auto berlin = TimeZone::load("Europe/Berlin");
  const auto kolkata = TimeZone::load("Asia/Kolkata");
  BOOST_REQUIRE_MESSAGE(berlin.ok() && kolkata.ok(), "the package tzdata is missing");
  BOOST_TEST(berlin->offset_s(utc_s(2026, 3, 29, 0, 59)) == 3600);
  BOOST_TEST(berlin->offset_s(utc_s(2026, 3, 29, 1, 0)) == 7200);
  BOOST_TEST(berlin->offset_s(utc_s(2026, 10, 25, 0, 59)) == 7200);
  BOOST_TEST(berlin->offset_s(utc_s(2026, 10, 25, 1, 0)) == 3600);
  // Far behind the file's transitions: its rule holds.
  BOOST_TEST(berlin->offset_s(utc_s(2090, 7, 1, 12, 0)) == 7200);
  BOOST_TEST(berlin->offset_s(utc_s(2090, 12, 1, 12, 0)) == 3600);
  BOOST_TEST(kolkata->offset_s(utc_s(2026, 11, 24, 0, 0)) == 19800);
}

BOOST_AUTO_TEST_CASE(as_the_c_library_has_it) {
  const uint64_t seed = os_random();
  Rng rng(seed);
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (const char* name : kZones) {
      const auto zone = TimeZone::load(name);
      BOOST_REQUIRE_MESSAGE(zone.ok(), (zone.ok() ? "" : zone.error().text));
      const LibraryZone library(name);
      int64_t changes = 0;
      for (int64_t at = 0, before = library.offset_s(0); at < utc_s(2100, 1, 1, 0, 0);
           at += 6 * 3600 + static_cast<int64_t>(rng.below(3600))) {
        const int64_t expected = library.offset_s(at);
        BOOST_REQUIRE_MESSAGE(zone->offset_s(at) == expected, name << " at " << at);
        changes += expected != before;
        before = expected;
      }
      BOOST_TEST_MESSAGE(name << ": " << changes << " changes");
    }
  }
}

BOOST_AUTO_TEST_CASE(changes_to_the_second) {
  for (const char* name : kZones) {
    const auto zone = TimeZone::load(name);
    BOOST_REQUIRE(zone.ok());
    const LibraryZone library(name);
    const auto changed_between = [&](int64_t a, int64_t b) {
      return library.offset_s(a) != library.offset_s(b);
    };
    for (int64_t at = utc_s(2024, 1, 1, 0, 0); at < utc_s(2060, 1, 1, 0, 0); at += 86400) {
      if (!changed_between(at, at + 86400)) continue;
      int64_t low = at, high = at + 86400;
      while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        (changed_between(low, middle) ? high : low) = middle;
      }
      BOOST_TEST(zone->offset_s(low) == library.offset_s(low), name);
      BOOST_TEST(zone->offset_s(high) == library.offset_s(high), name);
    }
  }
}

BOOST_AUTO_TEST_CASE(unknown_names_are_explained) {
  for (const char* name : {"Europe/Belrin", "", "../../etc/passwd", "/etc/localtime", "CEST-1 x",
                           "Europe", "tzdata.zi"}) {
    const auto zone = TimeZone::load(name);
    BOOST_REQUIRE_MESSAGE(!zone.ok(), name);
    BOOST_TEST(zone.error().text.find("Europe/Berlin") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(damaged_files_are_refused_or_harmless) {
  const auto whole = read_file("/usr/share/zoneinfo/Europe/Berlin", 1 << 20);
  BOOST_REQUIRE(whole.ok());
  BOOST_REQUIRE(TimeZone::parse("x", *whole).ok());
  for (size_t n = 0; n < whole->size(); ++n)
    BOOST_TEST(!TimeZone::parse("x", std::string_view(*whole).substr(0, n)).ok());
  const uint64_t seed = os_random();
  Rng rng(seed);
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (int i = 0; i < 5000; ++i) {
      std::string bytes = *whole;
      for (size_t k = 1 + rng.below(3); k > 0; --k)
        bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
      const auto zone = TimeZone::parse("x", bytes);
      if (zone.ok()) static_cast<void>(zone->offset_s(utc_s(2050, 7, 1, 0, 0)));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
