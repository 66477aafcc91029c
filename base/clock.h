// The two clocks. Deciding code never calls them: it is handed milliseconds.
// Thread: any.
#pragma once

#include <cstdint>

namespace tailrace {

// Milliseconds since 1970 (UTC); may jump. For names, buckets and what people read.
[[nodiscard]] int64_t wall_ms();
// Milliseconds that only grow; for time-outs and rates.
[[nodiscard]] int64_t mono_ms();

}  // namespace tailrace
