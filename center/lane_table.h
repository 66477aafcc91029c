// Tables beside a lane's claims: what the newest claim and its owner's log say of the lane before
// an entry, folded, so that whoever takes the lane over need not read that log from the claim on.
// Nothing rests on them: that log and its manifests say the same. docs/protocol.md, "RECLAIM".
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "center/record.h"

namespace tailrace {

// (epoch, entry) of each, of the names in a lane's directory.
[[nodiscard]] std::vector<std::pair<uint64_t, uint64_t>> tables_among(
    const std::vector<std::string>& names);

// The entry before which the newest table of `epoch` stands; 0: it has none.
[[nodiscard]] uint64_t newest_table(const std::vector<std::string>& names, uint64_t epoch);

// Brings `claim` up to its table of `entry`. What was read under that name and is not that table
// changes nothing.
void bring_forward(LaneClaim& claim, uint64_t entry, const std::optional<std::string>& bytes);

}  // namespace tailrace
