#include "flow/stream.h"

#include <algorithm>
#include <cstring>

namespace tailrace {

bool valid_category(std::string_view name) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 64 || !alnum(name.front())) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::string lane_name(const Lane& lane) {
  return lane.category + "/" + std::to_string(lane.parts) + "-" + std::to_string(lane.part);
}

uint8_t lane_part(const StreamKey& key, uint8_t parts) {
  const uint64_t hash = mix64(key.local_id ^ mix64(key.sub));
  switch (parts) {
    case 8: return static_cast<uint8_t>(hash >> 61);
    case 64: return static_cast<uint8_t>(hash >> 58);
    default: return 0;
  }
}

Bucket sane_bucket(Bucket bucket, int64_t now_ms) {
  constexpr Bucket k2000 = bucket_of(946'684'800'000);
  const bool ahead = bucket_start_ms(bucket) > now_ms + kBucketMs;
  return ahead || bucket < k2000 ? bucket_of(now_ms) : bucket;
}

}  // namespace tailrace
