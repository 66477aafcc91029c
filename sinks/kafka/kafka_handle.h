// librdkafka, owned: handles, and what a topic is. Only sinks/kafka/*.cc include this, and
// kafka_reading.h. Thread: whoever calls; each call blocks.
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sinks/kafka/kafka_records.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace::kafka {

template <class T, void (*destroy)(T*)>
struct Destroy {
  void operator()(T* it) const { destroy(it); }
};
template <class T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Destroy<T, destroy>>;

// Without saying good-bye: what is under way may well wait for a broker that is away.
void drop(rd_kafka_t* handle);
using Handle = Owned<rd_kafka_t, drop>;  // must outlive its topics and queues
using Topic = Owned<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using Failure = Owned<rd_kafka_error_t, rd_kafka_error_destroy>;
using Headers = Owned<rd_kafka_headers_t, rd_kafka_headers_destroy>;

using Clock = std::chrono::steady_clock;
[[nodiscard]] int left_ms(Clock::time_point end);

// The last thing that a handle said of its connections: transactions only say that time is up.
// Told by rd_kafka_poll().
struct LastWords {
  std::string text;
  uint64_t undelivered = 0;  // records given up, of a producer without transactions
  [[nodiscard]] std::string behind(const std::string& why) const {
    return why + (text.empty() ? "" : "; last: " + text);
  }
};

// The error of a call, and what keeps the handle from its brokers: it tells that a little later.
[[nodiscard]] Error heard(rd_kafka_t* handle, const LastWords& words, const Error& error);

// `words` must outlive it. `more` counts before the settings' properties.
[[nodiscard]] Result<Handle> make(const KafkaSettings& settings, rd_kafka_type_t type,
                                  LastWords& words, const std::map<std::string, std::string>& more);

[[nodiscard]] Result<int32_t> partitions_of(const KafkaSettings& settings, rd_kafka_t* handle,
                                            const std::string& topic, bool* absent);

// All topics that we may see, or the one that is named, with what its brokers say of it.
struct TopicSeen {
  std::string name;
  rd_kafka_resp_err_t error{};
  int32_t partitions = 0;
  int32_t copies = 0;      // of the partition that has fewest
  int32_t leaderless = 0;  // partitions
  int32_t behind = 0;      // partitions of which a copy is not up to date
};
struct Seen {
  size_t brokers = 0;
  std::vector<TopicSeen> topics;
};
[[nodiscard]] Result<Seen> see_topics(const KafkaSettings& settings, rd_kafka_t* handle,
                                      const std::string& only);
// `partitions`: -1: as the brokers think right. `positions`: as that topic is to be.
[[nodiscard]] Result<void> create(rd_kafka_t* handle, const std::string& topic, int32_t partitions,
                                  bool positions);
// A topic's settings; empty where we may not ask.
using TopicConfig = std::map<std::string, std::string>;
[[nodiscard]] TopicConfig config_of(rd_kafka_t* handle, const std::string& topic);
[[nodiscard]] std::map<std::string, TopicConfig> configs_of(rd_kafka_t* handle,
                                                            const std::vector<std::string>& topics);

// Both ends of a partition, as the handle's isolation level has it. (Not by the library's
// rd_kafka_query_watermark_offsets(): 2.0.2's never comes back if the broker that it asks dies.)
[[nodiscard]] rd_kafka_resp_err_t ends_of(rd_kafka_t* handle, const std::string& topic,
                                          int32_t partition, int64_t& low, int64_t& high);

struct Record {
  rd_kafka_topic_t* topic = nullptr;
  int32_t partition = 0;
  std::string_view key{};
  std::string_view value{};
  int64_t when_ms = 0;                    // 0: now
  rd_kafka_headers_t* headers = nullptr;  // the record's, once that was taken
};
// Copies it into the queue to the brokers.
[[nodiscard]] rd_kafka_resp_err_t produce(rd_kafka_t* handle, const Record& record);

// As Kafka::identity().
[[nodiscard]] Result<KafkaIdentity> identity(const KafkaSettings& settings, uint64_t cluster,
                                             uint64_t known);

}  // namespace tailrace::kafka
