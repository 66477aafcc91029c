// `tailrace run`, carried out: directories, lock, signals, the live line, the summary.
// Thread: main becomes the road.
#pragma once

#include "cli/config/role_config.h"
#include "cli/run_settings.h"

namespace tailrace {

// Returns the exit code: 0 if all that was found is published, else 1 and stderr says why.
[[nodiscard]] int run(const RunSettings& settings);
// The same by a settings file of role run, which is good.
[[nodiscard]] int run_with(const RoleConfig& config, bool once);

}  // namespace tailrace
