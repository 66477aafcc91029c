#include "base/spawn.h"

#include <cstdio>
#include <cstdlib>

namespace tailrace {

void coroutine_failed(const char* name, std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "tailrace: %s ended by an exception: %s\n", name, e.what());
  } catch (...) {
    std::fprintf(stderr, "tailrace: %s ended by an unknown exception\n", name);
  }
  std::abort();
}

}  // namespace tailrace
