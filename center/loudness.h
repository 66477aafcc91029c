// Whether a lane is too loud for one Center: how much it took, and of how many streams.
// Thread: the road. Pure. docs/protocol.md, "Several Centers".
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

#include "flow/stream.h"
#include "sinks/format/file_format.h"

namespace tailrace {

// A lane is loud that takes more than so many bytes (compressed) in each such time.
struct SplitPolicy {
  uint64_t bytes = 512ull << 20;
  int64_t each_ms = 3'600'000;
  uint64_t sequence_bytes = 2ull << 30;  // of a category in SequenceFiles, which are larger

  // For a category whose files are such.
  [[nodiscard]] SplitPolicy of(FileFormat format) const {
    return {format == FileFormat::sequence ? sequence_bytes : bytes, each_ms, sequence_bytes};
  }
};

class Loudness {
 public:
  explicit Loudness(int64_t now_ms = 0) : since_ms_(now_ms) {}

  void add(const StreamKey& stream, uint64_t bytes) {
    all_ += bytes;
    of_[stream] += bytes;
  }
  // Once it was watched for the whole time: whether it stayed loud, and no stream alone makes more
  // than half of it, which no split would part. Then it is watched anew. Time: mono.
  [[nodiscard]] bool loud(const SplitPolicy& policy, int64_t now_ms) {
    const int64_t watched_ms = now_ms - since_ms_;
    if (watched_ms < policy.each_ms) return false;
    const bool much = static_cast<double>(all_) * static_cast<double>(policy.each_ms) >
                      static_cast<double>(policy.bytes) * static_cast<double>(watched_ms);
    uint64_t most = 0;
    for (const auto& [stream, bytes] : of_) most = std::max(most, bytes);
    const bool parted = most * 2 <= all_;
    *this = Loudness(now_ms);
    return much && parted;
  }

 private:
  int64_t since_ms_;
  uint64_t all_ = 0;
  std::map<StreamKey, uint64_t> of_;
};

}  // namespace tailrace
