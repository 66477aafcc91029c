// What the tests of flow/ share: sample heads, log-like text, golden files.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "flow/batch.h"

namespace tailrace::sample {

// Every field has a value of its own, so that two that are swapped show.
inline BatchFields fields() {
  BatchFields f;
  f.flags = kBatchSplit | kBatchUnterminated;
  f.payload_codec = Codec::gzip;
  f.file_codec = Codec::gzip;
  f.envelope = Envelope::prefix;
  f.sub = 7;
  f.stream = 0x01020304;
  f.first_seq = 0x1112131415161718;
  f.count = 5;
  f.raw_len = 0x00212223;
  f.payload_len = 0x00003132;
  f.payload_crc = 0x41424344;
  f.bucket = 0x001E8481;
  f.chain_before = 0x5152535455565758;
  f.chain_after = 0x6162636465666768;
  f.first_read_ms = 0x0000019A71727374;
  f.last_read_ms = 0x0000019A81828384;
  f.least_event_ms = kUnknownTime;
  f.greatest_event_ms = 0x0000019A91929394;
  return f;
}
inline std::vector<SourceRange> sources() {
  return {{0xA1A2A3A4, 0xB1B2B3B4B5B6B7B8, 0xC1C2C3C4C5C6C7C8, 3, 0xD1D2D3D4, 0xE1E2E3E4},
          {0x000000F1, 0, 0x00000000000000F2, 2, 0x000000F3, 0x000000F4}};
}
inline std::vector<MarkedLine> marked() { return {{1, kBatchSplit}, {4, kBatchUnterminated}}; }

// Lines that compress like a log does.
inline std::string log_text(Rng& rng, size_t at_least) {
  static constexpr const char* kWords[] = {"GET",        "POST",  "/index.html", "/api/v1/users",
                                           "200",        "404",   "info",        "error",
                                           "connection", "reset", "by",          "peer"};
  std::string s;
  while (s.size() < at_least) {
    s += "2026-11-24T13:" + std::to_string(10 + rng.below(50)) + " host-" +
         std::to_string(rng.below(9));
    for (uint64_t i = rng.below(12); i-- > 0;) s += " " + std::string(kWords[rng.below(12)]);
    s += " id=" + std::to_string(rng.below(1'000'000)) + "\n";
  }
  return s;
}
inline std::string noise(Rng& rng, size_t n) {
  std::string s(n, '\0');
  for (char& c : s) c = static_cast<char>(rng.next() >> 32);
  return s;
}

// A golden file never changes once released; TAILRACE_WRITE_GOLDEN=1 makes that of a new layout.
inline std::string golden(const std::string& name, const std::string& now) {
  const std::string path = std::string(TAILRACE_GOLDEN_DIR) + "/" + name;
  if (std::getenv("TAILRACE_WRITE_GOLDEN") != nullptr) BOOST_REQUIRE(replace_file(path, now).ok());
  const auto bytes = read_file(path, 1 << 20);
  BOOST_REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().text));
  return *bytes;
}

}  // namespace tailrace::sample
