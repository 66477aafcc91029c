// What stands in the positions' topic, and which of its partitions a lane uses. Layouts, with test
// vectors: docs/formats/kafka.md. Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sinks/kafka/kafka_call.h"

namespace tailrace {

// The topic's own name, said by its first record of this kind (in partition 0) for ever.
struct KafkaIdentity {
  uint64_t sink = 0;
  uint64_t cluster = 0;
  uint32_t partitions = 0;  // of the topic, when it was made
  bool operator==(const KafkaIdentity&) const = default;
};
struct KafkaRecord {
  std::string key;
  std::string value;
};
[[nodiscard]] KafkaRecord encode_identity(const KafkaIdentity& identity);
// nullopt: it is another kind of record. corrupt, or rejected: of a newer version.
[[nodiscard]] Result<std::optional<KafkaIdentity>> decode_identity(std::string_view key,
                                                                   std::string_view value);

// `center`: 0, or the Center that says it, where none fences another: then each has a key of its
// own, so that who is late does not write over what is newer.
[[nodiscard]] KafkaRecord encode_position(const std::string& category,
                                          const KafkaPosition& position, uint64_t center = 0);
// nullopt: it is another category's, or another kind of record.
[[nodiscard]] Result<std::optional<KafkaPosition>> decode_position(const std::string& category,
                                                                   std::string_view key,
                                                                   std::string_view value);

// What a topic takes of a record's time: how long ago and how far ahead it may be.
struct KafkaTimes {
  int64_t before_ms = INT64_MAX;
  int64_t after_ms = INT64_MAX;
};
// By the topic's settings, of whatever version of Kafka.
[[nodiscard]] KafkaTimes kafka_times(const std::map<std::string, std::string>& config);
// What lines that were read `said_ms` say: the time now if their host's clock is off (as
// sane_bucket() has it), and at most half as far from it as the topic takes: the broker looks a
// little later.
[[nodiscard]] int64_t record_time(int64_t said_ms, int64_t now_ms, const KafkaTimes& takes);

// The partition of a lane's positions; partition 0 only where there is no other.
[[nodiscard]] int32_t positions_partition(const std::string& category, uint32_t partitions);
// The partition of a stream's lines.
[[nodiscard]] int32_t lines_partition(const StreamKey& stream, int32_t partitions);

}  // namespace tailrace
