#include "agent/open_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "agent/file_identity.h"
#include "agent/tree_walk.h"
#include "tests/agent/temp_dir.h"

namespace tailrace {

namespace {
AgentSource source(std::string category, std::vector<std::string> globs) {
  return {std::move(category), std::move(globs), {}, Codec::gzip};
}
std::vector<std::string> walked(const TreeWalk& walk) {
  std::vector<std::string> paths;
  for (const FoundFile& f : walk.files) paths.push_back(f.path);
  std::sort(paths.begin(), paths.end());
  return paths;
}
constexpr uid_t kEve = 12345;
constexpr uid_t kBob = 12346;
}  // namespace

BOOST_AUTO_TEST_SUITE(open_log_and_identity)

BOOST_AUTO_TEST_CASE(identity_follows_the_file_not_the_name) {
  const TempDir dir;
  const std::string a = dir.write("a", "1\n");
  const auto before = identity_at(a);
  BOOST_REQUIRE(before.ok());
  dir.rename("a", "b");
  BOOST_TEST(*identity_at(dir / "b") == *before);
  dir.write("a", "1\n");
  BOOST_TEST(*identity_at(a) != *before);
  const auto fd = open_file(dir / "b", O_RDONLY);
  BOOST_TEST(*identity_of(fd->get()) == *before);
  BOOST_TEST(!identity_at(dir / "none").ok());
}

BOOST_AUTO_TEST_CASE(a_reused_inode_is_another_file) {
  const TempDir dir;
  int reused = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string path = dir.write("a", "x\n");
    const auto before = identity_at(path);
    const auto inode = facts_at(path)->inode;
    dir.remove("a");
    dir.write("a", "x\n");
    BOOST_REQUIRE(*identity_at(path) != *before);
    reused += facts_at(path)->inode == inode;
    dir.remove("a");
  }
  BOOST_TEST_MESSAGE("inodes reused: " << reused << " of 200");
}

BOOST_AUTO_TEST_CASE(by_identity_wherever_it_is) {
  const TempDir dir;
  dir.make("sub");
  const std::string a = dir.write("a", "1\n");
  const auto who = *identity_at(a);
  dir.rename("a", "sub/z");
  const auto fd = open_by_identity(who, dir.path());
  if (!fd && fd.error().kind == Error::Kind::rejected) return;  // not permitted here
  BOOST_REQUIRE(fd.ok());
  BOOST_TEST(*identity_of(fd->get()) == who);
  dir.remove("sub/z");
  const_cast<Fd&>(*fd).reset();
  BOOST_CHECK(open_by_identity(who, dir.path()).error().kind == Error::Kind::closed);
}

BOOST_AUTO_TEST_CASE(only_regular_files) {
  const TempDir dir;
  ::mkfifo((dir / "fifo").c_str(), 0644);
  const auto fifo = find_log(dir / "fifo");
  BOOST_REQUIRE(!fifo.ok());
  BOOST_TEST(fifo.error().text == "it is a FIFO, not a regular file");
  BOOST_TEST(find_log("/dev/null").error().text == "it is a device, not a regular file");
  BOOST_TEST(!find_log(dir.path()).ok());
  BOOST_CHECK(find_log(dir / "none").error().kind == Error::Kind::closed);
  dir.write("file", "x");
  const auto place = find_log(dir / "file");
  BOOST_REQUIRE(place.ok());
  BOOST_TEST(open_log(*place).ok());
  // Between looking and opening another file, or a link, takes the name.
  dir.remove("file");
  BOOST_TEST(::symlink("/etc/passwd", (dir / "file").c_str()) == 0);
  BOOST_TEST(!open_log(*place).ok());
}

