// Names of the store: as the formats page gives them, and back.
#include "center/names.h"

#include <rapidcheck.h>

#include <boost/test/unit_test.hpp>

#include "base/random.h"

using namespace tailrace;

namespace {
const std::string kIncarnation = "1795528800123-0123456789abcdef";
}

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(below_the_control_directory) {
  const StoreNames names("_tailrace", 0x51);
  const std::string base = "_tailrace/0000000000000051/";
  const Lane lane{"nginx.access", 8, 3};
  BOOST_TEST(names.lane(lane) == base + "lanes/nginx.access/8-3");
  BOOST_TEST(names.claim(lane, 12) == base + "lanes/nginx.access/8-3/0000000012.own");
  BOOST_TEST(names.entry(kIncarnation, 7) == base + "logs/" + kIncarnation + "/0000000007");
  BOOST_TEST(names.own_claim(kIncarnation, 1) == base + "logs/" + kIncarnation + "/0000000001.own");
  BOOST_TEST(names.manifest(kIncarnation, 1, 4096) ==
             base + "logs/" + kIncarnation + "/manifest-0000000001-0000004096");
  BOOST_TEST(names.announcement(kIncarnation) == base + "live/" + kIncarnation);
  BOOST_TEST(names.tmp(kIncarnation, 10) == base + "tmp/" + kIncarnation + "/000000000000000a");
  BOOST_TEST(StoreNames("/srv/control", 1).logs() == "/srv/control/0000000000000001/logs");
}

BOOST_AUTO_TEST_CASE(listings_are_read_back) {
  BOOST_TEST(parse_claim_name("0000000012.own").value() == 12u);
  BOOST_TEST(!parse_claim_name("0000000012"));
  BOOST_TEST(!parse_claim_name("12.own"));
  BOOST_TEST(parse_entry_name("0000000007").value() == 7u);
  for (const char* alien : {"0000000007.own", "000000007", "00000000a7", "", ".tmp", "+000000007"})
    BOOST_TEST(!parse_entry_name(alien), alien);
  BOOST_TEST(
      (parse_table_name("table-0000000003-0000004097") == std::pair<uint64_t, uint64_t>(3, 4097)));
  BOOST_TEST(!parse_table_name("table-0000000003"));
  BOOST_TEST(!parse_table_name("table-3-4097"));
  BOOST_TEST((parse_manifest_name("manifest-0000000001-0000004096") ==
              std::pair<uint64_t, uint64_t>(1, 4096)));
  BOOST_TEST(!parse_manifest_name("manifest-0000000002-0000000001"));
  BOOST_TEST((parse_lane_name("app", "8-3") == Lane{"app", 8, 3}));
  for (const char* alien : {"8-8", "8", "08-3", "8-03", "-", "7-1", "1-1", "8-3 ", "256-0"})
    BOOST_TEST(!parse_lane_name("app", alien), alien);
  BOOST_TEST(!parse_lane_name("", "1-0"));
}

BOOST_AUTO_TEST_CASE(incarnations) {
  BOOST_TEST(incarnation_name({1795528800123, 0x0123456789ABCDEF}) == kIncarnation);
  BOOST_TEST((parse_incarnation(kIncarnation) == IncarnationId{1795528800123, 0x0123456789ABCDEF}));
  for (const char* alien :
       {"", "-", "1795528800123", "1795528800123-", "1795528800123-0123456789ABCDEF",
        "01-0123456789abcdef", "-1-0123456789abcdef", "1-0123456789abcde", "1-2-0123456789abcdef",
        "99999999999999999999-0123456789abcdef", "../1-0123456789abcdef"})
    BOOST_TEST(!parse_incarnation(alien), alien);
}

BOOST_AUTO_TEST_CASE(stage_paths) {
  const std::string path = stage_path("nginx.access", kIncarnation, 0xAB);
  BOOST_TEST(path == "nginx.access/_stage/" + kIncarnation + "/00000000000000ab");
  BOOST_TEST((parse_stage_path(path) == StageName{"nginx.access", kIncarnation, 0xAB}));
  BOOST_TEST(!parse_stage_path(path + "/x"));
  BOOST_TEST(!parse_stage_path("nginx.access/_stage/" + kIncarnation));
  BOOST_TEST(!parse_stage_path("nginx.access/stage/" + kIncarnation + "/00000000000000ab"));
}

BOOST_AUTO_TEST_CASE(final_paths) {
  const FinalName name{"nginx.access", 1795527296, "center-1", kIncarnation, 7, 2, Codec::gzip};
  const std::string path = final_path("nginx.access/dt=2026-11-24/hr=13", name);
  BOOST_TEST(path == "nginx.access/dt=2026-11-24/hr=13/nginx.access-20261124T133456Z-center-1-" +
                         kIncarnation + "-7-2.log.gz");
  BOOST_TEST((parse_final_path(path) == name));
  FinalName sequence = name;
  sequence.format = FileFormat::sequence;
  const std::string other = final_path("nginx.access", sequence);
  BOOST_TEST(other ==
             "nginx.access/nginx.access-20261124T133456Z-center-1-" + kIncarnation + "-7-2.seq");
  sequence.codec = Codec::none;  // which it is stands in the file
  BOOST_TEST((parse_final_path(other) == sequence));
  for (const char* alien : {"nginx.access/part-00000.gz", "nginx.access", "", "/", "app/app-.log",
                            "app/app-20261399T133456Z-c-1-0123456789abcdef-1-1.log",
                            "app/other-20261124T133456Z-c-1-0123456789abcdef-1-1.log",
                            "app/app-20261124T133456Z-c-1-0123456789abcdef-1-01.log",
                            "app/app-20261124T133456Z-c-1-0123456789abcdef-1-1.log.tmp"})
    BOOST_TEST(!parse_final_path(alien), alien);
}

BOOST_AUTO_TEST_CASE(final_paths_come_back) {
  const bool back = rc::check("whatever dashes the atoms have", [](uint64_t seed) {
    Rng rng(seed);
    const auto atom = [&] {
      std::string text = "a";
      for (size_t i = rng.below(30); i > 0; --i) text += "abz019.-_"[rng.below(9)];
      return text;
    };
    FinalName name;
    name.category = atom();
    name.center = rng.chance(0.1) ? "c-20261124-d-1-0123456789abcdef-1-1.log" : atom();
    name.closed_s = static_cast<int64_t>(rng.below(253402300800));
    name.incarnation = incarnation_name({static_cast<int64_t>(rng.next() >> 2), rng.next()});
    name.entry = rng.next();
    name.k = static_cast<uint32_t>(rng.next());
    if (rng.chance(0.2))
      name.format = FileFormat::sequence;
    else
      name.codec = static_cast<Codec>(rng.below(4));
    const std::string path = final_path(name.category + "/x=1", name);
    RC_ASSERT(valid_store_path(path));
    RC_ASSERT(parse_final_path(path) == name);
  });
  BOOST_TEST(back);
}

BOOST_AUTO_TEST_CASE(store_paths) {
  for (const char* good : {"a", "a/b", "dt=2026-11-24", "..a", "a/.../b", "h\xC3\xA9"})
    BOOST_TEST(valid_store_path(good), good);
  for (const char* bad :
       {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\nb", "a\x7F"})
    BOOST_TEST(!valid_store_path(bad), bad);
  BOOST_TEST(!valid_store_path(std::string("a\0b", 3)));
  BOOST_TEST(valid_store_path(std::string(1024, 'x')));
  BOOST_TEST(!valid_store_path(std::string(1025, 'x')));
}

BOOST_AUTO_TEST_SUITE_END()
