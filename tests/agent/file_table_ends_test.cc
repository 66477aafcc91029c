// How files end, and what is done about those that cannot be read.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "agent/file_table.h"
#include "tests/agent/table_rig.h"

namespace tailrace {

namespace {
using Rig = TableRig;

// False where the kernel does not tell who writes: what follows from that cannot be tried there.
bool kernel_tells(const TempDir& dir) {
  const std::string path = dir.write("probe", "x");
  TailedFile file(path, *identity_at(path), *find_log(path), 0);
  BOOST_REQUIRE(file.open().ok());
  return file.writers() == TailedFile::Writers::none;
}

size_t open_descriptors() {
  size_t n = 0;
  for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) ++n;
  return n;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(file_table_ends)

// Half a line waits for as long as somebody may complete it, and what is written after a long
// silence is read.
BOOST_AUTO_TEST_CASE(a_silent_writer_ends_nothing) {
  for (const char* to : {"b.log", "a.old", ""}) {
    BOOST_TEST_CONTEXT("renamed to '" << to << "'") {
      Rig rig;
      if (!kernel_tells(rig.dir)) return;
      rig.dir.write("a.log", "1\n");
      check(rig.second({"a.log"}), {"1"});
      auto writer = *open_file(rig.dir / "a.log", O_WRONLY | O_APPEND);
      if (*to)
        rig.dir.rename("a.log", to);
      else
        rig.dir.remove("a.log");
      BOOST_REQUIRE(write_all(writer.get(), "2\nhalf").ok());
      check(rig.second({"a.log", to}), {"2"});
      for (int i = 0; i < 1000; ++i) check(rig.quiet_second(), {});
      BOOST_REQUIRE(write_all(writer.get(), " done\n").ok());
      check(rig.second(), {"half done"});
      for (int i = 0; i < 1000; ++i) check(rig.quiet_second(), {});
      BOOST_REQUIRE(write_all(writer.get(), "3\nend").ok());
      check(rig.second(), {"3"});
      writer.reset();
      Lines rest;
      for (int i = 0; i < 400; ++i)
        for (auto& l : rig.quiet_second()) rest.push_back(l);
      check(rest, {"end"});
      BOOST_TEST(rig.table->size() == (std::string(to) == "b.log" ? 1u : 0u));
      BOOST_TEST(rig.session->gaps() == 0u);
    }
  }
}

// What has a name is closed in time all the same, and looked at now and then.
BOOST_AUTO_TEST_CASE(a_silent_writer_holds_no_descriptor_of_ours) {
  FileTableOptions options;
  options.most_open = 8;
  Rig rig("*.log", options);
  if (!kernel_tells(rig.dir)) return;
  std::vector<Fd> writers;
  Lines want;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "f" + std::to_string(i) + ".log";
    rig.dir.write(name, "x\n");
    writers.push_back(*open_file(rig.dir / name, O_WRONLY | O_APPEND));
    want.push_back("x");
  }
  rig.scan();
  check(rig.second(), want);
  const size_t before = open_descriptors();
  for (int i = 0; i < 40; ++i) {
    const std::string name = "f" + std::to_string(i) + ".log";
    rig.dir.rename(name, "g" + name);
    rig.table->look(rig.dir / name, rig.clock);
    rig.table->look(rig.dir / ("g" + name), rig.clock);
  }
  for (int i = 0; i < 500; ++i) check(rig.quiet_second(), {});
  BOOST_TEST(open_descriptors() <= before);
  for (const Fd& writer : writers) BOOST_REQUIRE(write_all(writer.get(), "x\n").ok());
  check(rig.second(), want);
  for (int i = 0; i < 500; ++i) check(rig.quiet_second(), {});
  BOOST_TEST(open_descriptors() <= before);
  for (const Fd& writer : writers) BOOST_REQUIRE(write_all(writer.get(), "x").ok());
  check(rig.second(), {});
  writers.clear();
  Lines rest;
  for (int i = 0; i < 1000; ++i)
    for (auto& l : rig.quiet_second()) rest.push_back(l);
  check(rest, want);
  BOOST_TEST(open_descriptors() <= before - 40);
}

// A disk that fails for a moment doubles nothing.
BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_read_later) {
  Rig rig;
  const auto path = rig.dir.write("a.log", "1\n2\n");
  check(rig.second({"a.log"}), {"1", "2"});
  rig.dir.append("a.log", "3\n");
  TailedFile& file = rig.written_file("a.log");
  file.adopt(*open_file(path, O_WRONLY));  // cannot be read
  check(rig.collect(), {});
  for (int i = 0; i < 10; ++i) check(rig.second(), {});
  // Nor is it passed over in silence.
  BOOST_TEST(rig.table->unreadable().contains(path));
  BOOST_TEST(rig.table->unread(0) == 2u);
  BOOST_TEST(rig.table->oldest_unread_ms() > 0);
  rig.scan();  // forgets who could not be read
  check(rig.second(), {});
  BOOST_TEST(rig.table->unreadable().contains(path));
  file.adopt(*open_file(path, O_RDONLY));
  check(rig.second(), {"3"});
  BOOST_TEST(rig.table->unreadable().empty());
  BOOST_TEST(rig.table->unread(0) == 0u);
  BOOST_TEST(rig.table->oldest_unread_ms() == -1);
  BOOST_TEST(rig.session->gaps() == 0u);
}

// What stood there before the first start is looked into for its last newline, and let go of.
BOOST_AUTO_TEST_CASE(old_files_hold_no_descriptors) {
  FileTableOptions options;
  options.first_start = true;
  options.most_open = 8;
  Rig rig("*.log", options);
  rig.sources[0].start_within_ms = 0;
  rig.clock.wall_ms = 4'000'000'000'000;
  for (int i = 0; i < 200; ++i) rig.dir.write("f" + std::to_string(i) + ".log", "old\nhalf");
  rig.dir.write("long.log", std::string(10'000, 'x'));  // no newline: its beginning is its end
  const size_t before = open_descriptors();
  rig.restart();
  BOOST_TEST(open_descriptors() == before);
  check(rig.second(), {});
  BOOST_TEST(open_descriptors() <= before + 8);
  for (int i = 0; i < 200; ++i) rig.dir.append("f" + std::to_string(i) + ".log", " a line\n");
  check(rig.second(), Lines(200, "half a line"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
