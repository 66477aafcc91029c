#include "sinks/kafka/kafka_records.h"

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/random.h"

namespace tailrace {

namespace {
constexpr std::string_view kIdentityKey = "sink/";
constexpr std::string_view kPositionKey = "position/";
constexpr uint8_t kVersion = 1;
constexpr size_t kSumBytes = 4;

void add_sum(std::string& value) { ByteWriter(value).u32(crc32c(value)); }

// What stands between the version and the sum.
Result<std::string_view> inside(std::string_view value, std::string_view what) {
  const auto broken = [&](const std::string& why) {
    return Error{Error::Kind::corrupt, "a " + std::string(what) + " in Kafka is broken: " + why};
  };
  if (value.size() < 1 + kSumBytes) return broken("cut short");
  ByteReader sum(value.substr(value.size() - kSumBytes));
  if (sum.u32() != crc32c(value.substr(0, value.size() - kSumBytes))) return broken("its sum");
  if (static_cast<uint8_t>(value[0]) > kVersion)
    return Error{Error::Kind::rejected,
                 "a " + std::string(what) + " in Kafka was written by a newer version of Tailrace"};
  return value.substr(1, value.size() - 1 - kSumBytes);
}

std::string position_key(const std::string& category, const StreamKey& stream) {
  return std::string(kPositionKey) + category + "/" + hex16(stream.local_id) + "/" +
         std::to_string(stream.sub);
}
}  // namespace

KafkaRecord encode_identity(const KafkaIdentity& identity) {
  KafkaRecord record{std::string(kIdentityKey) + hex16(identity.sink), {}};
  ByteWriter out(record.value);
  out.u8(kVersion);
  out.u64(identity.sink);
  out.u64(identity.cluster);
  out.u32(identity.partitions);
  add_sum(record.value);
  return record;
}

Result<std::optional<KafkaIdentity>> decode_identity(std::string_view key, std::string_view value) {
  if (!key.starts_with(kIdentityKey)) return std::optional<KafkaIdentity>();
  const auto bytes = inside(value, "sink's name");
  if (!bytes) return bytes.error();
  ByteReader in(*bytes);
  KafkaIdentity out;
  out.sink = in.u64();
  out.cluster = in.u64();
  out.partitions = in.u32();
  if (!in.done() || out.sink == 0 || out.cluster == 0 || out.partitions == 0)
    return Error{Error::Kind::corrupt, "a sink's name in Kafka is broken"};
  return std::optional(out);
}

KafkaRecord encode_position(const std::string& category, const KafkaPosition& position,
                            uint64_t center) {
  KafkaRecord record{position_key(category, position.key), {}};
  if (center != 0) record.key += "/" + hex16(center);
  ByteWriter out(record.value);
  out.u8(kVersion);
  out.u64(position.key.local_id);
  out.u8(position.key.sub);
  out.u64(position.at.seq);
  out.u64(position.at.chain);
  out.u8(position.flags);
  out.u64(position.origin);
  out.u64(position.lost);
  add_sum(record.value);
  return record;
}

Result<std::optional<KafkaPosition>> decode_position(const std::string& category,
                                                     std::string_view key, std::string_view value) {
  if (!key.starts_with(std::string(kPositionKey) + category + "/"))
    return std::optional<KafkaPosition>();
  const auto bytes = inside(value, "position");
  if (!bytes) return bytes.error();
  ByteReader in(*bytes);
  KafkaPosition out;
  out.key.local_id = in.u64();
  out.key.sub = in.u8();
  out.at.seq = in.u64();
  out.at.chain = in.u64();
  out.flags = in.u8();
  out.origin = in.u64();
  out.lost = in.u64();
  const bool sane = out.origin <= out.at.seq && out.lost <= out.at.seq - out.origin;
  const std::string plain = position_key(category, out.key);
  const bool its =
      key == plain || (key.size() == plain.size() + 17 && key.starts_with(plain) &&
                       parse_hex16(key.substr(plain.size() + 1)) != 0 && key[plain.size()] == '/');
  if (!in.done() || !sane || !its)
    return Error{Error::Kind::corrupt, "a position in Kafka is broken: it is not its key's"};
  return std::optional(out);
}

KafkaTimes kafka_times(const std::map<std::string, std::string>& config) {
  KafkaTimes out;
  const auto at_most = [&](const char* name, int64_t& most) {
    const auto found = config.find(name);
    if (found == config.end() || found->second.empty()) return;
    most = std::clamp<int64_t>(std::strtoll(found->second.c_str(), nullptr, 10), 0, most);
  };
  at_most("message.timestamp.before.max.ms", out.before_ms);
  at_most("message.timestamp.after.max.ms", out.after_ms);
  for (int64_t* const of : {&out.before_ms, &out.after_ms})
    at_most("message.timestamp.difference.max.ms", *of);
  return out;
}

int64_t record_time(int64_t said_ms, int64_t now_ms, const KafkaTimes& takes) {
  constexpr int64_t k2000 = 946'684'800'000;
  if (said_ms < k2000 || said_ms > now_ms + kBucketMs) return now_ms;
  return std::clamp(said_ms, now_ms - takes.before_ms / 2, now_ms + takes.after_ms / 2);
}

int32_t positions_partition(const std::string& category, uint32_t partitions) {
  if (partitions < 2) return 0;
  return static_cast<int32_t>(1 + xxh3(category) % (partitions - 1));
}

int32_t lines_partition(const StreamKey& stream, int32_t partitions) {
  if (partitions < 2) return 0;
  return static_cast<int32_t>(mix64(stream.local_id ^ mix64(stream.sub)) %
                              static_cast<uint64_t>(partitions));
}

}  // namespace tailrace
