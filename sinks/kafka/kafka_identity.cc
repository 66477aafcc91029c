// What the positions' topic says of itself (kafka.h).
#include <optional>

#include "base/random.h"
#include "sinks/kafka/kafka_handle.h"
#include "sinks/kafka/kafka_reading.h"
#include "sinks/kafka/kafka_records.h"
#include "sinks/kafka/kafka_topics.h"

namespace tailrace::kafka {

namespace {
constexpr int kAdminMs = 10'000;
constexpr int kReadMs = 5'000;
constexpr uint32_t kPartitionsMade = 16;

Error gone(const KafkaSettings& settings, const std::string& what) {
  return Error{Error::Kind::corrupt,
               "the topic '" + settings.positions_topic + "' at " + settings.server() + " " + what +
                   ": was it deleted? How far lines had come stood there; nothing is written"};
}

// Whether nobody has ever written into the topic's other partitions: names stand in the first.
Result<bool> is_new(rd_kafka_t* handle, const std::string& topic, int32_t partitions) {
  for (int32_t partition = 1; partition < partitions; ++partition) {
    int64_t low = 0, high = 0;
    if (const auto error = ends_of(handle, topic, partition, low, high))
      return Error{Error::Kind::retry_later,
                   "'" + topic + "' cannot be read: " + rd_kafka_err2str(error)};
    if (high > 0) return false;
  }
  return true;
}
// The first one, for it counts for ever.
Result<std::optional<KafkaIdentity>> name_in(const KafkaSettings& settings, rd_kafka_t* handle) {
  std::optional<KafkaIdentity> found;
  const auto reading = Reading::begin(settings, 0, handle, false);
  if (!reading) return reading.error();
  const auto each = [&](std::string_view key, std::string_view value) -> Result<void> {
    auto said = decode_identity(key, value);
    if (!said) return said.error();
    if (*said && !found) found = **said;
    return {};
  };
  for (int64_t before = -1; !found && before < (*reading)->at();) {  // while something comes
    before = (*reading)->at();
    const auto whole = (*reading)->go_on(kReadMs, each);
    if (!whole) return whole.error();
    if (*whole) return found;
  }
  if (found) return found;
  return Error{Error::Kind::retry_later,
               "'" + settings.positions_topic + "' could not be read to its end"};
}

// If it is new. Otherwise another Center was sooner, or its name is gone.
Result<void> give_name(const KafkaSettings& settings, rd_kafka_t* handle, const LastWords& words,
                       int32_t partitions, uint64_t cluster) {
  const std::string& topic = settings.positions_topic;
  const auto empty = is_new(handle, topic, partitions);
  if (!empty) return empty.error();
  if (!*empty) return {};
  const KafkaRecord record = encode_identity(
      {os_random(), cluster != 0 ? cluster : os_random(), static_cast<uint32_t>(partitions)});
  const Topic named(rd_kafka_topic_new(handle, topic.c_str(), nullptr));
  const auto error =
      produce(handle, {.topic = named.get(), .key = record.key, .value = record.value});
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR &&
      rd_kafka_flush(handle, kAdminMs) == RD_KAFKA_RESP_ERR_NO_ERROR)
    return {};
  return Error{Error::Kind::retry_later,
               words.behind("nothing can be written into '" + topic + "'")};
}
}  // namespace

Result<KafkaIdentity> identity(const KafkaSettings& settings, uint64_t cluster, uint64_t known) {
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
  if (!partitions && absent && known != 0) return gone(settings, "does not exist any more");
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
                     positions_config_options() + "), or set create_topics: true"};
  if (!partitions) return heard(handle->get(), words, partitions.error());
  const auto config = config_of(handle->get(), topic);
  if (const auto policy = config.find("cleanup.policy");
      policy != config.end() && policy->second != "compact")
    return Error{Error::Kind::rejected,
                 "the topic '" + topic + "' has cleanup.policy=" + policy->second +
                     ": positions would be lost; set it to compact (kafka-configs.sh --alter)"};
  auto found = name_in(settings, handle->get());
  if (found && !*found) {
    if (known != 0) return gone(settings, "says nothing of the sink that it was");
    if (auto named = give_name(settings, handle->get(), words, *partitions, cluster); !named)
      return named.error();
    found = name_in(settings, handle->get());
  }
  if (!found) return found.error();
  if (!*found)
    return Error{Error::Kind::rejected,
                 "the topic '" + topic +
                     "' holds records, and no sink's name: it was made anew while a Center wrote. "
                     "Name another positions_topic"};
  if ((*found)->partitions != static_cast<uint32_t>(*partitions))
    return Error{Error::Kind::rejected,
                 "the topic '" + topic + "' has " + std::to_string(*partitions) +
                     " partitions and was made with " + std::to_string((*found)->partitions) +
                     ": where positions stand is not known any more"};
  return **found;
}

}  // namespace tailrace::kafka
