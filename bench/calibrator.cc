// The unit of all costs, S: CPU seconds of compressing a file once with Snappy, in blocks of 64
// KiB.
//   bench_calibrator FILE
// Prints one JSON object: bytes, compressed bytes, CPU seconds of the compression alone (not the
// reads).
#include <fcntl.h>
#include <snappy.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>

#include "base/file.h"

namespace {

constexpr size_t kBlockBytes = 64 << 10;
constexpr size_t kReadBytes = 4 << 20;

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_calibrator FILE\n");
    return 2;
  }
  auto file = tailrace::open_file(argv[1], O_RDONLY);
  if (!file) {
    std::fprintf(stderr, "bench_calibrator: %s\n", file.error().text.c_str());
    return 2;
  }
  const auto raw = std::make_unique<char[]>(kReadBytes);
  const auto packed = std::make_unique<char[]>(snappy::MaxCompressedLength(kBlockBytes));
  unsigned long long bytes = 0, compressed = 0;
  double seconds = 0;
  for (;;) {
    auto n = tailrace::read_at(file->get(), raw.get(), kReadBytes, bytes);
    if (!n) {
      std::fprintf(stderr, "bench_calibrator: %s\n", n.error().text.c_str());
      return 2;
    }
    if (*n == 0) break;
    const double start = cpu_seconds();
    for (size_t at = 0; at < *n; at += kBlockBytes) {
      size_t size = 0;
      snappy::RawCompress(raw.get() + at, std::min(kBlockBytes, *n - at), packed.get(), &size);
      compressed += size;
    }
    seconds += cpu_seconds() - start;
    bytes += *n;
  }
  std::printf(R"({"bytes":%llu,"compressed":%llu,"cpu_s":%.6f})"
              "\n",
              bytes, compressed, seconds);
}
