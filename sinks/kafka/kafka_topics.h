// What a sink's topics are, for a person: `tailrace topics`, `check --connect`. Nothing is made by
// being asked for. Thread: any; blocks, for seconds where brokers are away.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace {

// How a positions' topic is made. Small segments: what is not compacted yet is read by whoever
// takes a lane over.
inline constexpr std::array<std::pair<const char*, const char*>, 2> kPositionsConfig = {
    {{"cleanup.policy", "compact"}, {"segment.bytes", "67108864"}}};
// As kafka-topics.sh is told: " --config NAME=VALUE" of each.
[[nodiscard]] std::string positions_config_options();

struct KafkaTopicFacts {
  enum class State : uint8_t { there, missing, forbidden, unclear };
  std::string name;
  State state = State::there;
  std::string why;                              // unless `there`: what the brokers say
  int32_t partitions = 0;                       // this and what follows: only if it is there
  int32_t copies = 0;                           // of the partition that has fewest
  int32_t leaderless = 0;                       // partitions that nobody can write to
  int32_t behind = 0;                           // partitions of which a copy is not up to date
  std::map<std::string, std::string> config{};  // empty: it may not be asked for

  // "": the brokers do not say.
  [[nodiscard]] std::string configured(const std::string& name_of) const;
};

struct KafkaTopics {
  size_t brokers = 0;  // that are known
  std::vector<KafkaTopicFacts> topics;
};
// In the order of `names`. retry_later: no broker answers, with what the client said last.
[[nodiscard]] Result<KafkaTopics> find_kafka_topics(const KafkaSettings& settings,
                                                    const std::vector<std::string>& names);

}  // namespace tailrace
