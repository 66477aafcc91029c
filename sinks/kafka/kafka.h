// Kafka as a sink meets it, by librdkafka, which is included from kafka.cc alone. What comes of a
// call is decided on the error's kind, as tried on real brokers (tests/neighbours/kafka_test.py):
// whatever may be asked again comes back `again`, all else is `over`.
// Thread: a worker, one call at a time per object; each blocks for about kKafkaCallMs at most. A
// category's calls all go to the same object. docs/protocol.md, "Kafka".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "sinks/kafka/kafka_call.h"
#include "sinks/kafka/kafka_records.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace {

inline constexpr int kKafkaCallMs = 500;

class Kafka {
 public:
  explicit Kafka(KafkaSettings settings);
  ~Kafka();
  Kafka(const Kafka&) = delete;
  Kafka& operator=(const Kafka&) = delete;

  // What the positions' topic says of itself; made, with that cluster (0: a new one), if it is new
  // and no sink is `known` there (0). Blocks for seconds. retry_later: no broker answers. rejected:
  // it is not there, or not as it must be; what to do stands in the text. corrupt: what the sink
  // that it was said there is gone.
  [[nodiscard]] Result<KafkaIdentity> identity(uint64_t cluster, uint64_t known);

  // The sink that it must be, else nothing is written; and the Center that this is.
  void know(uint64_t sink, uint64_t center);
  [[nodiscard]] KafkaReply call(const KafkaCall& call);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
