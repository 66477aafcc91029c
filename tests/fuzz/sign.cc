#include "tests/fuzz/sign.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>

#include "base/hash.h"

namespace tailrace::fuzz {

namespace {
using Bytes = std::span<char>;

template <class Number>
Number get(Bytes bytes, size_t at) {
  Number n = 0;
  std::memcpy(&n, bytes.data() + at, sizeof n);
  return n;
}
template <class Number>
void put(Bytes bytes, size_t at, Number n) {
  std::memcpy(bytes.data() + at, &n, sizeof n);
}
uint32_t crc(Bytes bytes, uint32_t seed = 0) { return crc32c({bytes.data(), bytes.size()}, seed); }
// The length that stands at `at`, made to fit into what is there.
size_t fit(Bytes bytes, size_t at, size_t room) {
  const size_t n = std::min<size_t>(get<uint32_t>(bytes, at), room);
  put(bytes, at, static_cast<uint32_t>(n));
  return n;
}

void record(Bytes bytes) {  // records.md
  if (bytes.size() < 13) return;
  put(bytes, 5, static_cast<uint32_t>(bytes.size()));
  put(bytes, bytes.size() - 4, crc(bytes.first(bytes.size() - 4)));
}

void frames(Bytes bytes) {  // frame.md
  while (bytes.size() >= 20) {
    const size_t header = fit(bytes, 8, bytes.size() - 20);
    const size_t payload = fit(bytes, 12, bytes.size() - 20 - header);
    put(bytes, 16, crc(bytes.subspan(20, header), crc(bytes.first(16))));
    bytes = bytes.subspan(20 + header + payload);
  }
}

void journal(Bytes bytes) {  // journal.md
  constexpr size_t kHeader = 8, kBefore = 9;
  if (bytes.size() < kHeader) return;
  for (bytes = bytes.subspan(kHeader); bytes.size() >= kBefore;) {
    const size_t body = fit(bytes, 0, bytes.size() - kBefore);
    put(bytes, 4, crc(bytes.subspan(8, 1 + body), crc(bytes.first(4))));
    bytes = bytes.subspan(kBefore + body);
  }
}

void segment(Bytes bytes, uint64_t era) {  // spool.md
  constexpr size_t kHeader = 64, kBefore = 29;
  if (bytes.size() < kHeader) return;
  put(bytes, 16, era);
  put(bytes, 60, crc(bytes.first(60)));
  const uint32_t seed = crc(bytes.subspan(16, 16));  // era, local_id
  uint64_t lsn = get<uint64_t>(bytes, 32);
  for (bytes = bytes.subspan(kHeader); bytes.size() >= kBefore; ++lsn) {
    const size_t body = fit(bytes, 0, bytes.size() - kBefore);
    const size_t payload = fit(bytes, 4, bytes.size() - kBefore - body);
    put(bytes, 13, lsn);
    put(bytes, 21, std::min(get<uint64_t>(bytes, 21), lsn - 1));
    uint32_t sum = crc(bytes.first(8), seed);
    sum = crc(bytes.subspan(12, kBefore - 12 + body), sum);
    put(bytes, 8, sum);
    bytes = bytes.subspan(kBefore + body + payload);
  }
}

// As the target cuts them.
void segments(Bytes bytes) {
  if (bytes.empty()) return;
  const size_t cut = static_cast<unsigned char>(bytes[0]) * (bytes.size() - 1) / 255;
  segment(bytes.subspan(1, cut), 1);
  segment(bytes.subspan(1 + cut), 2);
}
}  // namespace

void sign(std::string_view target, std::span<char> bytes) {
  static const std::map<std::string_view, void (*)(Bytes)> kSigners = {
      {"commit_record", record}, {"claim", record}, {"manifest", record}, {"announcement", record},
      {"sink_identity", record}, {"frame", frames}, {"journal", journal}, {"spool", segments},
  };
  const auto found = kSigners.find(target);
  if (found != kSigners.end()) found->second(bytes);
}

}  // namespace tailrace::fuzz
