// How many records Kafka's client may hold back: it sends those of a partition once they fill a
// batch, or when it is told that a transaction ends. Told so while others are unanswered, it asks
// for the answer in a loop that never sleeps: whoever ends a transaction waits first until no more
// records are under way than it may hold back.
// Thread: belongs to one owner. Pure: numbers of records and bytes come in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tailrace {

class KafkaWindow {
 public:
  // Of one batch: the client's batch.size.
  explicit KafkaWindow(size_t batch_bytes = 1'000'000)
      : slice_bytes_(batch_bytes / (kSlices - 1)) {}

  // A record was given to it: the bytes of its key and value.
  void add(size_t partition, size_t bytes) {
    if (partition >= newest_.size()) newest_.resize(partition + 1);
    Newest& of = newest_[partition];
    if (of.bytes >= slice_bytes_) {
      of.at = (of.at + 1) % kSlices;
      held_ -= of.records[of.at];
      of.records[of.at] = 0;
      of.bytes = 0;
    }
    ++of.records[of.at];
    of.bytes += bytes;
    ++held_;
  }
  // All have been sent.
  void sent() {
    newest_.clear();
    held_ = 0;
  }

  // Records that it may hold back, at the most: of each partition the newest, which fill one batch
  // and a ninth at the least.
  [[nodiscard]] size_t held() const { return held_; }

 private:
  static constexpr size_t kSlices = 9;
  struct Newest {
    std::array<uint32_t, kSlices> records{};  // of each slice
    size_t at = 0;                            // the slice that is filled now
    size_t bytes = 0;                         // of it
  };
  size_t slice_bytes_;
  size_t held_ = 0;
  std::vector<Newest> newest_;  // by partition
};

}  // namespace tailrace
