// What the positions' topic says of itself (kafka.h).
#include <optional>

#include "base/random.h"
#include "sinks/kafka/kafka_handle.h"
#include "sinks/kafka/kafka_records.h"

namespace tailrace::kafka {

namespace {
constexpr int kAdminMs = 10'000;
constexpr uint32_t kPartitionsMade = 16;
}  // namespace

Result<KafkaIdentity> identity(const KafkaSettings& settings, uint64_t cluster) {
  const std::string& topic = settings.positions_topic;
  LastWords words;
  auto handle = make(settings, RD_KAFKA_PRODUCER, words,
                     {{"isolation.level", "read_uncommitted"},
                      {"acks", "all"},
                      {"enable.idempotence", "true"},
                      {"message.timeout.ms", "10000"}});
  if (!handle) return handle.error();
  bool absent = false;
  auto partitions = partitions_of(settings, handle->get(), topic, &absent);
  if (!partitions && absent && settings.create_topics) {
    if (auto made = create(handle->get(), topic, kPartitionsMade, true); !made) return made.error();
    for (int tries = 0; !partitions && tries < 20; ++tries) {
      partitions = partitions_of(settings, handle->get(), topic, &absent);
      if (!partitions) rd_kafka_poll(handle->get(), 100);
    }
  }
  if (!partitions && absent)
    return Error{Error::Kind::rejected,
                 partitions.error().text +
                     ": make it, compacted (kafka-topics.sh --create --topic " + topic +
                     " --partitions " + std::to_string(kPartitionsMade) +
                     " --config cleanup.policy=compact), or set create_topics: true"};
  if (!partitions) return heard(handle->get(), words, partitions.error());
  const auto config = config_of(handle->get(), topic);
  if (const auto policy = config.find("cleanup.policy");
      policy != config.end() && policy->second != "compact")
    return Error{Error::Kind::rejected,
                 "the topic '" + topic + "' has cleanup.policy=" + policy->second +
                     ": positions would be lost; set it to compact (kafka-configs.sh --alter)"};
  std::optional<KafkaIdentity> found;
  for (int tries = 0; tries < 2 && !found; ++tries) {
    const auto reached = read(settings, 0, handle->get(), false,
                              [&](std::string_view key, std::string_view value) -> Result<void> {
                                auto said = decode_identity(key, value);
                                if (!said) return said.error();
                                if (*said && !found) found = **said;
                                return {};
                              });
    if (!reached) return reached.error();
    if (found || tries > 0) break;
    if (reached->end < reached->target)
      return Error{Error::Kind::retry_later, "'" + topic + "' could not be read to its end"};
    const KafkaRecord record = encode_identity(
        {os_random(), cluster != 0 ? cluster : os_random(), static_cast<uint32_t>(*partitions)});
    const Topic named(rd_kafka_topic_new(handle->get(), topic.c_str(), nullptr));
    static_cast<void>(
        produce(handle->get(), {.topic = named.get(), .key = record.key, .value = record.value}));
    if (rd_kafka_flush(handle->get(), kAdminMs) != RD_KAFKA_RESP_ERR_NO_ERROR)
      return Error{Error::Kind::retry_later,
                   words.behind("nothing can be written into '" + topic + "'")};
  }
  if (!found)
    return Error{Error::Kind::retry_later,
                 words.behind("'" + topic + "' was written and says nothing")};
  if (found->partitions != static_cast<uint32_t>(*partitions))
    return Error{Error::Kind::rejected,
                 "the topic '" + topic + "' has " + std::to_string(*partitions) +
                     " partitions and was made with " + std::to_string(found->partitions) +
                     ": where positions stand is not known any more"};
  return *found;
}

}  // namespace tailrace::kafka
