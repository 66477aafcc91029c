// What a Local settles before it takes its spool up: how large it may be, and for whom it is.
// Thread: main, before the road runs. May block.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "local/spool.h"
#include "local/spool_disk.h"
#include "local/spool_recovery.h"
#include "local/spool_tables.h"

namespace tailrace {

// As large as wanted, and never more than 10 % of the disk. A small disk has small segments: a
// spool needs several of them to go on.
[[nodiscard]] Result<SpoolOptions> spool_options_on(const std::string& directory,
                                                    uint64_t quota_bytes, uint64_t segment_bytes);
// What stands in `disk`, which is in `directory`, for who looks at a spool or mends it. closed:
// there is none; else as recover_spool.
[[nodiscard]] Result<RecoveredSpool> recover_existing(SpoolDisk& disk,
                                                      const std::string& directory);
// Drops what the tables know of other sinks; rejected: something is owed to one of them. No sinks:
// nothing happens.
[[nodiscard]] Result<void> forget_other_sinks(SpoolTables& tables,
                                              const std::vector<uint64_t>& sinks);

// A sink that does not come back, as a person says: its cursors go. How many lines it has not got,
// by category; empty: the tables do not know it.
[[nodiscard]] std::map<std::string, uint64_t> forget_sink(SpoolTables& tables, uint64_t sink);

}  // namespace tailrace
