// Kerberos for Kafka: librdkafka leaves it to the system's libraries, which are told of keys by the
// environment of the process. Thread: main, before others run.
#pragma once

#include "base/result.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace {

[[nodiscard]] bool uses_kerberos(const KafkaSettings& settings);

// The keytab that the settings name, for all sinks of this process: tickets are got by it, kept in
// memory, and got anew in time. Without one nothing changes: whatever keytab or tickets the
// environment names are used. rejected: another keytab than that of the sink before.
[[nodiscard]] Result<void> use_kafka_keytab(const KafkaSettings& settings);

}  // namespace tailrace
