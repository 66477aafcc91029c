// What a sink of Kafka is told by its settings. Thread: any; plain values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

enum class KafkaForm : uint8_t {
  lines,   // one record a line
  packed,  // one record a batch, as the agent compressed it
};
enum class KafkaPartitioning : uint8_t {
  stream,       // of its stream: a file's lines keep their order
  round_robin,  // each batch another
};

enum class KafkaDelivery : uint8_t {
  exactly_once,   // lines and how far they reach in one transaction, which fences other Centers
  at_least_once,  // no transactions: first the lines, once they are there how far they reach
};

struct KafkaSettings {
  std::vector<std::string> brokers;  // host:port; empty: the sink is not Kafka
  KafkaDelivery delivery = KafkaDelivery::exactly_once;
  std::string topic = "{category}";  // with {category} in it, or one for all
  KafkaForm form = KafkaForm::lines;
  KafkaPartitioning partition = KafkaPartitioning::stream;
  std::vector<std::string> headers = {"host", "stream", "seq"};
  std::string positions_topic = "__tailrace_positions";
  bool create_topics = false;
  int64_t commit_ms = 1'000;                      // latency
  std::map<std::string, std::string> properties;  // of librdkafka

  [[nodiscard]] bool exactly_once() const { return delivery == KafkaDelivery::exactly_once; }
  [[nodiscard]] bool has_header(std::string_view name) const {
    return std::find(headers.begin(), headers.end(), name) != headers.end();
  }
  [[nodiscard]] std::string server() const;  // "kafka://host:port": for people
  [[nodiscard]] std::string topic_of(const std::string& category) const;
};

// kafka://host[:port][,host[:port]]/[topic]
[[nodiscard]] Result<KafkaSettings> parse_kafka_url(std::string_view url);
// As Kafka's brokers would.
[[nodiscard]] Result<void> check_kafka_topic(const std::string& name);
// rejected, with the reason: such a property would break the promise of exactly once.
[[nodiscard]] Result<void> check_kafka_property(const std::string& name);

}  // namespace tailrace
