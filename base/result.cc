#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tailrace {

Error errno_error(int err, std::string_view what, Error::Kind kind) {
  char buffer[128];
  const char* text = ::strerror_r(err, buffer, sizeof buffer);
  switch (err) {
    case ENOSPC:
    case EDQUOT:
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EBUSY: kind = Error::Kind::retry_later; break;
    default: break;
  }
  return Error{kind, std::string(what) + ": " + text};
}

void check_failed(const char* file, int line, const char* condition, std::string_view detail) {
  std::fprintf(stderr, "tailrace: %s:%d: check failed: %s (%.*s)\n", file, line, condition,
               static_cast<int>(detail.size()), detail.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace tailrace
