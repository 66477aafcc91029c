#include "sinks/kafka/kafka_survey.h"

#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "sinks/kafka/kafka_reader.h"

namespace tailrace {

namespace {
constexpr int kIdleMs = 20;
constexpr int kWaitMs = 100;
constexpr int64_t kPatienceMs = 10'000;  // while nothing comes
}  // namespace

Result<std::set<std::string>> kafka_categories(const KafkaSettings& settings) {
  const std::string& topic = settings.positions_topic;
  auto made = KafkaReader::make(settings, topic, kIdleMs);
  if (!made) return made.error();
  KafkaReader& reader = **made;
  auto extents = reader.look(std::nullopt);
  if (!extents) return extents.error();
  std::erase_if(*extents, [](const KafkaExtent& of) { return of.begin == of.end; });
  if (auto begun = reader.read(*extents); !begun) return begun.error();
  std::set<std::string> out;
  const auto take = [&](const KafkaRead& record) {
    if (const auto category = category_of_key(record.key); !category.empty()) out.emplace(category);
  };
  // Up to what is committed: who writes now has written before.
  std::set<int32_t> ended;
  for (int64_t since_ms = mono_ms(); ended.size() < extents->size();) {
    const KafkaReader::Some some = reader.next(kWaitMs, take);
    for (const auto& [partition, offset] : some.ends) ended.insert(partition);
    if (!some.stopped.empty()) return some.stopped.front().second;
    if (some.records > 0 || !some.ends.empty()) since_ms = mono_ms();
    if (mono_ms() - since_ms > kPatienceMs)
      return Error{
          Error::Kind::retry_later,
          settings.server() + "/" + topic + " could not be read to its end: " + reader.trouble()};
  }
  return out;
}

}  // namespace tailrace
