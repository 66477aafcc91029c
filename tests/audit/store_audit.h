// Holds a store in memory to the invariants I2, I3, I4, I7, I8 and I9 of docs/protocol.md, as
// store_audit.py does it to a directory: decoders of our own, no deciding code. For a store at
// rest. Thread: any.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "flow/batch.h"

namespace tailrace::testing {

struct StoreFindings {
  std::string wrong;  // the first that is; empty: nothing
  uint64_t commits = 0;
  uint64_t claims = 0;
  // Lines that records say are lost, by category and local_id.
  std::map<std::pair<std::string, uint64_t>, uint64_t> gap_lines;
  uint64_t splits = 0;
  // Files that were committed and are nowhere, since their staged one was taken: final path, stage.
  std::map<std::string, std::string> lost;
};

// What a published file says to a reader.
[[nodiscard]] std::string plain(std::string_view path, Codec codec, const std::string& bytes);

// By category and local_id: where a stream may begin instead of at 0.
using StoreOrigins = std::map<std::pair<std::string, uint64_t>, std::set<uint64_t>>;

// `content`: every file by path. `base`: <control>/<sink>. `taken`: staged and published files that
// somebody took away.
[[nodiscard]] StoreFindings audit_store(const std::map<std::string, std::string>& content,
                                        const std::string& base,
                                        const std::set<std::string>& taken = {},
                                        const StoreOrigins& origins = {});

}  // namespace tailrace::testing
