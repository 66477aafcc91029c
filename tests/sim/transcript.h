// What passes between processes, and between Centers and their store, in words, for --trace.
// Thread: any; pure functions.
#pragma once

#include <string>

#include "center/store_call.h"
#include "flow/outgoing.h"
#include "sinks/kafka/kafka_call.h"

namespace tailrace::sim {

// Empty for frames that are too many to be told: batches, credit, pings.
[[nodiscard]] std::string in_words(const Outgoing& frame);
[[nodiscard]] std::string in_words(const StoreRequest& request, const StoreReply& reply);
[[nodiscard]] std::string in_words(const KafkaCall& call, const KafkaReply& reply);

}  // namespace tailrace::sim
