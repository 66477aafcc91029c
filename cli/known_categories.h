// Which categories a sink of Kafka is to have topics for, as far as it can be told from here.
// Thread: main; blocks.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "cli/config/role_config.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace {

// Those whose lines the sink has taken, by its positions' topic. Empty while that is not there.
[[nodiscard]] Result<std::set<std::string>> categories_in_kafka(const KafkaSettings& settings);
// Those that the settings collect, and that their program knows, if it runs on this host.
[[nodiscard]] std::set<std::string> categories_of(const RoleConfig& config);

}  // namespace tailrace
