// What became of a stream whose spool is gone. Thread: any; a plain value.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tailrace {

// All lines below `seq` of a stream of a spool that is gone are final, and no other ever will be;
// of each sink in `finals` all below its own, or kUnknown: it is not required, and did not say.
struct RetiredStream {
  static constexpr uint64_t kUnknown = UINT64_MAX;
  uint64_t local_id = 0;
  std::string category;
  uint8_t sub = 0;
  uint64_t seq = 0;
  std::map<uint64_t, uint64_t> finals{};  // by sink, if it was asked so
  bool each_sink = false;                 // asked: sinks may stand at different lines
};

}  // namespace tailrace
