#include "agent/file_watch.h"

#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "base/spawn.h"
#include "tests/agent/temp_dir.h"

namespace tailrace {

namespace {
struct Rig {
  Rig() { BOOST_REQUIRE(watch.open().ok()); }
  // A deploy: the link leads to another folder.
  void lead_to(const std::string& folder) const {
    std::filesystem::remove(dir / "current");
    BOOST_REQUIRE(::symlink(folder.c_str(), (dir / "current").c_str()) == 0);
  }
  // What was told of names since the last call.
  std::vector<std::string> names() {
    spawn(road, "names", hear());
    road.restart();
    road.run_for(std::chrono::milliseconds(100));
    std::vector<std::string> out = told;
    told.clear();
    return out;
  }
  std::vector<std::string> writes() {
    std::vector<std::string> out;
    BOOST_TEST(watch.collect_writes([&](std::string_view path) { out.emplace_back(path); }));
    return out;
  }

  TempDir dir;
  asio::io_context road;
  FileWatch watch{road};
  std::vector<std::string> told;
  bool hearing = false;

 private:
  asio::awaitable<void> hear() {
    if (hearing) co_return;  // the one from before still waits
    hearing = true;
    FileWatch::Names names;
    for (;;) {
      names.clear();
      const Result<void> heard = co_await watch.wait(names);
      if (!heard) co_return;
      told.insert(told.end(), names.paths.begin(), names.paths.end());
    }
  }
};

bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}
}  // namespace

BOOST_AUTO_TEST_SUITE(file_watch)

BOOST_AUTO_TEST_CASE(a_folder_behind_a_link_that_is_turned) {
  Rig rig;
  rig.dir.make("one");
  rig.dir.make("two");
  const std::string current = rig.dir / "current";
  rig.lead_to("one");
  BOOST_TEST(rig.watch.watch_directory(current));
  BOOST_TEST(!rig.watch.watch_directory(current));
  rig.lead_to("two");
  BOOST_TEST(rig.watch.watch_directory(current));
  BOOST_TEST(!rig.watch.watch_directory(current));
  rig.names();
  rig.writes();
  rig.dir.write("one/old", "1\n");
  BOOST_TEST(rig.names().empty());  // or it would be told as a name of the new folder
  BOOST_TEST(rig.writes().empty());
  rig.dir.write("two/new", "1\n");
  BOOST_TEST(has(rig.names(), current + "/new"));
  BOOST_TEST(has(rig.writes(), current + "/new"));
  // And back again.
  rig.lead_to("one");
  BOOST_TEST(rig.watch.watch_directory(current));
  rig.dir.append("one/old", "2\n");
  BOOST_TEST(has(rig.writes(), current + "/old"));
  rig.watch.close();
  rig.names();
}

// Two names of one folder share its watch: neither may take it away from the other.
BOOST_AUTO_TEST_CASE(one_folder_under_two_names) {
  Rig rig;
  rig.dir.make("one");
  rig.dir.make("two");
  rig.lead_to("one");
  BOOST_TEST(rig.watch.watch_directory(rig.dir / "current"));
  rig.watch.watch_directory(rig.dir / "one");
  for (int i = 0; i < 3; ++i) {  // as each scan does
    BOOST_TEST(!rig.watch.watch_directory(rig.dir / "current"));
    BOOST_TEST(!rig.watch.watch_directory(rig.dir / "one"));
  }
  rig.lead_to("two");
  BOOST_TEST(rig.watch.watch_directory(rig.dir / "current"));
  rig.watch.watch_directory(rig.dir / "one");
  rig.names();
  rig.writes();
  rig.dir.write("one/a", "1\n");
  BOOST_TEST(has(rig.names(), rig.dir / "one/a"));
  BOOST_TEST(has(rig.writes(), rig.dir / "one/a"));
  rig.watch.close();
  rig.names();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
