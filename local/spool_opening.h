// What a Local settles before it takes its spool up: how large it may be, and for whom it is.
// Thread: main, before the road runs. May block.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "local/spool_tables.h"

namespace tailrace {

// `wanted`, and never more than 10 % of the disk.
[[nodiscard]] Result<uint64_t> quota_on(const std::string& directory, uint64_t wanted);
// A small disk has small segments: a spool needs several of them to go on.
[[nodiscard]] uint64_t segment_bytes_for(uint64_t quota_bytes, uint64_t wanted);
// Drops what the tables know of other sinks; rejected: something is owed to one of them. No sinks:
// nothing happens.
[[nodiscard]] Result<void> forget_other_sinks(SpoolTables& tables,
                                              const std::vector<uint64_t>& sinks);

}  // namespace tailrace
