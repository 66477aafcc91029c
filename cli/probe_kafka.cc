// What `check --connect` tries of a sink of Kafka: whether a broker answers, and its topics.
#include "base/units.h"
#include "cli/probe.h"
#include "cli/topic_verdict.h"
#include "sinks/kafka/kafka_keytab.h"
#include "sinks/kafka/kafka_unpack.h"

namespace tailrace {

void probe_kafka(const SinkSettings& sink, const std::string& about,
                 const std::set<std::string>& categories, Probes& out) {
  using Verdict = Probe::Verdict;
  const KafkaSettings& settings = sink.kafka;
  std::vector<std::string> names = {settings.positions_topic};
  if (!topic_each(settings.topic)) names.push_back(settings.topic);
  const size_t few = names.size();
  if (topic_each(settings.topic))
    for (const std::string& category : categories) names.push_back(settings.topic_of(category));
  if (const auto keytab = use_kafka_keytab(settings); !keytab) {
    out.push_back({Verdict::fail, about, "take its keytab", keytab.error().text, ""});
    return;
  }
  const auto found = find_kafka_topics(settings, names);
  if (!found) {
    out.push_back({Verdict::fail, about, "ask " + settings.server(), found.error().text,
                   "does one of `brokers` run, is the port that of clients, and do the security "
                   "settings among `properties` belong to it?"});
    return;
  }
  size_t good = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const KafkaTopicFacts& topic = found->topics[i];
    TopicVerdict said = judge_topic(settings, topic, found->brokers);
    if (said.verdict == Verdict::ok && i >= few) {
      ++good;
      continue;
    }
    if (said.verdict == Verdict::ok)
      said.found = "it has " + std::to_string(topic.partitions) + " partitions";
    out.push_back({said.verdict, about, "find the topic " + topic.name, said.found, said.mend});
  }
  if (good > 0)
    out.push_back({Verdict::ok, about, "find the topics of the pipelines",
                   show_count(good) + " of " + show_count(names.size() - few) + " are there", ""});
}

}  // namespace tailrace
