// A hole: a store stands below what it had told this spool to be committed, since its records were
// put back to an earlier state or deleted. The Local holds; `tailrace spool adopt` is a person's
// word that it shall go on: docs/protocol.md, "Local to Center". Thread: any; the functions with a
// directory block on the disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "flow/stream.h"

namespace tailrace {

struct RecoveredSpool;

struct SpoolHole {
  uint64_t sink = 0;
  StreamId stream = 0;
  Position store;  // where the store stands
  bool operator==(const SpoolHole&) const = default;
};

// The file `holes` in the spool's directory: what its Local held for when it ran last; a start
// removes it. A hint: what is adopted is checked against the spool, and the store says so again if
// it does not fit. An empty list removes the file.
[[nodiscard]] Result<void> keep_spool_holes(const std::string& directory,
                                            const std::vector<SpoolHole>& holes);
// No file: none.
[[nodiscard]] Result<std::vector<SpoolHole>> spool_holes(const std::string& directory);

struct HoleVerdict {
  std::string category;
  uint64_t lines = 0;   // that the store forgot: they count as lost there, nothing is sent twice
  std::string why_not;  // not empty: it cannot be adopted
};
// One hole becomes a gap for its sink, and the sink's cursor goes back to where the store stands.
// The rest of the spool is as it was. With `why_not`, nothing has changed.
[[nodiscard]] HoleVerdict adopt_hole(const SpoolHole& hole, RecoveredSpool& spool);

// Makes a spool that was changed so durable, with the identity and the START numbers that it had.
// Nobody else may use the directory. `quota_bytes` as the Local has it.
[[nodiscard]] Result<void> rewrite_spool(const std::string& directory, uint64_t quota_bytes,
                                         RecoveredSpool spool);

}  // namespace tailrace
