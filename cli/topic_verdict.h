// What to think of a topic that a sink needs, and what to do: `tailrace topics`, `check --connect`.
// Thread: any; pure functions.
#pragma once

#include <string>

#include "cli/probe.h"
#include "sinks/kafka/kafka_topics.h"

namespace tailrace {

struct TopicVerdict {
  Probe::Verdict verdict = Probe::Verdict::ok;
  std::string found;  // "ok", "MISSING"; a few words
  std::string mend;   // unless ok: what to do
};
// `brokers`: how many there are.
[[nodiscard]] TopicVerdict judge_topic(const KafkaSettings& settings, const KafkaTopicFacts& topic,
                                       size_t brokers);

}  // namespace tailrace
