// What `check --connect` tries of a sink of Kafka: whether a broker answers, and the topics that
// the settings name.
#include "cli/probe.h"
#include "sinks/kafka/kafka.h"
#include "sinks/kafka/kafka_keytab.h"

namespace tailrace {

void probe_kafka(const SinkSettings& sink, const std::string& about, Probes& out) {
  using Verdict = Probe::Verdict;
  const KafkaSettings& settings = sink.kafka;
  std::vector<std::string> names = {settings.positions_topic};
  if (settings.topic_of("x") == settings.topic) names.push_back(settings.topic);  // one for all
  if (const auto keytab = use_kafka_keytab(settings); !keytab) {
    out.push_back({Verdict::fail, about, "take its keytab", keytab.error().text, ""});
    return;
  }
  const auto topics = Kafka(settings).topics(names);
  if (!topics) {
    out.push_back({Verdict::fail, about, "ask " + settings.server(), topics.error().text,
                   "does one of `brokers` run, is the port that of clients, and do the security "
                   "settings among `properties` belong to it?"});
    return;
  }
  for (const Kafka::Topic& topic : *topics) {
    const std::string tried = "find the topic " + topic.name;
    if (topic.trouble.empty())
      out.push_back({Verdict::ok, about, tried,
                     "it has " + std::to_string(topic.partitions) + " partitions", ""});
    else if (topic.partitions < 0)
      out.push_back({Verdict::fail, about, tried, topic.trouble,
                     "kafka-acls.sh --add gives rights; who asks is named by the broker's log"});
    else
      out.push_back({settings.create_topics ? Verdict::warn : Verdict::fail, about, tried,
                     topic.trouble,
                     settings.create_topics ? "it is made at the first start"
                                            : "make it (the positions' topic with "
                                              "cleanup.policy=compact), or set create_topics"});
  }
}

}  // namespace tailrace
