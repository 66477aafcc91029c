// Sizes, durations and foreign text as people read and write them.
#include "base/units.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(units)

BOOST_AUTO_TEST_CASE(sizes) {
  BOOST_TEST(*parse_size("0B") == 0u);
  BOOST_TEST(*parse_size("4096B") == 4096u);
  BOOST_TEST(*parse_size("16KiB") == 16384u);
  BOOST_TEST(*parse_size("128MiB") == 128u << 20);
  BOOST_TEST(*parse_size("1GiB") == 1u << 30);
  BOOST_TEST(*parse_size("2TiB") == 2ull << 40);
  BOOST_TEST(*parse_size("3MB") == 3'000'000u);
  for (const char* bad : {"", "128", "MiB", "-1MiB", "1.5GiB", "1 MiB", "1mib", "1MiBx",
                          "99999999999TiB", "18446744073709551616B"})
    BOOST_TEST(!parse_size(bad), bad);
  const Error e = parse_size("128").error();
  BOOST_TEST(e.text == "expected a size such as 128MiB, got '128'");
}

BOOST_AUTO_TEST_CASE(durations) {
  BOOST_TEST(*parse_duration_ms("500ms") == 500);
  BOOST_TEST(*parse_duration_ms("10s") == 10'000);
  BOOST_TEST(*parse_duration_ms("5m") == 300'000);
  BOOST_TEST(*parse_duration_ms("1h") == 3'600'000);
  BOOST_TEST(*parse_duration_ms("2d") == 172'800'000);
  for (const char* bad : {"", "10", "s", "-1s", "1.5s", "1 s", "1S", "99999999999999999d"})
    BOOST_TEST(!parse_duration_ms(bad), bad);
}

BOOST_AUTO_TEST_CASE(shown) {
  BOOST_TEST(show_utc(1'795'352'701'999) == "2026-11-22T13:05:01Z");
  BOOST_TEST(show_utc(0) == "1970-01-01T00:00:00Z");
  BOOST_TEST(show_size(0) == "0 B");
  BOOST_TEST(show_size(1023) == "1023 B");
  BOOST_TEST(show_size(1536) == "1.5 KiB");
  BOOST_TEST(show_size(128ull << 20) == "128 MiB");
  BOOST_TEST(show_size(UINT64_MAX) == "16384 PiB");
  BOOST_TEST(show_duration(999) == "999 ms");
  BOOST_TEST(show_duration(1234) == "1.2 s");
  BOOST_TEST(show_duration(200'000) == "3m 20s");
  BOOST_TEST(show_duration(7'500'000) == "2h 05m");
  BOOST_TEST(show_duration(90'000'000) == "1d 01h");
  BOOST_TEST(show_count(0) == "0");
  BOOST_TEST(show_count(999) == "999");
  BOOST_TEST(show_count(1000) == "1,000");
  BOOST_TEST(show_count(1234567) == "1,234,567");
}

BOOST_AUTO_TEST_CASE(escape_keeps_good_text) {
  BOOST_TEST(escape("/var/log/nginx access.log") == "/var/log/nginx access.log");
  BOOST_TEST(escape("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x9A\x82") ==
             "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x9A\x82");
}

BOOST_AUTO_TEST_CASE(escape_shows_the_rest_as_bytes) {
  BOOST_TEST(escape("a\nb\tc\x1b[31m\x7f") == "a\\x0ab\\x09c\\x1b[31m\\x7f");
  BOOST_TEST(escape(std::string_view("\0", 1)) == "\\x00");
  BOOST_TEST(escape("\\") == "\\\\");
  BOOST_TEST(escape("\xC0\x80") == "\\xc0\\x80");                    // overlong
  BOOST_TEST(escape("\xE0\x80\x80") == "\\xe0\\x80\\x80");           // overlong
  BOOST_TEST(escape("\xED\xA0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  BOOST_TEST(escape("\xF4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  BOOST_TEST(escape("\xE2\x82") == "\\xe2\\x82");                    // cut short
  BOOST_TEST(escape("\xC2\x9B") == "\\xc2\\x9b");                    // a control of two bytes (CSI)
}

BOOST_AUTO_TEST_CASE(escape_cuts) {
  BOOST_TEST(escape("abcdef", 3) == "abc...");
  BOOST_TEST(escape("abc", 3) == "abc");
}

BOOST_AUTO_TEST_CASE(escape_is_safe_for_any_bytes) {
  BOOST_TEST(rc::check("printable, bounded, unambiguous", [](const std::string& text) {
    const std::string shown = escape(text, 64);
    RC_ASSERT(shown.size() <= 64 + 16);
    for (const char c : shown) RC_ASSERT(static_cast<uint8_t>(c) >= 0x20 && c != 0x7F);
    RC_ASSERT(escape(shown, 1000).size() >= shown.size());
  }));
}

BOOST_AUTO_TEST_SUITE_END()
