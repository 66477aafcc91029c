// Names and disks that come and go under files that stay.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "agent/file_table.h"
#include "control.pb.h"
#include "tests/agent/table_rig.h"

namespace tailrace {

namespace {
using Rig = TableRig;
constexpr uid_t kBob = 12346;

// A folder of the rig that is a disk of its own, mounted or not: then the empty folder stands
// there.
struct Disk {
  explicit Disk(const Rig& r) : rig(r) { mount(); }
  void mount() const {
    rig.dir.remove("disk");
    BOOST_REQUIRE(::symlink(files.path().c_str(), (rig.dir / "disk").c_str()) == 0);
  }
  void unmount() const {
    rig.dir.remove("disk");
    rig.dir.make("disk");
  }
  [[nodiscard]] bool is_another() const {
    return !*on_filesystem(*identity_at(files.path()), rig.dir.path());
  }
  const Rig& rig;
  TempDir files{"/dev/shm"};
};
}  // namespace

BOOST_AUTO_TEST_SUITE(file_table_places)

// `chown` between the moment a file is found and the moment it is opened.
BOOST_AUTO_TEST_CASE(another_owner_of_the_same_file) {
  if (::getuid() != 0) return;
  Rig rig;
  const std::string path = rig.dir.write("a.log", "1\n");
  rig.table->look(path, rig.clock);
  BOOST_REQUIRE(::chown(path.c_str(), kBob, kBob) == 0);
  check(rig.second(), {"1"});
}

// Behind a symlink the owner decides whether the link may be followed: that is asked again, and
// then the name is the file's again, for writes and for its end.
BOOST_AUTO_TEST_CASE(another_owner_behind_a_symlink) {
  if (::getuid() != 0) return;
  Rig rig;
  const std::string target = rig.dir.write("a.txt", "1\n");
  BOOST_REQUIRE(::symlink("a.txt", (rig.dir / "a.log").c_str()) == 0);
  rig.table->look(rig.dir / "a.log", rig.clock);
  BOOST_REQUIRE(::chown(target.c_str(), kBob, kBob) == 0);
  rig.collect();
  rig.scan();
  check(rig.second(), {"1"});
  for (int i = 0; i < 70; ++i) check(rig.quiet_second(), {});
  rig.dir.append("a.txt", "2\n");
  check(rig.second(), {"2"});
  rig.dir.remove("a.log");
  rig.dir.append("a.txt", "3\n");
  check(rig.quiet_second({"a.log"}), {"3"});
}

// The agent looks like one without a past, but its Local remembers the file: nothing is left out.
BOOST_AUTO_TEST_CASE(start_at_the_end_of_what_is_new_only) {
  Rig rig;
  rig.sources[0].start_within_ms = 0;
  rig.clock.wall_ms = 4'000'000'000'000;  // long after anything that is written here
  rig.options.first_start = true;
  rig.dir.write("old.log", "before its time\n");
  rig.start();
  check(rig.collect(), {});
  rig.dir.append("old.log", "1\n");
  check(rig.second(), {"1"});
  rig.table.reset();
  rig.dir.append("old.log", "2\n");
  rig.start(true);
  check(rig.collect(), {"2"});
}

BOOST_AUTO_TEST_CASE(start_at_the_end_of_what_cannot_be_read_yet) {
  Rig rig;
  rig.sources[0].start_within_ms = 0;
  rig.clock.wall_ms = 4'000'000'000'000;
  rig.options.first_start = true;
  const std::string path = rig.dir.write("old.log", "before its time\n");
  BOOST_REQUIRE(::chmod(rig.dir.path().c_str(), 0755) == 0 && ::chmod(path.c_str(), 0) == 0);
  constexpr uid_t kNobody = 65'534;
  const bool root = ::geteuid() == 0;
  BOOST_REQUIRE(!root || ::seteuid(kNobody) == 0);
  rig.start();
  check(rig.collect(), {});
  BOOST_REQUIRE(!root || ::seteuid(0) == 0);
  BOOST_REQUIRE(::chmod(path.c_str(), 0644) == 0);
  rig.dir.append("old.log", "1\n");
  check(rig.second(), {"1"});
}

// A rotation behind a symlink happens in the target's folder, here on another disk.
BOOST_AUTO_TEST_CASE(rotated_behind_a_symlink_while_stopped) {
  for (const bool made_anew : {true, false}) {
    const TempDir disk("/dev/shm");
    Rig rig;
    disk.write("app.log", "1\n");
    BOOST_REQUIRE(::symlink((disk / "app.log").c_str(), (rig.dir / "a.log").c_str()) == 0);
    check(rig.second({"a.log"}), {"1"});
    rig.table.reset();
    disk.append("app.log", "2\n");
    disk.rename("app.log", "app.log.1");
    if (made_anew) disk.write("app.log", "3\n");
    rig.restart();
    Lines got = rig.collect();
    std::sort(got.begin(), got.end());
    check(got, made_anew ? Lines{"2", "3"} : Lines{"2"});
    BOOST_TEST(rig.session->gaps() == 0u);
  }
}

// The link is gone too: only the table knows where it led.
BOOST_AUTO_TEST_CASE(rotated_behind_a_symlink_before_it_was_opened) {
  const TempDir disk("/dev/shm");
  Rig rig;
  disk.write("app.log", "1\n");
  BOOST_REQUIRE(::symlink((disk / "app.log").c_str(), (rig.dir / "a.log").c_str()) == 0);
  rig.table->look(rig.dir / "a.log", rig.clock);
  disk.rename("app.log", "app.log.1");
  rig.dir.remove("a.log");
  rig.collect();
  check(rig.second(), {"1"});
  for (int i = 0; i < 70; ++i) check(rig.quiet_second(), {});
  BOOST_TEST(rig.session->gaps() == 0u);
}

// The agent starts before the log disk is mounted: nothing is gone, and nothing is read twice.
BOOST_AUTO_TEST_CASE(a_disk_that_is_mounted_after_the_start) {
  Rig rig("disk/*.log");
  const Disk disk(rig);
  if (!disk.is_another()) return;
  disk.files.write("a.log", "a1\n");
  disk.files.write("b.log", "b1\n");
  check(rig.second({"disk/a.log", "disk/b.log"}), {"a1", "b1"});
  rig.table.reset();
  disk.files.append("a.log", "a2\n");
  disk.files.append("b.log", "b2\n");
  disk.files.rename("b.log", "b.log.1");
  disk.unmount();
  rig.restart();
  rig.scan();
  for (int i = 0; i < 30; ++i) check(rig.second(), {});
  BOOST_TEST(rig.session->gaps() == 0u);
  BOOST_TEST(rig.journal.state().files.size() == 2u);
  BOOST_TEST(rig.table->unreadable().size() == 2u);
  BOOST_TEST(rig.table->all_read());
  disk.mount();
  rig.scan();
  Lines got = rig.second();
  std::sort(got.begin(), got.end());
  check(got, {"a2", "b2"});
  rig.scan();
  BOOST_TEST(rig.table->unreadable().empty());
  BOOST_TEST(rig.session->gaps() == 0u);
}

// It is unmounted for longer than a file may be without a name. A drain does not wait for it.
BOOST_AUTO_TEST_CASE(a_disk_that_is_unmounted_for_a_while) {
  for (const bool drain : {false, true}) {
    Rig rig("disk/*.log");
    const Disk disk(rig);
    if (!disk.is_another()) return;
    disk.files.write("a.log", "1\n");
    check(rig.second({"disk/a.log"}), {"1"});
    rig.clock.mono_ms += 10 * 60'000;
    rig.quiet_second();  // idle: closed
    disk.files.append("a.log", "2\n");
    rig.table->look(rig.dir / "disk/a.log", rig.clock);
    disk.unmount();
    rig.scan();
    for (int i = 0; i < 30; ++i) check(rig.quiet_second(), {});
    BOOST_TEST(rig.session->gaps() == 0u);
    BOOST_TEST(rig.table->size() == 1u);
    BOOST_TEST(rig.table->unreadable().size() == 1u);
    if (drain) {
      rig.table->drain(rig.clock, true);
      for (int i = 0; i < 3; ++i) check(rig.quiet_second(), {});
      BOOST_TEST(rig.table->all_read());
      BOOST_TEST(rig.session->gaps() == 0u);
      continue;
    }
    disk.mount();
    rig.scan();
    check(rig.quiet_second(), {"2"});
    BOOST_TEST(rig.session->gaps() == 0u);
  }
}

// Some filesystems get another number with each mount: then the old one is waited for in vain.
BOOST_AUTO_TEST_CASE(a_disk_with_another_number) {
  for (const bool stands : {true, false}) {
    Rig rig;
    proto::FileIdentity who;
    BOOST_REQUIRE(who.ParseFromString(*identity_at(rig.dir.write("a.log", "1\n"))));
    who.set_filesystem(who.filesystem() + 1);
    rig.session->define_file(who.SerializeAsString(), rig.dir / "a.log", 0, "app");
    if (!stands) rig.dir.remove("a.log");
    rig.restart();
    BOOST_TEST(rig.gaps().size() == (stands ? 1u : 0u));
    check(rig.collect(), stands ? Lines{"1"} : Lines{});
  }
}

// Nobody tells of what happens outside the globs but the scan, which asks little while nothing
// does.
BOOST_AUTO_TEST_CASE(parked_files_are_not_lost_from_sight) {
  Rig rig;
  rig.dir.write("a.log", "1\n");
  check(rig.second({"a.log"}), {"1"});
  rig.dir.rename("a.log", "a.old");
  rig.table->look(rig.dir / "a.log", rig.clock);
  for (int i = 0; i < 70; ++i) check(rig.quiet_second(), {});
  BOOST_TEST(rig.table->size() == 0u);
  const auto path = [&] { return rig.journal.state().files.begin()->second.path; };
  for (int i = 0; i < 3; ++i) rig.scan();
  BOOST_TEST(path() == rig.dir / "a.old");
  rig.dir.rename("a.old", "a.older");
  rig.scan();
  BOOST_TEST(path() == rig.dir / "a.older");
  rig.dir.append("a.older", "2\n");
  rig.dir.rename("a.older", "b.log");
  rig.scan();
  check(rig.second(), {"2"});
  // And deleted out there: forgotten, as before.
  rig.dir.rename("b.log", "b.old");
  rig.table->look(rig.dir / "b.log", rig.clock);
  for (int i = 0; i < 70; ++i) check(rig.quiet_second(), {});
  for (int i = 0; i < 2; ++i) rig.scan();
  rig.dir.remove("b.old");
  for (int i = 0; i < 30; ++i) {
    rig.scan();
    rig.quiet_second();
  }
  rig.dir.write("c.log", "3\n");
  check(rig.second({"c.log"}), {"3"});
  BOOST_TEST(rig.journal.state().files.size() == 1u);
  BOOST_TEST(rig.session->gaps() == 0u);
}

// What it got before the agent stopped is read under whatever name, however far the rotation went.
BOOST_AUTO_TEST_CASE(a_file_that_has_left_the_globs_is_read_on_after_a_restart) {
  for (const bool again : {false, true}) {
    Rig rig;
    rig.dir.write("a.log", "1\n");
    check(rig.second({"a.log"}), {"1"});
    rig.dir.append("a.log", "2\n");
    rig.dir.rename("a.log", "a.old");
    rig.dir.write("a.log", "3\n");
    for (const char* name : {"a.log", "a.old"}) rig.table->look(rig.dir / name, rig.clock);
    if (again) {
      rig.dir.rename("a.old", "a.older");
      for (const char* name : {"a.old", "a.older"}) rig.table->look(rig.dir / name, rig.clock);
    }
    rig.restart();
    Lines got = rig.second();
    std::sort(got.begin(), got.end());
    check(got, {"2", "3"});
    rig.dir.append(again ? "a.older" : "a.old", "4\n");
    check(rig.second(), {"4"});
    rig.restart();
    check(rig.second(), {});
    BOOST_TEST(rig.gaps().empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
