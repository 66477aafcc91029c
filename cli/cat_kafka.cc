#include "cli/cat_kafka.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/units.h"
#include "cli/line_output.h"
#include "cli/live_line.h"
#include "sinks/kafka/kafka_keytab.h"
#include "sinks/kafka/kafka_reader.h"
#include "sinks/kafka/kafka_survey.h"

namespace tailrace {

namespace {
constexpr int kIdleMs = 20;         // what an end costs, once a partition
constexpr int kFollowIdleMs = 200;  // and while one waits for more
constexpr int kWaitMs = 100;
constexpr int64_t kPatienceMs =
    30'000;                          // while nothing comes; a transaction is given up after 15 s
constexpr int64_t kQuietMs = 1'000;  // before a progress line is worth its space
constexpr int64_t kProgressMs = 200;
constexpr int64_t kSayMs = 10'000;  // between troubles that are told while following
constexpr size_t kFlushBytes = 64 << 10;

class TopicPrinter {
 public:
  TopicPrinter(const TopicToPrint& what, const TopicSpan& span, KafkaReader& reader)
      : name_(what.settings.server() + "/" + what.topic), span_(span), reader_(reader) {}

  int print(const std::vector<KafkaExtent>& extents);

 private:
  void print_partition(const KafkaExtent& extent);
  void follow(std::vector<KafkaExtent> extents);
  void take(const KafkaRead& record);
  void flush();
  void wrong(const std::string& text);
  void show_progress();

