#include "sinks/kafka/kafka_reading.h"

#include <algorithm>

namespace tailrace::kafka {

namespace {
using Message = Owned<rd_kafka_message_t, rd_kafka_message_destroy>;
using TopicList = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
}  // namespace

Error Reading::later(rd_kafka_resp_err_t error) const {
  return Error{Error::Kind::retry_later,
               "'" + topic_ + "' cannot be read: " + rd_kafka_err2str(error)};
}

Result<std::unique_ptr<Reading>> Reading::begin(const KafkaSettings& settings, int32_t partition,
                                                rd_kafka_t* asked, bool committed) {
  const std::string& topic = settings.positions_topic;
  int64_t low = 0, high = 0;
  const auto error = ends_of(asked, topic, partition, low, high);
  std::unique_ptr<Reading> out(new Reading(topic, low, high));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return out->later(error);
  if (low == high) return out;
  // What is not there any more is never passed over.
  auto reader = make(settings, RD_KAFKA_CONSUMER, out->words_,
                     {{"group.id", "tailrace"},
                      {"isolation.level", committed ? "read_committed" : "read_uncommitted"},
                      {"enable.partition.eof", "true"},
                      {"enable.auto.commit", "false"},
                      {"enable.auto.offset.store", "false"},
                      {"auto.offset.reset", "error"},
                      {"fetch.wait.max.ms", "10"}});
  if (!reader) return reader.error();
  out->reader_ = std::move(*reader);
  rd_kafka_t* const handle = out->reader_.get();
  rd_kafka_poll_set_consumer(handle);
  int64_t l = 0, h = 0;  // warms the leader
  if (const auto unasked = ends_of(handle, topic, partition, l, h)) return out->later(unasked);
  const TopicList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = low;
  if (const auto refused = rd_kafka_assign(handle, list.get())) return out->later(refused);
  return out;
}

Result<bool> Reading::go_on(int most_ms, const EachRecord& each) {
  const auto until = Clock::now() + std::chrono::milliseconds(most_ms);
  while (at_ < target_ && left_ms(until) > 0) {
    const Message message(rd_kafka_consumer_poll(reader_.get(), std::min(100, left_ms(until))));
    if (!message) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      at_ = message->offset;
      held_up_ = true;
    } else if (message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) {
      continue;  // the library looks for the group's coordinator, which nobody needs
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return later(message->err);
    } else if (auto taken = each({static_cast<const char*>(message->key), message->key_len},
                                 {static_cast<const char*>(message->payload), message->len});
               taken) {
      at_ = message->offset + 1;
      held_up_ = false;
    } else {
      return taken.error();
    }
  }
  return at_ >= target_;
}

std::string Reading::waits_for() const {
  if (held_up_) return "a transaction in the positions' topic does not end";
  const int64_t percent = (at_ - low_) * 100 / std::max<int64_t>(1, target_ - low_);
  return words_.behind("how far its lines came is being read, " + std::to_string(percent) +
                       " % of '" + topic_ + "'");
}

}  // namespace tailrace::kafka
