#include "sinks/kafka/kafka_reader.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/nearest.h"
#include "sinks/kafka/kafka_handle.h"

namespace tailrace {

namespace {
constexpr int kAskMs = 5'000;
constexpr int kFirstMs = 4'000;  // for a broker that has just been met to answer
constexpr size_t kMostMessages = 1'000;

using Message = kafka::Owned<rd_kafka_message_t, rd_kafka_message_destroy>;
using Queue = kafka::Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Places = kafka::Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;

// What passes as brokers come and go; the client goes on by itself.
bool passes(rd_kafka_resp_err_t error) {
  constexpr std::array kPass = {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
                                RD_KAFKA_RESP_ERR__RESOLVE,   RD_KAFKA_RESP_ERR__SSL,
                                RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__AUTHENTICATION};
  return std::find(kPass.begin(), kPass.end(), error) != kPass.end();
}

KafkaLines lines_of(const rd_kafka_message_t& message) {
  KafkaLines out;
  out.value = {static_cast<const char*>(message.payload), message.len};
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return out;
  const std::array<std::pair<std::string_view, std::string_view*>, 6> kWanted = {
      {{"stream", &out.stream},
       {"seq", &out.seq},
       {"split", &out.split},
       {"codec", &out.codec},
       {"lines", &out.lines},
       {"raw", &out.raw}}};
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    for (const auto& [wanted, into] : kWanted)
      if (value && wanted == name) *into = {static_cast<const char*>(value), size};
  return out;
}

// Words that belong to a person's next step.
std::string what_to_do(rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    return ": this user needs the right to read it (kafka-acls.sh --add --consumer)";
  if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
      error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
    return ": what stood there is not there any more; the topic's retention removed it";
  if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
      error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
    return ": it was deleted while it was read";
  return "";
}

Error::Kind kind_of(rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) return Error::Kind::rejected;
  if (error == RD_KAFKA_RESP_ERR__BAD_MSG || error == RD_KAFKA_RESP_ERR__BAD_COMPRESSION)
    return Error::Kind::corrupt;
  return Error::Kind::closed;
}
}  // namespace

struct KafkaReader::State {
  State(KafkaSettings settings_in, std::string topic_in)
      : settings(std::move(settings_in)), topic(std::move(topic_in)) {}
  ~State() { stop(); }

  [[nodiscard]] std::string place(int32_t partition, int64_t offset) const {
    return settings.server() + "/" + topic + ", partition " + std::to_string(partition) +
           (offset < 0 ? std::string() : ", offset " + std::to_string(offset));
  }
  [[nodiscard]] Error unanswered(rd_kafka_resp_err_t error, const std::string& what) {
    rd_kafka_poll(asking.get(), 0);
    return Error{Error::Kind::retry_later, words.behind(what + ": " + rd_kafka_err2str(error))};
  }
  [[nodiscard]] Result<int32_t> partitions();
  [[nodiscard]] Result<void> begin_at(int64_t from_ms, std::vector<KafkaExtent>& extents);
  void stop() {
    for (const int32_t partition : reading) rd_kafka_consume_stop(named.get(), partition);
    reading.clear();
  }

  KafkaSettings settings;
  std::string topic;
  kafka::LastWords words;
  kafka::Handle asking;  // sees what no transaction has ended yet
  kafka::Handle handle;
  kafka::Topic named;         // after its handle
  Queue queue;                // so too
  std::set<int32_t> reading;  // partitions
};

Result<std::unique_ptr<KafkaReader>> KafkaReader::make(const KafkaSettings& settings,
                                                       const std::string& topic, int idle_ms) {
  auto state = std::make_unique<State>(settings, topic);
  auto asking = kafka::make(settings, RD_KAFKA_CONSUMER, state->words,
                            {{"isolation.level", "read_uncommitted"}});
  if (!asking) return asking.error();
  auto handle = kafka::make(settings, RD_KAFKA_CONSUMER, state->words,
                            {{"isolation.level", "read_committed"},
                             {"enable.partition.eof", "true"},
                             {"enable.auto.commit", "false"},
                             {"enable.auto.offset.store", "false"},
                             {"auto.offset.reset", "error"},
                             {"check.crcs", "true"},
                             {"fetch.wait.max.ms", std::to_string(idle_ms)},
                             {"queued.max.messages.kbytes", "8192"},
                             {"fetch.max.bytes", "8388608"}});
  if (!handle) return handle.error();
  state->asking = std::move(*asking);
  state->handle = std::move(*handle);
  state->named.reset(rd_kafka_topic_new(state->handle.get(), topic.c_str(), nullptr));
  return std::unique_ptr<KafkaReader>(new KafkaReader(std::move(state)));
}

KafkaReader::KafkaReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
KafkaReader::~KafkaReader() = default;

