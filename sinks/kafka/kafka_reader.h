// Reads a topic as its readers do: what is committed, partition by partition in the order of
// offsets, without a group. For a person's commands. Errors name the brokers, the topic, and where
// it can be told the partition and offset.
// Thread: any, one call at a time; calls block for seconds where brokers are away.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sinks/kafka/kafka_settings.h"
#include "sinks/kafka/kafka_unpack.h"

namespace tailrace {

// What stands in a partition: the offsets [begin, end), of whatever transactions.
struct KafkaExtent {
  int32_t partition = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

struct KafkaRead {
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t when_ms = 0;  // -1: its broker does not say
  std::string_view key{};
  KafkaLines lines{};
};

class KafkaReader {
 public:
  // `settings`: the brokers, and properties of their client. `idle_ms`: how long a broker holds a
  // request while there is nothing; that much later an end is told. rejected: wrong properties.
  [[nodiscard]] static Result<std::unique_ptr<KafkaReader>> make(const KafkaSettings& settings,
                                                                 const std::string& topic,
                                                                 int idle_ms);
  ~KafkaReader();
  KafkaReader(const KafkaReader&) = delete;
  KafkaReader& operator=(const KafkaReader&) = delete;

  // What stands there now, by partition. `from_ms`: nothing before the first record of that time or
  // later. retry_later: no broker answers, or the topic is not there. rejected: it may not be read.
  [[nodiscard]] Result<std::vector<KafkaExtent>> look(std::optional<int64_t> from_ms);

  // Reads these from their begins on; whatever was being read is let go. One whose begin has been
  // removed since begins where it does now.
  [[nodiscard]] Result<void> read(const std::vector<KafkaExtent>& extents);

  using Each = std::function<void(const KafkaRead&)>;
  struct Some {
    size_t records = 0;
    std::vector<std::pair<int32_t, int64_t>> ends{};   // partitions that are read to that offset
    std::vector<std::pair<int32_t, Error>> stopped{};  // and those that are not read any further
  };
  // The records that come within `wait_ms`, a thousand at most.
  [[nodiscard]] Some next(int wait_ms, const Each& each);

  // What the client last said of its connections; taken by being asked for. "": nothing new.
  [[nodiscard]] std::string trouble();

 private:
  struct State;
  explicit KafkaReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
