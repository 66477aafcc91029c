#include "cli/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/own_directory.h"

namespace tailrace {

namespace {

// The process id that the holder left in the file, "" if none can be read.
std::string holder(int fd) {
  char text[32];
  const auto n = read_at(fd, text, sizeof text, 0);
  if (!n) return "";
  const std::string_view found(text, *n);
  return std::string(found.substr(0, found.find_first_not_of("0123456789")));
}

}  // namespace

Result<StateLock> StateLock::take(const std::string& state) {
  auto fd = open_file(state + "/lock", O_RDWR | O_CREAT);
  if (!fd) return fd.error();
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return errno_error(errno, "locking " + state + "/lock");
    const std::string pid = holder(fd->get());
    return Error{Error::Kind::rejected, state + " is in use by a running tailrace" +
                                            (pid.empty() ? "" : ", process " + pid) +
                                            ". End that one first" +
                                            (pid.empty() ? "" : " (kill " + pid + ")") +
                                            ", or give this one a state of its own"};
  }
  if (::ftruncate(fd->get(), 0) != 0) return errno_error(errno, "writing " + state + "/lock");
  auto written = write_at(fd->get(), std::to_string(::getpid()) + "\n", 0);
  if (!written) return written.error().within(state + "/lock");
  if (auto marked = open_file(state + "/" + std::string(kStateMark), O_RDWR | O_CREAT); !marked)
    return marked.error();
  return StateLock(std::move(*fd));
}

}  // namespace tailrace
