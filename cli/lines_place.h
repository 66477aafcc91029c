// Where the lines of a Center's sinks go, for people: "/logs", "kafka://broker:9092/{category}".
// Thread: any; pure functions.
#pragma once

#include <string>

#include "center/center.h"

namespace tailrace {

[[nodiscard]] std::string place_of(const SinkSettings& sink);
// Of all its sinks.
[[nodiscard]] std::string places_of(const CenterSettings& settings);

}  // namespace tailrace
