#include "sinks/kafka/kafka_settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

namespace tailrace {

namespace {
using Refused = std::pair<std::string_view, std::string_view>;
constexpr std::array kRefused = {
    Refused{"transactional.id", "each lane has one of its own, which fences whoever had it"},
    Refused{"transaction.timeout.ms",
            "a transaction is open for a second, and given up after 15 s"},
    Refused{"enable.idempotence", "transactions need it"},
    Refused{"enable.gapless.guarantee", "transactions say what became of each line"},
    Refused{"acks", "a line that not all replicas have could be lost"},
    Refused{"request.required.acks", "a line that not all replicas have could be lost"},
    Refused{"retries", "what is tried again is the lane's own affair"},
    Refused{"message.send.max.retries", "what is tried again is the lane's own affair"},
    Refused{"message.timeout.ms", "a line given up alone would be missing"},
    Refused{"delivery.timeout.ms", "a line given up alone would be missing"},
    Refused{"max.in.flight", "the order of lines"},
    Refused{"max.in.flight.requests.per.connection", "the order of lines"},
    Refused{"queuing.strategy", "the order of lines"},
    Refused{"partitioner", "say `partition` instead"},
    Refused{"batch.size", "as much is sent at once as the topic's own limit lets through"},
    Refused{"message.max.bytes", "longer lines are cut at the topic's own limit"},
    Refused{"auto.offset.reset", "what is not there any more is never passed over"},
    Refused{"isolation.level", "positions are read at the level that the protocol needs"},
    Refused{"enable.auto.commit", "positions stand in a topic of their own"},
    Refused{"enable.partition.eof", "the end of the positions is found by it"},
    Refused{"group.id", "positions are read without a group"},
    Refused{"allow.auto.create.topics", "say `create_topics` instead"},
    Refused{"bootstrap.servers", "say `brokers` instead"},
    Refused{"metadata.broker.list", "say `brokers` instead"},
    Refused{"sasl.kerberos.kinit.cmd",
            "no shell is run; name a keytab by sasl.kerberos.keytab, and tickets are got by it"},
    Refused{"plugin.library.paths", "no foreign code is loaded into this program"},
};
}  // namespace

std::string KafkaSettings::server() const {
  return "kafka://" + (brokers.empty() ? std::string() : brokers.front());
}

std::string KafkaSettings::topic_of(const std::string& category) const {
  constexpr std::string_view kCategory = "{category}";
  const size_t at = topic.find(kCategory);
  if (at == std::string::npos) return topic;
  return topic.substr(0, at) + category + topic.substr(at + kCategory.size());
}

Result<KafkaSettings> parse_kafka_url(std::string_view url) {
  constexpr std::string_view kScheme = "kafka://";
  constexpr std::string_view kPort = ":9092";
  const Error wrong{Error::Kind::rejected, "'" + std::string(url) +
                                               "': expected kafka://broker:9092[,other:9092]/, "
                                               "with a topic behind it or none"};
  if (!url.starts_with(kScheme)) return wrong;
  url.remove_prefix(kScheme.size());
  const size_t slash = std::min(url.find('/'), url.size());
  KafkaSettings out;
  std::string_view brokers = url.substr(0, slash);
  for (;;) {
    const size_t comma = std::min(brokers.find(','), brokers.size());
    std::string broker(brokers.substr(0, comma));
    if (broker.empty() || broker.find_first_of("@?# ") != std::string::npos) return wrong;
    if (broker.find(':') == std::string::npos) broker += kPort;
    out.brokers.push_back(std::move(broker));
    if (comma == brokers.size()) break;
    brokers.remove_prefix(comma + 1);
  }
  if (slash + 1 < url.size()) out.topic = url.substr(slash + 1);
  if (auto good = check_kafka_topic(out.topic_of("x")); !good) return good.error();
  return out;
}

Result<void> check_kafka_topic(const std::string& name) {
  constexpr size_t kMost = 249;
  const bool good = !name.empty() && name.size() <= kMost && name != "." && name != ".." &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                    });
  if (good) return {};
  return Error{Error::Kind::rejected,
               "'" + name + "' is no topic: letters, digits, '.', '_' and '-', at most 249"};
}

Result<void> check_kafka_property(const std::string& name) {
  const auto found = std::find_if(kRefused.begin(), kRefused.end(),
                                  [&](const Refused& refused) { return refused.first == name; });
  if (found == kRefused.end()) return {};
  return Error{Error::Kind::rejected,
               "'" + name + "' cannot be set: " + std::string(found->second)};
}

}  // namespace tailrace
