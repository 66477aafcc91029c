// Small named records that are given away once: the control side of a store (claims, log entries).
// Thread: a worker, one call at a time per object; every call may block. Implementations:
// directory_store.h, hdfs_store.h; one conformance suite (tests/sinks/conformance.h) runs over all.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

enum class Cas {
  won,           // the name is mine: by this call, or by one of mine before whose answer was lost
  lost,          // another record holds the name
  no_directory,  // the directory that must exist does not (a log directory: its owner is FENCED)
};

// Names are paths relative to the store's root; one that begins with '/' is taken as it stands (a
// control directory set apart). They come from center/names.h.
class Records {
 public:
  virtual ~Records() = default;

  enum class Parent { must_exist, make };
  // Gives `name` to `record` unless it is taken. `uuid` is inside the record; a name found taken by
  // a record of the same bytes counts as won. Durable when it returns. retry_later: not known; call
  // again with the same name and record, and a new tmp, until it is.
  // `tmp`: where the record is written before it gets its name, in the same store; a name never
  // used before. Its directory is made. Only a crash leaves it behind.
  virtual Result<Cas> cas(const std::string& name, std::string_view record, Parent parent,
                          const std::string& tmp) = 0;
  // Absent is nullopt and proves nothing on a store with stale reads. What is returned is durable.
  virtual Result<std::optional<std::string>> read(const std::string& name) = 0;
  // Names directly in `directory`, sorted; none if it is absent. What is returned is durable.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  // Absent is fine; an empty directory may be named too. Durable when it returns.
  virtual Result<void> remove(const std::string& name) = 0;
  // With all above it. Durable when it returns.
  virtual Result<void> make_directory(const std::string& directory) = 0;
};

}  // namespace tailrace
