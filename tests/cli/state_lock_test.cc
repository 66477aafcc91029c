#include "cli/state_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

namespace tailrace {
namespace {

BOOST_AUTO_TEST_SUITE(state_lock)

BOOST_AUTO_TEST_CASE(while_its_holder_lives_it_is_refused_and_taken_at_once_when_that_is_killed) {
  const auto state =
      std::filesystem::temp_directory_path() / ("tailrace-lock-" + std::to_string(::getpid()));
  std::filesystem::create_directories(state);
  int ready[2];
  BOOST_REQUIRE(::pipe(ready) == 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    const auto lock = StateLock::take(state.string());
    const char answer = lock ? 'y' : 'n';
    if (::write(ready[1], &answer, 1) == 1) ::pause();
    ::_exit(1);
  }
  char answer = 0;
  BOOST_REQUIRE(::read(ready[0], &answer, 1) == 1);
  BOOST_TEST(answer == 'y');
  {
    const auto refused = StateLock::take(state.string());
    BOOST_REQUIRE(!refused);
    const std::string pid = std::to_string(holder);
    BOOST_TEST(refused.error().text.find("process " + pid) != std::string::npos);
    BOOST_TEST(refused.error().text.find(state.string()) != std::string::npos);
  }
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  const auto taken = StateLock::take(state.string());
  BOOST_TEST(taken.ok());
  std::ifstream content(state / "lock");
  pid_t pid = 0;
  content >> pid;
  BOOST_TEST(pid == ::getpid());
  ::close(ready[0]);
  ::close(ready[1]);
  std::filesystem::remove_all(state);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
