// A snapshot as others want it: for Prometheus, for programs, for probes.
// Thread: the road; pure functions.
#pragma once

#include <string>

#include "admin/metrics.h"
#include "cli/watch/snapshot.h"

namespace tailrace {

// Every metric that a role has; a role that is none has none.
[[nodiscard]] std::vector<Metric> metrics_of(std::string_view role);
[[nodiscard]] std::string metrics_text(const Snapshot& now, bool ready);  // /metrics
[[nodiscard]] std::string metrics_page();                                 // docs/metrics.md

[[nodiscard]] std::string status_json(const Snapshot& now,
                                      const Readiness& readiness);     // /api/v1/status
[[nodiscard]] std::string readiness_json(const Readiness& readiness);  // /readyz

}  // namespace tailrace
