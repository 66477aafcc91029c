#include "sinks/kafka/kafka_records.h"

#include <boost/test/unit_test.hpp>

#include "sinks/kafka/kafka_settings.h"

namespace tailrace::testing {
namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (const unsigned char c : bytes) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

const KafkaPosition kPosition{{0x0123456789abcdef, 3}, {1'000, 0xfedcba9876543210}, 1, 10, 20};

BOOST_AUTO_TEST_CASE(a_position_is_what_it_was) {
  for (const uint64_t center : {uint64_t{7}, UINT64_MAX}) {
    const KafkaRecord of = encode_position("web", kPosition, center);
    const auto back = decode_position("web", of.key, of.value);
    BOOST_REQUIRE(back.ok());
    BOOST_TEST((**back == kPosition));
    BOOST_TEST(!decode_position("web", of.key + "0", of.value).ok());
    BOOST_TEST(!decode_position("web", of.key.substr(0, of.key.size() - 1), of.value).ok());
  }
  const KafkaRecord record = encode_position("web", kPosition);
  BOOST_TEST(record.key == "position/web/0123456789abcdef/3");
  const auto back = decode_position("web", record.key, record.value);
  BOOST_REQUIRE(back.ok());
  BOOST_TEST((**back == kPosition));
  // Another category's, another kind of record: not ours to read.
  BOOST_TEST(!decode_position("we", record.key, record.value)->has_value());
  BOOST_TEST(!decode_position("web", "sink/1", record.value)->has_value());
}

BOOST_AUTO_TEST_CASE(its_bytes_stay_what_they_are) {
  const std::string value = hex(encode_position("web", kPosition).value);
  BOOST_TEST(value.substr(0, value.size() - 8) ==  // and a sum
             "01efcdab896745230103e8030000000000001032547698badcfe"
             "010a000000000000001400000000000000");
}

BOOST_AUTO_TEST_CASE(whatever_is_broken_is_said_to_be) {
  const KafkaRecord record = encode_position("web", kPosition);
  for (size_t at = 0; at < record.value.size(); ++at) {
    std::string broken = record.value;
    broken[at] = static_cast<char>(broken[at] ^ 4);
    BOOST_TEST(!decode_position("web", record.key, broken).ok());
    BOOST_TEST(!decode_position("web", record.key, record.value.substr(0, at)).ok());
  }
  // Of another stream than its key says.
  BOOST_TEST(!decode_position("web", "position/web/0123456789abcdef/4", record.value).ok());
}

BOOST_AUTO_TEST_CASE(a_sinks_name_is_what_it_was) {
  const KafkaIdentity identity{5, 6, 16};
  const KafkaRecord record = encode_identity(identity);
  BOOST_TEST((**decode_identity(record.key, record.value) == identity));
  BOOST_TEST(!decode_identity("position/x", record.value)->has_value());
  BOOST_TEST(!decode_identity(record.key, "").ok());
}

BOOST_AUTO_TEST_CASE(partitions_are_within_their_topic) {
  for (const uint32_t partitions : {1u, 2u, 16u})
    for (int n = 0; n < 100; ++n) {
      const int32_t p = positions_partition("c" + std::to_string(n), partitions);
      BOOST_TEST(p >= (partitions > 1 ? 1 : 0));
      BOOST_TEST(p < static_cast<int32_t>(partitions));
      const int32_t l =
          lines_partition({static_cast<uint64_t>(n), 0}, static_cast<int32_t>(partitions));
      BOOST_TEST(l >= 0);
      BOOST_TEST(l < static_cast<int32_t>(partitions));
    }
}

BOOST_AUTO_TEST_CASE(addresses_are_read) {
  const auto one = parse_kafka_url("kafka://broker/");
  BOOST_REQUIRE(one.ok());
  BOOST_TEST(one->brokers.at(0) == "broker:9092");
  BOOST_TEST(one->topic_of("web") == "web");
  const auto two = parse_kafka_url("kafka://a:1,b:2/logs.{category}");
  BOOST_REQUIRE(two.ok());
  BOOST_TEST(two->brokers.size() == 2u);
  BOOST_TEST(two->topic_of("web") == "logs.web");
  for (const char* const wrong :
       {"kafka://", "kafka:///x", "kafka://u@h/", "kafka://h/a b", "http://h/"})
    BOOST_TEST(!parse_kafka_url(wrong).ok(), wrong);
}

BOOST_AUTO_TEST_CASE(properties_that_would_break_the_promise_are_refused) {
  BOOST_TEST(!check_kafka_property("acks").ok());
  BOOST_TEST(!check_kafka_property("batch.size").ok());
  BOOST_TEST(!check_kafka_property("message.max.bytes").ok());
  BOOST_TEST(!check_kafka_property("auto.offset.reset").ok());
  BOOST_TEST(!check_kafka_property("transactional.id").ok());
  BOOST_TEST(!check_kafka_property("sasl.kerberos.kinit.cmd").ok());
  BOOST_TEST(check_kafka_property("compression.codec").ok());
}

// Brokers refuse what is too old or too far ahead, for ever.
BOOST_AUTO_TEST_CASE(a_records_time_is_one_that_its_topic_takes) {
  constexpr int64_t kNow = 1'800'000'000'000, kMinute = 60'000, kDay = 1'440 * kMinute;
  const KafkaTimes any = kafka_times({});
  BOOST_TEST(record_time(kNow - 100 * kDay, kNow, any) == kNow - 100 * kDay);  // old is just old
  BOOST_TEST(record_time(kNow + 10 * kMinute, kNow, any) == kNow + 10 * kMinute);
  for (const int64_t off : {kNow + 20 * kMinute, kNow * 2, INT64_MAX, int64_t{0}, int64_t{-1}})
    BOOST_TEST(record_time(off, kNow, any) == kNow);
  const KafkaTimes some = kafka_times({{"message.timestamp.before.max.ms", "86400000"},
                                       {"message.timestamp.after.max.ms", "60000"}});
  BOOST_TEST(record_time(kNow - 100 * kDay, kNow, some) == kNow - kDay / 2);
  BOOST_TEST(record_time(kNow - kMinute, kNow, some) == kNow - kMinute);
  BOOST_TEST(record_time(kNow + 10 * kMinute, kNow, some) == kNow + kMinute / 2);
  // Before Kafka 3.6 both were one, which stays the stricter one up to 3.9.
  const KafkaTimes old = kafka_times({{"message.timestamp.difference.max.ms", "60000"},
                                      {"message.timestamp.after.max.ms", "9223372036854775807"}});
  BOOST_TEST(record_time(kNow - kDay, kNow, old) == kNow - kMinute / 2);
  BOOST_TEST(record_time(kNow + kMinute, kNow, old) == kNow + kMinute / 2);
}

}  // namespace
}  // namespace tailrace::testing
