#include "center/kafka_shell.h"

#include "base/hash.h"

namespace tailrace {

namespace {
constexpr size_t kHands = 8;
}

KafkaShell::KafkaShell(asio::io_context& road, const KafkaSettings& settings) {
  for (size_t i = 0; i < kHands; ++i)
    hands_.push_back({std::make_shared<Kafka>(settings), std::make_unique<Worker>(road, "kafka")});
}

void KafkaShell::know(uint64_t sink, uint64_t center) {
  for (Hand& hand : hands_) hand.kafka->know(sink, center);
}

asio::awaitable<KafkaReply> KafkaShell::perform(std::shared_ptr<const KafkaCall> call) {
  Hand& hand = hands_[xxh3(call->category) % hands_.size()];
  auto reply = std::make_shared<KafkaReply>();
  std::function<void()> work = [kafka = hand.kafka, call, reply] { *reply = kafka->call(*call); };
  co_await hand.worker->run(std::move(work));
  co_return std::move(*reply);
}

}  // namespace tailrace
