#include "sinks/kafka/kafka_topics.h"

#include "sinks/kafka/kafka_handle.h"

namespace tailrace {

namespace {
using State = KafkaTopicFacts::State;
constexpr int kFirstMs = 4'000;  // for a broker that has just been met to answer

State state_of(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE: return State::there;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: return State::missing;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return State::forbidden;
    default: return State::unclear;
  }
}

KafkaTopicFacts facts_of(const kafka::TopicSeen& seen) {
  KafkaTopicFacts out;
  out.name = seen.name;
  out.state = state_of(seen.error);
  if (out.state != State::there) out.why = rd_kafka_err2str(seen.error);
  out.partitions = seen.partitions;
  out.copies = seen.copies;
  out.leaderless = seen.leaderless;
  out.behind = seen.behind;
  return out;
}
}  // namespace

std::string positions_config_options() {
  std::string out;
  for (const auto& [name, value] : kPositionsConfig)
    out += std::string(" --config ") + name + "=" + value;
  return out;
}

std::string KafkaTopicFacts::configured(const std::string& name_of) const {
  const auto found = config.find(name_of);
  return found == config.end() ? std::string() : found->second;
}

Result<KafkaTopics> find_kafka_topics(const KafkaSettings& settings,
                                      const std::vector<std::string>& names) {
  kafka::LastWords words;
  // A consumer: what a producer asks for may be made by that.
  const auto handle = kafka::make(settings, RD_KAFKA_CONSUMER, words, {});
  if (!handle) return handle.error();
  auto all = kafka::see_topics(settings, handle->get(), "");
  for (const auto end = kafka::Clock::now() + std::chrono::milliseconds(kFirstMs);
       !all && kafka::left_ms(end) > 0;) {
    rd_kafka_poll(handle->get(), 100);
    all = kafka::see_topics(settings, handle->get(), "");
  }
  rd_kafka_poll(handle->get(), 0);
  if (!all) return Error{all.error().kind, words.behind(all.error().text)};
  std::map<std::string, const kafka::TopicSeen*> by_name;
  for (const kafka::TopicSeen& of : all->topics) by_name[of.name] = &of;
  KafkaTopics out{all->brokers, {}};
  std::vector<std::string> there;
  for (const std::string& name : names) {
    const auto known = by_name.find(name);
    if (known != by_name.end()) {
      out.topics.push_back(facts_of(*known->second));
    } else {
      // Those that may not be seen are not among all; asked by name they are told apart.
      auto one = kafka::see_topics(settings, handle->get(), name);
      if (!one) return one.error();
      KafkaTopicFacts facts;
      facts.state = State::unclear;
      facts.why = "the brokers say nothing of it";
      if (!one->topics.empty()) facts = facts_of(one->topics.front());
      facts.name = name;
      out.topics.push_back(std::move(facts));
    }
    if (out.topics.back().state == State::there) there.push_back(name);
  }
  auto configs = kafka::configs_of(handle->get(), there);
  for (KafkaTopicFacts& of : out.topics) of.config = std::move(configs[of.name]);
  return out;
}

}  // namespace tailrace
