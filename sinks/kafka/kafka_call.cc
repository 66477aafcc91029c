#include "sinks/kafka/kafka_call.h"

#include "base/random.h"

namespace tailrace {

std::string kafka_transactional_id(uint64_t sink, const std::string& category) {
  return "tailrace." + hex16(sink) + "." + category;
}

}  // namespace tailrace
