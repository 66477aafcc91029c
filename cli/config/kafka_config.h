// What a sink's settings say of Kafka. Thread: main.
#pragma once

#include "base/config.h"
#include "center/center.h"

namespace tailrace {

// Into settings.kafka, if the sink is one of Kafka; what is wrong becomes a problem of `map`.
void read_kafka_sink(ConfigMap& map, SinkSettings& settings);

}  // namespace tailrace