Result<int32_t> KafkaReader::State::partitions() {
  bool absent = false;
  auto found = kafka::partitions_of(settings, asking.get(), topic, &absent);
  for (const auto end = kafka::Clock::now() + std::chrono::milliseconds(kFirstMs);
       !found && found.error().kind == Error::Kind::retry_later && kafka::left_ms(end) > 0;) {
    rd_kafka_poll(asking.get(), 100);
    found = kafka::partitions_of(settings, asking.get(), topic, &absent);
  }
  if (found) return found;
  rd_kafka_poll(asking.get(), 0);
  std::string text = found.error().text;
  if (!absent)
    return Error{found.error().kind,
                 found.error().kind == Error::Kind::rejected
                     ? text + what_to_do(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
                     : words.behind(text)};
  const auto all = kafka::see_topics(settings, asking.get(), "");
  std::vector<std::string_view> names;
  if (all)
    for (const kafka::TopicSeen& of : all->topics) names.push_back(of.name);
  if (const auto meant = nearest(topic, names); !meant.empty())
    text += "; did you mean '" + std::string(meant) + "'?";
  return Error{Error::Kind::retry_later, text};
}

Result<std::vector<KafkaExtent>> KafkaReader::look(std::optional<int64_t> from_ms) {
  State& s = *state_;
  const auto count = s.partitions();
  if (!count) return count.error();
  std::vector<KafkaExtent> out;
  for (int32_t partition = 0; partition < *count; ++partition) {
    KafkaExtent extent{partition};
    const auto error = kafka::ends_of(s.asking.get(), s.topic, partition, extent.begin, extent.end);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return s.unanswered(error, s.place(partition, -1) + ": its end cannot be asked for");
    out.push_back(extent);
  }
  if (from_ms) {
    if (auto done = s.begin_at(*from_ms, out); !done) return done.error();
  }
  return out;
}

Result<void> KafkaReader::State::begin_at(int64_t from_ms, std::vector<KafkaExtent>& extents) {
  const Places places(rd_kafka_topic_partition_list_new(static_cast<int>(extents.size())));
  for (const KafkaExtent& extent : extents)
    rd_kafka_topic_partition_list_add(places.get(), topic.c_str(), extent.partition)->offset =
        std::max<int64_t>(0, from_ms);
  if (const auto error = rd_kafka_offsets_for_times(asking.get(), places.get(), kAskMs);
      error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return unanswered(error, settings.server() + "/" + topic + ": times cannot be asked for");
  for (KafkaExtent& extent : extents) {
    const auto* const found =
        rd_kafka_topic_partition_list_find(places.get(), topic.c_str(), extent.partition);
    if (!found || found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return unanswered(found ? found->err : RD_KAFKA_RESP_ERR__FAIL,
                        place(extent.partition, -1) + ": times cannot be asked for");
    // Negative: nothing of that time or later.
    extent.begin = found->offset < 0 ? extent.end : std::max(extent.begin, found->offset);
  }
  return {};
}

Result<void> KafkaReader::read(const std::vector<KafkaExtent>& extents) {
  State& s = *state_;
  s.stop();
  s.queue.reset(rd_kafka_queue_new(s.handle.get()));
  for (const KafkaExtent& extent : extents) {
    int64_t low = 0, high = 0;  // also warms the leader
    if (const auto error = kafka::ends_of(s.handle.get(), s.topic, extent.partition, low, high))
      return s.unanswered(error, s.place(extent.partition, -1) + " cannot be read");
    if (rd_kafka_consume_start_queue(s.named.get(), extent.partition, std::max(low, extent.begin),
                                     s.queue.get()) != 0)
      return s.unanswered(rd_kafka_last_error(), s.place(extent.partition, -1) + " cannot be read");
    s.reading.insert(extent.partition);
  }
  return {};
}

KafkaReader::Some KafkaReader::next(int wait_ms, const Each& each) {
  State& s = *state_;
  rd_kafka_poll(s.handle.get(), 0);
  std::array<rd_kafka_message_t*, kMostMessages> room{};
  const ssize_t n =
      rd_kafka_consume_batch_queue(s.queue.get(), wait_ms, room.data(), kMostMessages);
  Some out;
  for (ssize_t i = 0; i < n; ++i) {
    const Message message(room.at(static_cast<size_t>(i)));
    const int32_t partition = message->partition;
    if (s.reading.count(partition) == 0) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++out.records;
      each({partition,
            message->offset,
            rd_kafka_message_timestamp(message.get(), nullptr),
            {static_cast<const char*>(message->key), message->key_len},
            lines_of(*message)});
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      out.ends.emplace_back(partition, message->offset);
    } else if (passes(message->err)) {
      s.words.text = rd_kafka_message_errstr(message.get());
    } else {
      out.stopped.emplace_back(
          partition, Error{kind_of(message->err), s.place(partition, message->offset) + ": " +
                                                      rd_kafka_message_errstr(message.get()) +
                                                      what_to_do(message->err)});
      rd_kafka_consume_stop(s.named.get(), partition);
      s.reading.erase(partition);
    }
  }
  return out;
}

std::string KafkaReader::trouble() {
  rd_kafka_poll(state_->handle.get(), 0);
  return std::exchange(state_->words.text, {});
}

}  // namespace tailrace
