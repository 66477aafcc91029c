// Every key that a settings file may have: one table, from which `check`, --help,
// docs/configuration.md and the JSON Schema come. Thread: any; constants.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/config.h"

namespace tailrace {

// The programs that read settings; each names itself by `role:`.
inline constexpr std::string_view kRoles[] = {"agent", "local", "center", "run"};

// The keys of a role's file; a role that is none has no keys.
[[nodiscard]] const ConfigKeys& config_keys(std::string_view role);
// The keys of a file in the agent's conf.d.
[[nodiscard]] const ConfigKeys& dropped_keys();

// --- what comes out of the table -----------------------------------------------------------------
[[nodiscard]] std::string keys_as_help(std::string_view role);    // for a terminal
[[nodiscard]] std::string keys_as_page();                         // docs/configuration.md
[[nodiscard]] std::string keys_as_schema(std::string_view role);  // JSON Schema

}  // namespace tailrace
