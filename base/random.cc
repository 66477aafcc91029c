#include "base/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace tailrace {

uint64_t os_random() {
  uint64_t v = 0;
  while (v == 0) {
    const ssize_t n = ::getrandom(&v, sizeof v, 0);
    TAILRACE_CHECK(n == sizeof v, "getrandom gave no random bytes");
  }
  return v;
}

std::string hex16(uint64_t v) {
  std::string s(16, '0');
  for (size_t i = 16; i-- > 0; v >>= 4) s[i] = "0123456789abcdef"[v & 15];
  return s;
}

uint64_t parse_hex16(std::string_view text) {
  if (text.size() != 16) return 0;
  uint64_t v = 0;
  for (char c : text) {
    if (c >= '0' && c <= '9')
      v = v << 4 | static_cast<uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      v = v << 4 | static_cast<uint64_t>(c - 'a' + 10);
    else
      return 0;
  }
  return v;
}

}  // namespace tailrace
