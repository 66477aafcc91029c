#include "cli/stop_signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>

#include "base/file.h"

namespace tailrace {

namespace {

constexpr int kLeftAtOnce = 1;
volatile std::sig_atomic_t stops = 0;
volatile std::sig_atomic_t bell = -1;

extern "C" void stop_signal(int) {
  const int kept = errno;
  if (stops > 0) ::_exit(kLeftAtOnce);
  stops = 1;
  const char ring = 1;
  if (::write(bell, &ring, 1) < 0) errno = 0;  // a full pipe rings too
  errno = kept;
}

}  // namespace

Result<void> StopSignals::install() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return errno_error(errno, "making a pipe");
  reader_.assign(ends[0]);
  stops = 0;
  bell = ends[1];
  struct sigaction action {};
  action.sa_handler = stop_signal;
  action.sa_flags = SA_RESTART;
  if (::sigaction(SIGINT, &action, nullptr) != 0 || ::sigaction(SIGTERM, &action, nullptr) != 0)
    return errno_error(errno, "taking SIGINT and SIGTERM");
  return {};
}

StopSignals::~StopSignals() {
  // Once one has come the process is about to end; more of them shall not make a death of that.
  if (stops == 0) {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }
  if (bell >= 0) ::close(bell);
  bell = -1;
}

asio::awaitable<void> StopSignals::wait() {
  asio::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await reader_.async_wait(asio::posix::stream_descriptor::wait_read, token);
}

void StopSignals::cancel() {
  asio::error_code ignored;
  reader_.cancel(ignored);
}

bool StopSignals::came() { return stops > 0; }

}  // namespace tailrace
