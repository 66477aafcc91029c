// Layouts: what is refused and why, what is rendered, and when a directory ends.
#include "sinks/layout.h"

#include <boost/test/unit_test.hpp>

#include "base/random.h"

using namespace tailrace;

namespace {

const char* const kDefault = "{category}/dt={date}/hr={hour}";

Layout layout(const char* text) {
  auto parsed = Layout::parse(text);
  BOOST_REQUIRE_MESSAGE(parsed.ok(), (parsed.ok() ? "" : parsed.error().text));
  return *std::move(parsed);
}
TimeZone zone(const char* name) {
  auto loaded = TimeZone::load(name);
  BOOST_REQUIRE_MESSAGE(loaded.ok(), (loaded.ok() ? "" : loaded.error().text));
  return *std::move(loaded);
}

constexpr int64_t k20261124T1345 = 1795527900;  // UTC seconds
constexpr Bucket kBucket = bucket_of(k20261124T1345 * 1000);

}  // namespace

BOOST_AUTO_TEST_SUITE(layouts)

BOOST_AUTO_TEST_CASE(renders) {
  BOOST_TEST(layout(kDefault).render("nginx.access", kBucket, TimeZone()) ==
             "nginx.access/dt=2026-11-24/hr=13");
  BOOST_TEST(layout("{category}").render("app", kBucket, TimeZone()) == "app");
  BOOST_TEST(
      layout("{category}/{year}/{month}/{day}/{hour}{minute}").render("app", kBucket, TimeZone()) ==
      "app/2026/11/24/1345");
  BOOST_TEST(layout("{category}/y={year},m={month}").render("app", 0, TimeZone()) ==
             "app/y=1970,m=01");
}

BOOST_AUTO_TEST_CASE(renders_in_the_sinks_zone) {
  BOOST_TEST(layout(kDefault).render("app", kBucket, zone("Asia/Kolkata")) ==
             "app/dt=2026-11-24/hr=19");
  BOOST_TEST(layout("{category}/{hour}-{minute}").render("app", kBucket, zone("Asia/Kolkata")) ==
             "app/19-15");
  BOOST_TEST(layout("{category}/{hour}-{minute}").render("app", kBucket, zone("Asia/Kathmandu")) ==
             "app/19-30");
  BOOST_TEST(layout(kDefault).render("app", kBucket, zone("Pacific/Kiritimati")) ==
             "app/dt=2026-11-25/hr=03");
  BOOST_TEST(layout(kDefault).render("app", kBucket, zone("Pacific/Apia")) ==
             "app/dt=2026-11-25/hr=02");
}

BOOST_AUTO_TEST_CASE(refuses_with_the_reason) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "{category} alone"},
      {"/{category}", "begins with '/'"},
      {"dt={date}/{category}", "{category} alone"},
      {"logs-{category}/{date}", "{category} alone"},
      {"{category}x", "{category} alone"},
      {"{category}/{date}/", "empty directory"},
      {"{category}//{date}", "empty directory"},
      {"{category}/..", "begins with '.'"},
      {"{category}/../x", "begins with '.'"},
      {"{category}/./x", "begins with '.'"},
      {"{category}/_x", "begins with '.' or '_'"},
      {"{category}/{categroy}", "{categroy} is unknown"},
      {"{category}/{}", "{} is unknown"},
      {"{category}/{date", "not closed"},
      {"{category}/date}", "'}' may not stand"},
      {"{category}/a b", "' ' may not stand"},
      {"{category}/a:b", "':' may not stand"},
      {"{category}/a*b", "'*' may not stand"},
      {"{category}/{category}", "twice"},
      {"{category}/{date}\n", "may not stand"},
  };
  for (const auto& [text, why] : cases) {
    const auto parsed = Layout::parse(text);
    BOOST_REQUIRE_MESSAGE(!parsed.ok(), text);
    BOOST_TEST(parsed.error().text.find(why) != std::string::npos,
               text << " gives: " << parsed.error().text);
    BOOST_TEST((parsed.error().kind == Error::Kind::rejected));
  }
}

BOOST_AUTO_TEST_CASE(ends_of_directories) {
  const auto end = [](const char* text, const char* zone_name, int64_t at_s) {
    return layout(text).directory_end_ms(bucket_of(at_s * 1000), zone(zone_name)) / 1000;
  };
  const int64_t hour = k20261124T1345 / 3600 * 3600;
  BOOST_TEST(end(kDefault, "UTC", k20261124T1345) == hour + 3600);
  BOOST_TEST(end(kDefault, "Asia/Kolkata", k20261124T1345) == hour + 3600 + 1800);
  BOOST_TEST(end("{category}/{hour}{minute}", "UTC", k20261124T1345) == k20261124T1345 + 900);
  BOOST_TEST(end("{category}/{date}", "UTC", k20261124T1345) == 1795564800);
  BOOST_TEST(end("{category}/{date}", "Asia/Kolkata", k20261124T1345) == 1795564800 - 19800);
  BOOST_TEST(end("{category}/{year}-{month}", "UTC", k20261124T1345) == 1796083200);
  BOOST_TEST(end("{category}/{year}", "UTC", k20261124T1345) == 1798761600);
  BOOST_TEST(end("{category}/{year}", "America/New_York", k20261124T1345) == 1798761600 + 5 * 3600);
  BOOST_TEST(layout("{category}").directory_end_ms(kBucket, TimeZone()) == INT64_MAX);
  // Berlin's hour 02 of 2026-10-25 is there twice, and is one directory of two hours.
  BOOST_TEST(end(kDefault, "Europe/Berlin", 1792886400) == 1792886400 + 2 * 3600);
  // Its day has 25 hours.
  BOOST_TEST(end("{category}/{date}", "Europe/Berlin", 1792879200) == 1792879200 + 25 * 3600);
}

// The end of a directory is where rendering changes for the first time, whatever the zone.
BOOST_AUTO_TEST_CASE(ends_where_rendering_changes) {
  const char* const layouts[] = {kDefault, "{category}/{date}", "{category}/{year}/{month}",
                                 "{category}/{date}/{hour}-{minute}"};
  const char* const zones[] = {"UTC",           "Asia/Kolkata",
                               "Europe/Berlin", "Australia/Lord_Howe",
                               "Pacific/Apia",  "America/St_Johns"};
  const uint64_t seed = os_random();
  Rng rng(seed);
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (const char* zone_name : zones) {
      const TimeZone in = zone(zone_name);
      for (const char* text : layouts) {
        const Layout of = layout(text);
        for (int i = 0; i < 20; ++i) {
          // 2000 to 2060; every other one within the days of a change of clocks.
          Bucket bucket = static_cast<Bucket>(1051968 + rng.below(60u * 35040));
          if (i % 2)
            bucket = bucket_of(1792886400000 + static_cast<int64_t>(rng.below(172'800'000)) -
                               86'400'000);
          const int64_t end = of.directory_end_ms(bucket, in);
          const std::string here = of.render("a", bucket, in);
          BOOST_REQUIRE(end > bucket_start_ms(bucket));
          BOOST_REQUIRE(of.render("a", bucket_of(end), in) != here);
          for (Bucket b = bucket; bucket_start_ms(b) < end; ++b)
            BOOST_REQUIRE(of.render("a", b, in) == here);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