  std::string name_;
  const TopicSpan& span_;
  KafkaReader& reader_;
  std::map<int32_t, KafkaUnpacker> unpackers_;  // by partition
  std::string lines_;
  LineOutput output_;
  bool gone_ = false;  // nobody reads any more
  bool failed_ = false;
  int64_t done_ = 0, in_all_ = 0;  // offsets
  int64_t start_ms_ = mono_ms(), shown_ms_ = 0;
  bool quiet_ = isatty(STDOUT_FILENO) == 1;  // the lines themselves are on the terminal
  LiveLine live_;
};

void TopicPrinter::wrong(const std::string& text) {
  live_.clear();
  std::fprintf(stderr, "tailrace cat: %s\n", text.c_str());
  failed_ = true;
}

void TopicPrinter::flush() {
  if (!gone_ && !output_.write(lines_)) gone_ = true;
  lines_.clear();
}

void TopicPrinter::take(const KafkaRead& record) {
  if (record.when_ms < span_.from_ms || record.when_ms >= span_.to_ms || gone_) return;
  if (const auto taken = unpackers_[record.partition].take(record.lines, lines_); !taken)
    wrong(name_ + ", partition " + std::to_string(record.partition) + ", offset " +
          std::to_string(record.offset) + ": " + taken.error().text);
  if (lines_.size() >= kFlushBytes) flush();
}

void TopicPrinter::show_progress() {
  const int64_t now = mono_ms();
  if (quiet_ || now - start_ms_ < kQuietMs || now - shown_ms_ < kProgressMs) return;
  shown_ms_ = now;
  live_.show(std::to_string(in_all_ == 0 ? 100 : done_ * 100 / in_all_) + " %  " +
             show_count(static_cast<uint64_t>(done_)) + " of " +
             show_count(static_cast<uint64_t>(in_all_)) + " offsets  " + name_);
}

// Up to its end as it was asked for; a line that was not whole there, whole.
void TopicPrinter::print_partition(const KafkaExtent& extent) {
  if (const auto begun = reader_.read({extent}); !begun) return wrong(begun.error().text);
  KafkaUnpacker& unpacker = unpackers_[extent.partition];
  const std::string place = name_ + ", partition " + std::to_string(extent.partition);
  const int64_t done_before = done_;
  int64_t at = extent.begin, committed = -1, since_ms = mono_ms();
  const auto each = [&](const KafkaRead& record) {
    at = record.offset + 1;
    if (record.offset < extent.end || (!span_.follow && unpacker.waits_for(record.lines)))
      take(record);
  };
  while (at < extent.end || (!span_.follow && !unpacker.whole() && committed < at)) {
    const KafkaReader::Some some = reader_.next(kWaitMs, each);
    flush();
    if (gone_) return;
    for (const auto& [partition, offset] : some.ends) {
      if (offset > std::max(at, committed)) since_ms = mono_ms();
      committed = offset;
      at = std::max(at, offset);
    }
    if (!some.stopped.empty()) return wrong(some.stopped.front().second.text);
    if (some.records > 0) since_ms = mono_ms();
    done_ = done_before + std::min(at, extent.end) - extent.begin;
    show_progress();
    if (mono_ms() - since_ms < kPatienceMs) continue;
    const std::string trouble = reader_.trouble();
    return wrong(place + (committed >= 0 && trouble.empty()
                              ? ", offset " + std::to_string(committed) +
                                    ": a transaction is open there; what stands behind it is not "
                                    "committed, and not printed"
                              : ", offset " + std::to_string(at) + ": no broker answers" +
                                    (trouble.empty() ? "" : "; last: " + trouble)));
  }
  if (span_.follow) return;
  if (const auto whole = unpacker.finish(lines_); !whole) wrong(place + ": " + whole.error().text);
  flush();
}

// Until nobody reads any more, or the process is ended.
void TopicPrinter::follow(std::vector<KafkaExtent> extents) {
  for (KafkaExtent& of : extents) of.begin = of.end;
  if (const auto begun = reader_.read(extents); !begun) return wrong(begun.error().text);
  size_t left = extents.size();
  int64_t said_ms = mono_ms() - kSayMs;
  while (left > 0 && !gone_) {
    const KafkaReader::Some some =
        reader_.next(kFollowIdleMs, [this](const KafkaRead& record) { take(record); });
    flush();
    for (const auto& [partition, why] : some.stopped) {
      wrong(why.text);
      --left;
    }
    gone_ = gone_ || LineOutput::unread();
    if (mono_ms() - said_ms < kSayMs) continue;
    const std::string trouble = reader_.trouble();
    if (trouble.empty()) continue;
    said_ms = mono_ms();
    std::fprintf(stderr, "tailrace cat: %s: %s; it goes on when a broker answers\n", name_.c_str(),
                 escape(trouble, 512).c_str());
  }
}

int TopicPrinter::print(const std::vector<KafkaExtent>& extents) {
  for (const KafkaExtent& of : extents) in_all_ += of.end - of.begin;
  for (const KafkaExtent& of : extents)
    if (of.begin < of.end && !gone_) print_partition(of);
  if (span_.follow && !gone_) follow(extents);
  if (!output_.trouble().empty()) wrong(output_.trouble());
  return failed_ ? 1 : 0;
}

}  // namespace

Result<std::vector<TopicToPrint>> topics_to_print(const KafkaSettings& settings,
                                                  const std::string& category) {
  if (auto keytab = use_kafka_keytab(settings); !keytab) return keytab.error();
  std::vector<TopicToPrint> out;
  if (!topic_each(settings.topic)) {
    if (!category.empty())
      return Error{Error::Kind::rejected, "the topic '" + settings.topic +
                                              "' may hold several categories, and its records do "
                                              "not say which they are of: leave --category out"};
    out.push_back({settings, settings.topic});
    return out;
  }
  if (!category.empty()) {
    out.push_back({settings, settings.topic_of(category)});
    return out;
  }
  const auto categories = kafka_categories(settings);
  if (!categories)
    return categories.error().within("which topics are meant? Name one (" + settings.server() +
                                     "/TOPIC), or a --category. All were to be read");
  for (const std::string& each : *categories) out.push_back({settings, settings.topic_of(each)});
  return out;
}

int print_topic(const TopicToPrint& what, const TopicSpan& span) {
  const auto failed = [](const Error& why) {
    std::fprintf(stderr, "tailrace cat: %s\n", why.text.c_str());
    return 1;
  };
  const auto reader =
      KafkaReader::make(what.settings, what.topic, span.follow ? kFollowIdleMs : kIdleMs);
  if (!reader) return failed(reader.error());
  std::optional<int64_t> from_ms;
  if (span.from_ms != TopicSpan().from_ms) from_ms = span.from_ms;
  const auto extents = (*reader)->look(from_ms);
  if (!extents) return failed(extents.error());
  return TopicPrinter(what, span, **reader).print(*extents);
}

}  // namespace tailrace
