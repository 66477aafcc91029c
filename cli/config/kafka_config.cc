#include "cli/config/kafka_config.h"

#include "base/address.h"
#include "base/units.h"

namespace tailrace {

void read_kafka_sink(ConfigMap& map, SinkSettings& settings) {
  const bool kafka = map.text("type") == "kafka";
  for (const char* const key : {"brokers", "delivery", "topic", "form", "partition", "headers",
                                "latency", "positions_topic", "create_topics", "properties"})
    if (!kafka && map.has(key))
      map.wrong(key, "'" + std::string(key) + "' is of a sink of type kafka");
  if (!kafka) return;
  for (const char* const key : {"root", "control", "layout", "timezone", "roll"})
    if (map.has(key)) map.wrong(key, "'" + std::string(key) + "' is of a sink of files");
  KafkaSettings& of = settings.kafka;
  if (map.texts("brokers").empty()) map.missing("brokers", "[broker-1:9092]");
  for (const std::string& text : map.texts("brokers")) {
    constexpr uint16_t kPort = 9092;
    if (const auto broker = parse_host_port(text, kPort))
      of.brokers.push_back(broker->show());
    else
      map.wrong("brokers", broker.error().text);
  }
  of.topic = map.text("topic");
  if (const auto good = check_kafka_topic(of.topic_of("x")); !good)
    map.wrong("topic", good.error().text);
  of.positions_topic = map.text("positions_topic");
  if (const auto good = check_kafka_topic(of.positions_topic); !good)
    map.wrong("positions_topic", good.error().text);
  if (map.text("delivery") == "at_least_once") of.delivery = KafkaDelivery::at_least_once;
  if (map.text("form") == "packed") of.form = KafkaForm::packed;
  if (map.text("partition") == "round_robin") of.partition = KafkaPartitioning::round_robin;
  if (map.has("headers")) of.headers = map.texts("headers");
  for (const std::string& header : of.headers)
    if (header != "host" && header != "path" && header != "stream" && header != "seq" &&
        header != "none")
      map.wrong("headers", "'" + escape(header, 64) + "' is no header: host, path, stream, seq");
  of.commit_ms = static_cast<int64_t>(map.number("latency"));
  of.create_topics = map.text("create_topics") == "true";
  ConfigMap properties = map.map("properties");
  for (const std::string& name : properties.names()) {
    if (const auto good = check_kafka_property(name); !good)
      properties.wrong_name(name, good.error().text);
    of.properties[name] = properties.text(name);
  }
}

}  // namespace tailrace
