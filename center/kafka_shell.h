// Carries out what lanes ask of Kafka, on workers, so that one which waits for its broker keeps few
// others waiting; all calls of a category on the same one. Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <memory>
#include <vector>

#include "base/worker.h"
#include "sinks/kafka/kafka.h"

namespace tailrace {

class KafkaShell {
 public:
  KafkaShell(asio::io_context& road, const KafkaSettings& settings);

  // For asking before the road runs.
  [[nodiscard]] Kafka& first() { return *hands_.front().kafka; }
  void know(uint64_t sink, uint64_t center);
  // `call` lives until then.
  asio::awaitable<KafkaReply> perform(std::shared_ptr<const KafkaCall> call);

 private:
  struct Hand {
    std::shared_ptr<Kafka> kafka;  // of whatever work it still has
    std::unique_ptr<Worker> worker;
  };
  std::vector<Hand> hands_;
};

}  // namespace tailrace
