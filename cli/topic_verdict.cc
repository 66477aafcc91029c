#include "cli/topic_verdict.h"

#include <algorithm>

namespace tailrace {

namespace {
using Verdict = Probe::Verdict;
using State = KafkaTopicFacts::State;

std::string servers(const KafkaSettings& settings) {
  std::string out;
  for (const std::string& broker : settings.brokers) out += (out.empty() ? "" : ",") + broker;
  const bool guarded = settings.properties.contains("security.protocol");
  return out + (guarded ? " --command-config CLIENT.properties" : "");
}

std::string to_make(const KafkaSettings& settings, const std::string& topic, size_t brokers) {
  constexpr size_t kCopies = 3;
  const bool positions = topic == settings.positions_topic;
  return "kafka-topics.sh --bootstrap-server " + servers(settings) + " --create --topic " + topic +
         " --partitions 16 --replication-factor " +
         std::to_string(std::clamp<size_t>(brokers, 1, kCopies)) +
         (positions ? positions_config_options() : "");
}

std::string to_set(const KafkaSettings& settings, const std::string& topic,
                   const std::string& what) {
  return "kafka-configs.sh --bootstrap-server " + servers(settings) +
         " --alter --entity-type topics --entity-name " + topic + " --add-config " + what;
}

TopicVerdict absent(const KafkaSettings& settings, const KafkaTopicFacts& topic, size_t brokers) {
  if (topic.state == State::missing && settings.create_topics)
    return {Verdict::warn, "not there yet",
            topic.name == settings.positions_topic ? "it is made at the first start"
                                                   : "it is made with its first line"};
  if (topic.state == State::missing)
    return {Verdict::fail, "MISSING",
            to_make(settings, topic.name, brokers) + "   (or set create_topics: true)"};
  if (topic.state == State::forbidden)
    return {Verdict::fail, "FORBIDDEN",
            topic.name == settings.positions_topic
                ? "the sink's user needs Read, Write and Describe on it (kafka-acls.sh)"
                : "the sink's user needs Write and Describe on it (kafka-acls.sh)"};
  return {Verdict::fail, "UNCLEAR: " + topic.why, "what do the brokers' logs say?"};
}
}  // namespace

TopicVerdict judge_topic(const KafkaSettings& settings, const KafkaTopicFacts& topic,
                         size_t brokers) {
  if (topic.state != State::there) return absent(settings, topic, brokers);
  const auto of = [&](int32_t some) {
    return std::to_string(some) + " of " + std::to_string(topic.partitions) + " partitions";
  };
  const std::string policy = topic.configured("cleanup.policy");
  const bool positions = topic.name == settings.positions_topic;
  if (positions && !policy.empty() && policy != "compact")
    return {Verdict::fail, "cleanup.policy=" + policy + ": positions would be lost",
            to_set(settings, topic.name, "cleanup.policy=compact")};
  if (topic.leaderless > 0)
    return {Verdict::fail, "NO LEADER of " + of(topic.leaderless),
            "their brokers are away; start them, lines wait meanwhile"};
  if (!positions && policy.find("compact") != std::string::npos)
    return {Verdict::warn, "cleanup.policy=" + policy + ": lines have no keys",
            to_set(settings, topic.name, "cleanup.policy=delete")};
  if (topic.configured("unclean.leader.election.enable") == "true")
    return {Verdict::warn, "unclean leader election: lines may be lost",
            to_set(settings, topic.name, "unclean.leader.election.enable=false")};
  if (topic.behind > 0)
    return {Verdict::warn, "a copy is behind of " + of(topic.behind),
            "a broker is away or slow; nothing is lost while the others live"};
  if (brokers > 1 && topic.copies < 2)
    return {Verdict::warn, "one copy",
            "a broker that dies takes lines with it: give it more copies "
            "(kafka-reassign-partitions.sh)"};
  if (topic.copies > 2 && topic.configured("min.insync.replicas") == "1")
    return {Verdict::warn, "min.insync.replicas=1: lines may be in one copy only",
            to_set(settings, topic.name, "min.insync.replicas=2")};
  return {Verdict::ok, "ok", ""};
}

}  // namespace tailrace
