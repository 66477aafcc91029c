// What was published into a store, from its commit logs and from the manifests into which old
// entries are folded, for a person: `tailrace files`. Changes nothing. Thread: any; calls block.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "center/record.h"
#include "sinks/store/files.h"
#include "sinks/store/records.h"

namespace tailrace {

struct HistoryFile {
  CommittedFile file;
  std::string center;        // its name
  int64_t committed_ms = 0;  // of a folded entry: when the file was closed, to the second
  bool pending = false;      // committed, and still staged
};

// What was committed since `since_ms`, newest first. A record that cannot be understood is an error
// that names it. `files`: of the same store; what is staged its owner is asked for.
[[nodiscard]] Result<std::vector<HistoryFile>> read_history(Records& records, Files& files,
                                                            int64_t since_ms);

}  // namespace tailrace
