// What a sink has in Kafka, for a person: `tailrace topics` and `cat`. Changes nothing.
// Thread: any; calls block, for seconds where brokers are away.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace {

// The categories whose lines it has ever taken, by the positions' topic. retry_later: no broker
// answers, or that topic is not there. rejected: it may not be read.
[[nodiscard]] Result<std::set<std::string>> kafka_categories(const KafkaSettings& settings);

}  // namespace tailrace
