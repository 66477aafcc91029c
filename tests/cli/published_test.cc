#include "cli/published.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "cli/time_range.h"

namespace tailrace {
namespace {

namespace fs = std::filesystem;

struct Tree {
  fs::path root = fs::temp_directory_path() / ("tailrace-published-" + std::to_string(::getpid()));
  Tree() {
    fs::remove_all(root);
    fs::create_directories(root);
  }
  ~Tree() { fs::remove_all(root); }
  void file(const std::string& path) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << "x\n";
  }
  [[nodiscard]] std::vector<std::string> found(const Selection& selection = {}) const {
    std::vector<std::string> trouble, paths;
    for (const PublishedFile& f : find_published(root.string() + "/", selection, trouble))
      paths.push_back(fs::path(f.path).lexically_relative(root).string());
    BOOST_TEST(trouble.empty());
    return paths;
  }
};
int64_t at(std::string_view text) { return parse_time(text).value(); }

BOOST_AUTO_TEST_SUITE(published)

BOOST_AUTO_TEST_CASE(times_are_read_as_people_write_them) {
  BOOST_TEST(at("1970-01-02") == 86400);
  BOOST_TEST(at("2026-11-22") == 1795305600);
  BOOST_TEST(at("2026-11-22T13") == at("2026-11-22") + 13 * 3600);
  BOOST_TEST(at("2026-11-22T13:05Z") == at("2026-11-22") + 13 * 3600 + 300);
  BOOST_TEST(at("2026-11-22 13:05:09") == at("2026-11-22") + 13 * 3600 + 309);
  for (const std::string_view bad : {"", "yesterday", "2026-13-01", "2026-02-30", "2026-11-22T24",
                                     "2026-11-22T1", "2026-11-22T13:", "2026-11-22x", "26-11-22"})
    BOOST_TEST(!parse_time(bad), bad);
}

BOOST_AUTO_TEST_CASE(directories_tell_the_time_else_the_name) {
  const auto range = [](std::string_view path) { return time_of_path(path).value(); };
  BOOST_TEST(range("web/dt=2026-11-22/hr=13/x.log").from_s == at("2026-11-22T13"));
  BOOST_TEST(range("web/dt=2026-11-22/hr=13/x.log").to_s == at("2026-11-22T14"));
  BOOST_TEST(range("web/dt=2026-11-22/x.log").to_s == at("2026-11-23"));
  BOOST_TEST(range("web/2026-11-22/07/x.log").from_s == at("2026-11-22T07"));
  BOOST_TEST(range("web/web-20261122T130501Z-c1-1-00ff-3-0.log.gz").from_s ==
             at("2026-11-22T13:05:01"));
  BOOST_TEST(!time_of_path("web/x.log").has_value());
  BOOST_TEST(category_of_name("my-app.x-20261122T130501Z-c1-1-00ff-3-0.log") == "my-app.x");
  BOOST_TEST(category_of_name("x.log") == "");
}

BOOST_AUTO_TEST_CASE(names_are_ordered_as_people_count) {
  BOOST_TEST(name_before("a-9-0", "a-10-0"));
  BOOST_TEST(!name_before("a-10-0", "a-9-0"));
  BOOST_TEST(name_before("a", "b"));
  BOOST_TEST(name_before("a", "a1"));
  BOOST_TEST(name_before("01", "1"));
  BOOST_TEST(!name_before("x", "x"));
}

BOOST_AUTO_TEST_CASE(only_whole_published_files_in_order) {
  const Tree tree;
  for (const char* path :
       {"web/dt=2026-11-22/hr=13/web-10.log.gz", "web/dt=2026-11-22/hr=13/web-9.log.zst",
        "web/dt=2026-11-22/hr=02/web-1.log", "app/app-1.log.gz", "web/_stage/x/y.log",
        "_state/spool/z.log", ".hidden.log", "web/_SUCCESS", "web/notes.txt", "web/old.gz"})
    tree.file(path);
  const std::vector<std::string> expected = {
      "app/app-1.log.gz", "web/dt=2026-11-22/hr=02/web-1.log",
      "web/dt=2026-11-22/hr=13/web-9.log.zst", "web/dt=2026-11-22/hr=13/web-10.log.gz"};
  BOOST_TEST(tree.found() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(category_and_time_select) {
  const Tree tree;
  const std::string stamp = "-20261122T130501Z-c-1-0a-0-0.log";
  const std::vector<std::string> paths = {
      "web/dt=2026-11-22/hr=13/web" + stamp, "web/dt=2026-11-22/hr=14/web" + stamp,
      "web-2/dt=2026-11-23/hr=00/web-2" + stamp, "plain/other" + stamp, "unknown/x.log"};
  for (const std::string& path : paths) tree.file(path);
  const auto count = [&](const std::string& category, std::string_view from, std::string_view to) {
    Selection selection{category, {}};
    if (!from.empty()) selection.time.from_s = at(from);
    if (!to.empty()) selection.time.to_s = at(to);
    return tree.found(selection).size();
  };
  BOOST_TEST(count("", "", "") == 5u);
  BOOST_TEST(count("web", "", "") == 2u);
  BOOST_TEST(count("other", "", "") == 1u);
  BOOST_TEST(count("unknown", "", "") == 1u);
  BOOST_TEST(count("", "2026-11-22T13:30", "2026-11-22T14:00") == 1u);
  BOOST_TEST(count("", "2026-11-22T13:30", "2026-11-22T14:01") == 2u);
  BOOST_TEST(count("", "2026-11-22T13:05", "2026-11-22T13:06") == 2u);
  BOOST_TEST(count("", "2026-11-23", "") == 1u);
}

BOOST_AUTO_TEST_CASE(one_file_is_taken_whatever_its_name_and_an_absent_one_is_told) {
  const Tree tree;
  tree.file("some.gz");
  std::vector<std::string> trouble;
  const auto one = find_published((tree.root / "some.gz").string(), {}, trouble);
  BOOST_REQUIRE(one.size() == 1u);
  BOOST_TEST((one[0].codec == Codec::gzip));
  BOOST_TEST(trouble.empty());
  BOOST_TEST(find_published((tree.root / "absent").string(), {}, trouble).empty());
  BOOST_TEST(trouble.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
