// A spool looked at from outside: what it holds, and whether each batch is still what was written.
// Changes nothing on the disk, so that it may be used at any time; of a Local that runs it sees
// what had been written when it looked. Thread: any; blocks on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace tailrace {

struct SpoolView {
  uint64_t local_id = 0;
  uint64_t segments = 0;
  uint64_t segment_bytes = 0;
  struct Stream {
    uint32_t stream = 0;
    std::string category;
    uint64_t batches = 0;
    uint64_t bytes = 0;  // of their records
    uint64_t oldest_seq = 0;
    uint64_t next_seq = 0;                 // lines [oldest, next) are kept, but for gaps
    uint64_t lost = 0;                     // lines in gaps
    std::map<uint64_t, uint64_t> waiting;  // by sink: lines that it has not committed
    uint64_t waiting_most = 0;             // for the slowest; all that is kept if there is no sink
  };
  std::vector<Stream> streams;
  std::vector<std::string> notes;  // what recovery would say
  bool damaged = false;
};
// corrupt or rejected: as at the start of a Local. closed: there is no spool.
[[nodiscard]] Result<SpoolView> view_spool(const std::string& directory);

struct SpoolVerdict {
  uint64_t batches = 0;
  uint64_t lines = 0;
  uint64_t bytes = 0;
  std::vector<std::string> damage;  // each names segment and offset
};
// Reads every batch and proves its checksums; `deep`: also that it inflates to what its head says.
// `progress` is told how many of how many bytes are done.
[[nodiscard]] Result<SpoolVerdict> verify_spool(
    const std::string& directory, bool deep,
    const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace tailrace
