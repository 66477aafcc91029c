// Files: whole reads and writes, replacement, directories; errors name the path.
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/random.h"

using namespace tailrace;

namespace {
struct TempDir {
  TempDir() { BOOST_REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return path + "/" + name; }
  std::string path = "/tmp/tailrace-file-test-XXXXXX";
};
}  // namespace

BOOST_FIXTURE_TEST_SUITE(file, TempDir)

BOOST_AUTO_TEST_CASE(an_fd_has_one_owner) {
  int raw = -1;
  {
    auto fd = open_file(*this / "a", O_RDWR | O_CREAT);
    BOOST_REQUIRE(fd.ok());
    raw = fd->get();
    BOOST_TEST((::fcntl(raw, F_GETFD) & FD_CLOEXEC) != 0);
    Fd moved = *std::move(fd);
    BOOST_TEST(moved.get() == raw);
    Fd other;
    other = std::move(moved);
    BOOST_TEST(!moved.valid());
    BOOST_TEST(::fcntl(raw, F_GETFD) >= 0);
  }
  BOOST_TEST(::fcntl(raw, F_GETFD) == -1);
}

BOOST_AUTO_TEST_CASE(an_error_names_the_path) {
  const auto r = open_file(*this / "absent", O_RDONLY);
  BOOST_TEST(!r);
  BOOST_TEST(r.error().text == "opening " + (*this / "absent") + ": No such file or directory");
  BOOST_TEST(!read_file(*this / "absent", 10));
  BOOST_TEST(!make_directories("/proc/no/such"));
}

BOOST_AUTO_TEST_CASE(written_at_an_offset_and_read_back) {
  auto fd = open_file(*this / "a", O_RDWR | O_CREAT);
  BOOST_REQUIRE(fd.ok());
  BOOST_TEST(write_at(fd->get(), "world", 6).ok());
  BOOST_TEST(write_at(fd->get(), "hello ", 0).ok());
  char buffer[32];
  BOOST_TEST(*read_at(fd->get(), buffer, sizeof buffer, 0) == 11u);
  BOOST_TEST(std::string_view(buffer, 11) == "hello world");
  BOOST_TEST(*read_at(fd->get(), buffer, 3, 6) == 3u);
  BOOST_TEST(*read_at(fd->get(), buffer, 3, 11) == 0u);
  BOOST_TEST(!read_at(-1, buffer, 1, 0));
  BOOST_TEST(!write_at(-1, "x", 0));
}

BOOST_AUTO_TEST_CASE(more_pieces_than_one_call_takes) {
  const uint64_t seed = 12;
  BOOST_TEST_MESSAGE("seed " << seed);
  Rng rng(seed);
  std::vector<std::string> texts(1500);
  std::vector<iovec> pieces;
  std::string all;
  for (std::string& t : texts) {
    t.assign(rng.below(50), static_cast<char>('a' + rng.below(26)));
    all += t;
    pieces.push_back(iovec{t.data(), t.size()});
  }
  auto fd = open_file(*this / "a", O_RDWR | O_CREAT);
  BOOST_REQUIRE(fd.ok());
  BOOST_TEST(write_at(fd->get(), pieces, 0).ok());
  BOOST_TEST((*read_file(*this / "a", 1 << 20) == all));
}

BOOST_AUTO_TEST_CASE(a_pipe_that_takes_little_at_a_time_gets_all) {
  int ends[2];
  BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd in(ends[0]), out(ends[1]);
  const std::string text(300'000, 'x');  // more than a pipe holds
  const pid_t child = ::fork();
  if (child == 0) {
    in.reset();
    ::_exit(write_all(out.get(), text) ? 0 : 1);
  }
  out.reset();
  size_t got = 0;
  char buffer[1000];
  for (ssize_t n; (n = ::read(in.get(), buffer, sizeof buffer)) > 0;) got += static_cast<size_t>(n);
  int status = -1;
  BOOST_TEST(::waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
  BOOST_TEST(got == text.size());
}

BOOST_AUTO_TEST_CASE(a_file_is_read_up_to_a_limit) {
  BOOST_TEST(replace_file(*this / "a", "12345").ok());
  BOOST_TEST(*read_file(*this / "a", 5) == "12345");
  const auto r = read_file(*this / "a", 4);
  BOOST_TEST(!r);
  BOOST_TEST(r.error().text.find(*this / "a") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(replaced_as_a_whole) {
  BOOST_TEST(replace_file(*this / "a", "old and long").ok());
  BOOST_TEST(replace_file(*this / "a", "new").ok());
  BOOST_TEST(*read_file(*this / "a", 100) == "new");
  size_t names = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path)) ++names;
  BOOST_TEST(names == 1u);  // no .tmp is left
}

BOOST_AUTO_TEST_CASE(directories) {
  BOOST_TEST(make_directories(*this / "x/y/z").ok());
  BOOST_TEST(make_directories(*this / "x/y/z").ok());
  BOOST_TEST(std::filesystem::is_directory(*this / "x/y/z"));
  BOOST_TEST(replace_file(*this / "f", "").ok());
  const auto r = make_directories(*this / "f");
  BOOST_TEST(!r);
  BOOST_TEST(r.error().text == (*this / "f") + " is in the way: it is not a directory");
  BOOST_TEST(!make_directories(*this / "f/g"));
  BOOST_TEST(sync_directory(path).ok());
  BOOST_TEST(!sync_directory(*this / "absent"));
}

BOOST_AUTO_TEST_CASE(a_failed_sync_is_fatal) {
  const auto r = sync_data(-1);
  BOOST_REQUIRE(!r);
  BOOST_TEST((r.error().kind == Error::Kind::fatal));
}

BOOST_AUTO_TEST_CASE(parents) {
  BOOST_TEST(parent_path("/a/b/c") == "/a/b");
  BOOST_TEST(parent_path("/a") == "/");
  BOOST_TEST(parent_path("a") == ".");
  BOOST_TEST(parent_path("a/b") == "a");
}

BOOST_AUTO_TEST_SUITE_END()
