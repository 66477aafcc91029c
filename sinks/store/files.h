// Large files: written where no reader looks, then published whole under a name never used before.
// Thread: as each method says. Paths are relative to the store's root.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

// A file being written. Owned by one Center's open file; who destroys it without finish() takes it
// away, if he can: a process that is killed leaves a rest for the janitor.
class StagedFile {
 public:
  virtual ~StagedFile() = default;
  // Appends the pieces in order. Thread: the road (a write into the page cache or a local spill).
  virtual Result<void> append(const std::vector<std::string_view>& pieces) = 0;
  // Bytes [offset, offset + n) written so far: what a cut copies. Thread: a worker.
  virtual Result<std::string> read(uint64_t offset, size_t n) = 0;
  // Makes it whole and durable at its staged path (UPLOAD), checks its length. retry_later: call it
  // again. Thread: a worker; it may block for minutes.
  virtual Result<void> finish() = 0;
  [[nodiscard]] virtual uint64_t size() const = 0;
};

enum class Published {
  now,     // renamed by this call, or a read showed the final name standing
  before,  // staged and final are both gone for certain: published earlier, then taken by its owner
};

class Files {
 public:
  virtual ~Files() = default;
  // A file that will be `staged`, a name that is used once: rejected here, or by finish(), where it
  // is taken. Thread: the road.
  virtual Result<std::unique_ptr<StagedFile>> stage(const std::string& staged) = 0;
  // PUBLISH. retry_later: not possible now, or not known; call again. Thread: a worker.
  virtual Result<Published> publish(const std::string& staged, const std::string& final_path) = 0;
  // Absent is fine; an empty directory may be named too. Thread: a worker.
  virtual Result<void> remove(const std::string& staged) = 0;
  // Names in a stage directory, for GC. Thread: a worker.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
};

}  // namespace tailrace
