// `tailrace cat` of topics: what is committed, as lines. Thread: main; blocks.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "sinks/kafka/kafka_settings.h"

namespace tailrace {

struct TopicToPrint {
  KafkaSettings settings;
  std::string topic;
};

// The topics of a sink that hold a category; "": of all its categories. rejected: its topic holds
// others too.
[[nodiscard]] Result<std::vector<TopicToPrint>> topics_to_print(const KafkaSettings& settings,
                                                                const std::string& category);

struct TopicSpan {
  int64_t from_ms = std::numeric_limits<int64_t>::min();  // by the records' times
  int64_t to_ms = std::numeric_limits<int64_t>::max();    // exclusive
  bool follow = false;                                    // does not end at the end
};
// 0: all of it was printed, or nobody reads any more; 1: what is missing is said on stderr.
[[nodiscard]] int print_topic(const TopicToPrint& what, const TopicSpan& span);

}  // namespace tailrace
