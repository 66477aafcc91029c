// The names that lines travel under: categories, streams, lanes, buckets, chains.
// Thread: any; plain values and pure functions. Test vectors: docs/formats.md, "Hashes".
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace tailrace {

// A number that stands for (category, sub) within one spool and on one connection.
using StreamId = uint32_t;
// A number that stands for one generation of one source file within one spool.
using FileId = uint32_t;

// [a-z0-9][a-z0-9._-]{0,63}: becomes a directory and a topic, so nothing else is let through.
[[nodiscard]] bool valid_category(std::string_view name);

// A stream everywhere: `seq` numbers its lines from 0 without holes.
struct StreamKey {
  uint64_t local_id = 0;
  uint8_t sub = 0;
  auto operator<=>(const StreamKey&) const = default;
};

// A place in a stream: the next line's number, and what all lines before it add up to.
struct Position {
  uint64_t seq = 0;
  uint64_t chain = 0;
  auto operator<=>(const Position&) const = default;
};

// Where a sink stands in a stream.
struct SinkPlace {
  uint64_t sink = 0;
  StreamId stream = 0;
  Position at;
};

// Equal chains at equal positions prove that both ends mean the same bytes.
[[nodiscard]] constexpr uint64_t next_chain(uint64_t before, uint32_t payload_crc, uint32_t count) {
  return mix64(mix64(before ^ payload_crc) ^ (uint64_t{count} << 32));
}

// The unit of ownership at a store: part `part` of `parts` (1, 8 or 64) of a category.
struct Lane {
  std::string category;
  uint8_t parts = 1;
  uint8_t part = 0;
  auto operator<=>(const Lane&) const = default;
};
[[nodiscard]] std::string lane_name(const Lane& lane);  // "nginx.access/8-3"
// Which of `parts` a stream belongs to: the top bits of its hash, so that 8 parts refine 1, 64
// refine 8.
[[nodiscard]] uint8_t lane_part(const StreamKey& key, uint8_t parts);

// A UTC quarter of an hour since 1970, fixed in a batch when it is made.
using Bucket = uint32_t;
inline constexpr int64_t kBucketMs = 15 * 60 * 1000;
[[nodiscard]] constexpr Bucket bucket_of(int64_t wall_ms) {
  return wall_ms < 0 ? 0 : static_cast<Bucket>(wall_ms / kBucketMs);
}
[[nodiscard]] constexpr int64_t bucket_start_ms(Bucket bucket) {
  return int64_t{bucket} * kBucketMs;
}
// What a Center files a bucket under: itself, unless its host's clock is off (more than 15 minutes
// ahead of the Center's, or before 2000), then the Center's own.
[[nodiscard]] Bucket sane_bucket(Bucket bucket, int64_t now_ms);

}  // namespace tailrace