BOOST_AUTO_TEST_CASE(symlinks_by_who_owns_what) {
  const TempDir dir;
  const auto link = [&](const char* to, const char* name, uid_t owner) {
    BOOST_REQUIRE(::symlink(to, (dir / name).c_str()) == 0);
    (void)!::lchown((dir / name).c_str(), owner, owner);
  };
  dir.write("target", "x\n");
  link("target", "mine", ::getuid());
  BOOST_REQUIRE(find_log(dir / "mine").ok());
  BOOST_TEST(find_log(dir / "mine")->linked);
  BOOST_TEST(find_log(dir / "mine")->target == dir / "target");
  BOOST_TEST(open_log(*find_log(dir / "mine")).ok());
  link("nowhere", "dangling", ::getuid());
  BOOST_CHECK(find_log(dir / "dangling").error().kind == Error::Kind::closed);
  link("loop", "loop", ::getuid());
  BOOST_CHECK(find_log(dir / "loop").error().kind == Error::Kind::rejected);
  if (::getuid() != 0) return;  // the rest needs files of several owners

  BOOST_REQUIRE(::chown((dir / "target").c_str(), kBob, kBob) == 0);
  link("target", "eves", kEve);
  BOOST_CHECK(find_log(dir / "eves").error().kind == Error::Kind::rejected);
  link("target", "bobs", kBob);
  BOOST_TEST(find_log(dir / "bobs").ok());
  link("eves", "roots_to_eves", 0);  // a chain is as good as its weakest link
  BOOST_CHECK(find_log(dir / "roots_to_eves").error().kind == Error::Kind::rejected);
  // A folder of Eve's on the way: she could turn it anywhere.
  dir.make("eve");
  dir.make("real");
  dir.write("real/secret", "x\n");
  BOOST_REQUIRE(::chown((dir / "eve").c_str(), kEve, kEve) == 0);
  BOOST_REQUIRE(::symlink("../real", (dir / "eve/d").c_str()) == 0);
  link("eve/d/secret", "through_eve", 0);
  BOOST_CHECK(find_log(dir / "through_eve").error().kind == Error::Kind::rejected);
}

BOOST_AUTO_TEST_CASE(walking_a_tree) {
  const TempDir dir;
  dir.make("web/old");
  dir.make("web/.git");
  dir.make("state/spool");
  dir.write("web/a.log", "");
  dir.write("web/a.log.gz", "");
  dir.write("web/old/b.log", "");
  dir.write("web/.git/c.log", "");
  dir.write("state/spool/d.log", "");
  dir.write("sp ace\n\xff.log", "");
  ::mkfifo((dir / "web/fifo.log").c_str(), 0644);
  BOOST_TEST(::symlink("/dev/null", (dir / "web/null.log").c_str()) == 0);
  BOOST_TEST(::symlink("web/old", (dir / "folder.log").c_str()) == 0);
  BOOST_TEST(::symlink((dir / "state/spool").c_str(), (dir / "web/sneaky").c_str()) == 0);
  const auto rules = SourceRules::compile(
      {source("x", {dir / "**/*.log", dir / "web/*.log", dir / "web/*/*.log"})}, {dir / "state"});
  BOOST_REQUIRE(rules.ok());
  const TreeWalk walk = walk_sources(*rules);
  const std::vector<std::string> want = {dir / "sp ace\n\xff.log", dir / "web/a.log",
                                         dir / "web/old/b.log"};
  BOOST_TEST(walked(walk) == want, boost::test_tools::per_element());
  BOOST_TEST(walk.complete);
  std::vector<std::string> skipped;
  for (const SkippedFile& s : walk.skipped) {
    skipped.push_back(s.path);
    BOOST_TEST(!s.unreadable, s.path);
  }
  std::sort(skipped.begin(), skipped.end());
  const std::vector<std::string> passed_over = {dir / "state", dir / "web/fifo.log",
                                                dir / "web/null.log", dir / "web/sneaky"};
  BOOST_TEST(skipped == passed_over, boost::test_tools::per_element());
  const std::vector<std::string> dirs = {dir.path(), dir / "web", dir / "web/old"};
  BOOST_TEST(walk.directories == dirs, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_not_there_yet_is_watched_for) {
  const TempDir dir;
  const auto rules = SourceRules::compile({source("x", {dir / "app/logs/*.log"})}, {});
  BOOST_TEST(walk_sources(*rules).directories == std::vector<std::string>{dir.path()},
             boost::test_tools::per_element());
  dir.make("app");
  BOOST_TEST(walk_sources(*rules).directories == std::vector<std::string>{dir / "app"},
             boost::test_tools::per_element());
  dir.make("app/logs");
  dir.write("app/logs/a.log", "");
  const TreeWalk walk = walk_sources(*rules);
  BOOST_TEST(walk.directories == std::vector<std::string>{dir / "app/logs"},
             boost::test_tools::per_element());
  BOOST_TEST(walk.files.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
