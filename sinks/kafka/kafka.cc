#include "sinks/kafka/kafka.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "sinks/kafka/kafka_cutter.h"
#include "sinks/kafka/kafka_handle.h"
#include "sinks/kafka/kafka_reading.h"
#include "sinks/kafka/kafka_window.h"

namespace tailrace {

namespace {
constexpr int kAnswerWaitMs = 5;
constexpr int kFlushMs = 10;
constexpr const char* kGiveUpMs = "15000";   // of a transaction, or of a record without one
constexpr size_t kUsualMessage = 1'000'000;  // the client's limit, unless a topic's is less
constexpr size_t kMostMessage = 100'000'000;

KafkaReply not_done(KafkaReply::Outcome outcome, std::string why) {
  KafkaReply reply;
  reply.outcome = outcome;
  reply.why = std::move(why);
  return reply;
}
KafkaReply lacking(std::string why) {
  KafkaReply reply = not_done(KafkaReply::Outcome::again, std::move(why));
  reply.lacks = true;
  return reply;
}
}  // namespace

struct Kafka::State {
  explicit State(KafkaSettings settings_in) : settings(std::move(settings_in)) {}

  struct Producer {
    uint64_t number = 0;
    kafka::LastWords words;
    kafka::Handle handle;
    kafka::Topic topic;
    kafka::Topic positions;
    int32_t partitions = 0;
    int32_t partition = 0;              // of the batch under way
    size_t most_bytes = kUsualMessage;  // of a record
    bool initialised = false;
    bool in_transaction = false;
    std::unique_ptr<kafka::Reading> reading;    // under way
    std::map<StreamKey, KafkaPosition> newest;  // that it has found
    KafkaWindow window;
    KafkaTimes times;
    // How far the write under way has come.
    bool writing = false;
    size_t batch = 0, position = 0;
    int64_t when_ms = 0;  // that the batch's records say
    KafkaCutter cutter;
  };

  [[nodiscard]] KafkaReply failed(const Producer& producer, const rd_kafka_error_t* error,
                                  const std::string& what) const;

  KafkaReply open(const KafkaCall& call, const KafkaOpen& what);
  std::optional<KafkaReply> find_topic(Producer& producer, const std::string& category);
  KafkaReply read_positions(Producer& producer, const std::string& category);
  std::optional<KafkaReply> look_whose();
  KafkaReply write(Producer& producer, const std::string& category, const KafkaWrite& what);
  static std::optional<KafkaReply> flush(Producer& producer);
  KafkaReply commit(Producer& producer);
  void prepare(Producer& producer, const std::string& category, const KafkaBatch& batch);
  static rd_kafka_resp_err_t produce_next(Producer& producer);
  rd_kafka_resp_err_t produce_position(Producer& producer, const std::string& category,
                                       const KafkaPosition& position) const;

  static void close(Producer& producer);
  static bool unanswered(const Producer& producer);
  static void make_room(Producer& producer);

  KafkaSettings settings;
  KafkaIdentity identity;  // its partitions are 0 until they were read
  uint64_t center = 0;
  std::map<std::string, Producer> producers;  // by category
  std::map<std::string, size_t> most_bytes;   // of a record, by topic
  KafkaCutter::Inflaters inflaters;
};

KafkaReply Kafka::State::failed(const Producer& producer, const rd_kafka_error_t* error,
                                const std::string& what) const {
  const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  const bool over = rd_kafka_error_is_fatal(error) || rd_kafka_error_txn_requires_abort(error) ||
                    !rd_kafka_error_is_retriable(error);
  const bool fenced = over && (code == RD_KAFKA_RESP_ERR__FENCED ||
                               code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
                               code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
  std::string why = fenced ? "another Center has taken this lane, or Kafka was away for too long"
                           : producer.words.behind(what + ": " + rd_kafka_error_string(error));
  if (code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    why += "; allow the transactional ids tailrace.*, or set delivery: at_least_once";
  return not_done(over ? KafkaReply::Outcome::over : KafkaReply::Outcome::again, std::move(why));
}

// --- a lane's producer ---------------------------------------------------------------------------

// Its topics before its handle.
void Kafka::State::close(Producer& producer) {
  producer.topic.reset();
  producer.positions.reset();
  producer.handle.reset();
  producer = Producer();
}

KafkaReply Kafka::State::open(const KafkaCall& call, const KafkaOpen& what) {
  Producer& producer = producers[call.category];
  const std::string topic = settings.topic_of(call.category);
  if (producer.number != call.producer || !producer.handle) {
    close(producer);
    producer.number = call.producer;
    const auto known = most_bytes.find(topic);
    producer.most_bytes = known == most_bytes.end() ? kUsualMessage : known->second;
    std::map<std::string, std::string> properties = {
        {"isolation.level", "read_uncommitted"},  // of watermarks
        {"message.max.bytes", std::to_string(kMostMessage)},
        {"batch.size", std::to_string(std::min(producer.most_bytes, kUsualMessage))}};
    if (settings.exactly_once())
      properties.insert(
          {{"transactional.id", what.transactional_id}, {"transaction.timeout.ms", kGiveUpMs}});
    else
      properties.insert({{"enable.idempotence", "true"},
                         {"acks", "all"},
                         {"message.timeout.ms", kGiveUpMs},
                         {"delivery.report.only.error", "true"}});
    auto made = kafka::make(settings, RD_KAFKA_PRODUCER, producer.words, properties);
    if (!made) return not_done(KafkaReply::Outcome::over, made.error().text);
    producer.handle = std::move(*made);
    producer.window = KafkaWindow(std::min(producer.most_bytes, kUsualMessage));
  }
  rd_kafka_poll(producer.handle.get(), 0);
  if (!producer.initialised && settings.exactly_once()) {
    if (const kafka::Failure error(rd_kafka_init_transactions(producer.handle.get(), kKafkaCallMs));
        error)
      return failed(producer, error.get(), "no transactions yet");
    producer.initialised = true;
  }
  if (auto waits = find_topic(producer, call.category)) return *waits;
  // A topic that takes less than is usual needs a client that sends less at once.
  size_t& most = most_bytes.try_emplace(topic, producer.most_bytes).first->second;
  const auto config = kafka::config_of(producer.handle.get(), topic);
  if (const auto said = config.find("max.message.bytes"); said != config.end())
    most = std::clamp<size_t>(std::strtoull(said->second.c_str(), nullptr, 10),
                              KafkaCutter::kLeastRecord, kMostMessage);
  if (most < producer.most_bytes && producer.most_bytes == kUsualMessage) {
    close(producer);
    return not_done(KafkaReply::Outcome::again, "the topic's limit was read");
  }
  producer.most_bytes = most;
  producer.times = kafka_times(config);
  return {};
}

// nullopt: it is there.
std::optional<KafkaReply> Kafka::State::find_topic(Producer& producer,
                                                   const std::string& category) {
  const std::string name = settings.topic_of(category);
  // Named before they are asked for: else a first record waits a second for the client to look.
  const auto named = [&](const std::string& topic) {
    return kafka::Topic(rd_kafka_topic_new(producer.handle.get(), topic.c_str(), nullptr));
  };
  if (!producer.topic) {
    producer.topic = named(name);
    producer.positions = named(settings.positions_topic);
  }
  bool absent = false;
  static_cast<void>(
      kafka::partitions_of(settings, producer.handle.get(), settings.positions_topic, &absent)
          .ok());
  auto partitions = kafka::partitions_of(settings, producer.handle.get(), name, &absent);
  if (!partitions && absent && settings.create_topics) {
    const auto made = kafka::create(producer.handle.get(), name, -1, false);
    if (!made) return lacking(made.error().text);
    partitions = kafka::partitions_of(settings, producer.handle.get(), name, &absent);
  }
  if (!partitions) {
    const std::string why = producer.words.behind(
        partitions.error().text + (absent && !settings.create_topics
                                       ? ": create it, or set create_topics: true; its lines wait"
                                       : ""));
    return partitions.error().kind == Error::Kind::rejected
               ? lacking(why)
               : not_done(KafkaReply::Outcome::again, why);
  }
  producer.partitions = *partitions;
  return std::nullopt;
}

// Whether the positions' topic is this sink's. nullopt: it is.
std::optional<KafkaReply> Kafka::State::look_whose() {
  const auto found = kafka::identity(settings, identity.cluster, identity.sink);
  if (!found)
    return not_done(found.error().kind == Error::Kind::retry_later ? KafkaReply::Outcome::again
                                                                   : KafkaReply::Outcome::over,
                    found.error().text);
  if (found->sink != identity.sink)
    return not_done(KafkaReply::Outcome::over,
                    "'" + settings.positions_topic + "' at " + settings.server() +
                        " is another sink's than before: was it made anew? Nothing is written");
  identity = *found;
  return std::nullopt;
}

// Goes on where it stopped, if it is not at the end yet.
KafkaReply Kafka::State::read_positions(Producer& producer, const std::string& category) {
  const auto failed = [&](const Error& error) {
    producer.reading.reset();
    const bool later = error.kind == Error::Kind::retry_later;
    return not_done(later ? KafkaReply::Outcome::again : KafkaReply::Outcome::over,
                    producer.words.behind(error.text));
  };
  if (!producer.reading) {
    auto begun = kafka::Reading::begin(settings, positions_partition(category, identity.partitions),
                                       producer.handle.get(), true);
    if (!begun) return failed(begun.error());
    producer.reading = std::move(*begun);
    producer.newest.clear();
  }
  const auto each = [&](std::string_view key, std::string_view value) -> Result<void> {
    auto position = decode_position(category, key, value);
    if (!position) return position.error();
    if (!*position) return {};
    // Nobody's goes back; of Centers that do not fence each other the highest.
    KafkaPosition& at = producer.newest[(*position)->key];
    if ((*position)->at.seq >= at.at.seq) at = **position;
    return {};
  };
  const auto whole = producer.reading->go_on(kKafkaCallMs, each);
  if (!whole) return failed(whole.error());
  KafkaReply reply;
  reply.end = static_cast<uint64_t>(producer.reading->at());
  reply.target = static_cast<uint64_t>(producer.reading->target());
  if (!*whole) {
    reply.why = producer.reading->waits_for();
    return reply;
  }
  producer.reading.reset();
  // The first lines of a category, or all that was known of it is gone with the topic.
  if (producer.newest.empty())
    if (auto other = look_whose()) return std::move(*other);
  for (const auto& [key, position] : std::exchange(producer.newest, {}))
    reply.positions.push_back(position);
  return reply;
}

// Until all that was produced is at the brokers. nullopt: it is.
std::optional<KafkaReply> Kafka::State::flush(Producer& producer) {
  const bool all = rd_kafka_flush(producer.handle.get(), kKafkaCallMs) == 0;
  if (producer.words.undelivered != 0)
    return not_done(KafkaReply::Outcome::over,
                    "a record was given up: " + producer.words.text + "; all is sent again");
  if (all) {
    producer.window.sent();
    return std::nullopt;
  }
  return not_done(KafkaReply::Outcome::again,
                  producer.words.behind("the brokers do not take what is sent"));
}

KafkaReply Kafka::State::commit(Producer& producer) {
  if (!settings.exactly_once()) return flush(producer).value_or(KafkaReply());
  const auto end = kafka::Clock::now() + std::chrono::milliseconds(kKafkaCallMs);
  rd_kafka_t* const handle = producer.handle.get();
  rd_kafka_poll(handle, 0);
  while (unanswered(producer)) {
    if (kafka::left_ms(end) == 0)
      return not_done(KafkaReply::Outcome::again,
                      producer.words.behind("not all of a transaction is answered"));
    rd_kafka_poll(handle, kAnswerWaitMs);
  }
  if (const kafka::Failure error(rd_kafka_commit_transaction(handle, kKafkaCallMs)); error)
    return failed(producer, error.get(), "a transaction does not end");
  producer.window.sent();
  producer.in_transaction = false;
  producer.words.text.clear();
  return {};
}

// Anything that was sent: the client must not be told to send all meanwhile (kafka_window.h).
bool Kafka::State::unanswered(const Producer& producer) {
  return static_cast<size_t>(rd_kafka_outq_len(producer.handle.get())) >
         producer.window.held() + producer.position;
}

void Kafka::State::make_room(Producer& producer) {
  rd_kafka_t* const handle = producer.handle.get();
  if (unanswered(producer))
    rd_kafka_poll(handle, kAnswerWaitMs);
  else if (rd_kafka_flush(handle, kFlushMs) == RD_KAFKA_RESP_ERR_NO_ERROR)
    producer.window.sent();
}

// --- lines ---------------------------------------------------------------------------------------

void Kafka::State::prepare(Producer& producer, const std::string& category,
                           const KafkaBatch& batch) {
  producer.partition = settings.partition == KafkaPartitioning::stream
                           ? lines_partition(batch.key, producer.partitions)
                           : (producer.partition + 1) % std::max(1, producer.partitions);
  const BatchFields& fields = batch.fields;
  producer.when_ms = record_time(
      fields.least_event_ms != kUnknownTime ? fields.least_event_ms : fields.first_read_ms,
      wall_ms(), producer.times);
  if (producer.cutter.begin(batch, settings, producer.most_bytes, inflaters)) return;
  log::error("lines " + std::to_string(fields.first_seq) + " to " +
                 std::to_string(fields.end_seq()) + " of '" + category + "' from " + batch.host +
                 " are not what their head says: they go to Kafka as they came",
             {{"category", category}});
}

rd_kafka_resp_err_t Kafka::State::produce_next(Producer& producer) {
  KafkaCutter& cutter = producer.cutter;
  kafka::Headers headers(rd_kafka_headers_new(cutter.headers().size()));
  for (const auto& [name, value] : cutter.headers())
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  const size_t size = cutter.value().size();
  const rd_kafka_resp_err_t error =
      kafka::produce(producer.handle.get(), {.topic = producer.topic.get(),
                                             .partition = producer.partition,
                                             .value = cutter.value(),
                                             .when_ms = producer.when_ms,
                                             .headers = headers.get()});
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
  static_cast<void>(headers.release());  // they are the record's now
  producer.window.add(static_cast<size_t>(producer.partition), size);
  if (!cutter.next()) ++producer.batch;
  return error;
}

rd_kafka_resp_err_t Kafka::State::produce_position(Producer& producer, const std::string& category,
                                                   const KafkaPosition& position) const {
  const KafkaRecord record =
      encode_position(category, position, settings.exactly_once() ? 0 : center);
  const int32_t partition = positions_partition(category, identity.partitions);
  return kafka::produce(producer.handle.get(), {.topic = producer.positions.get(),
                                                .partition = partition,
                                                .key = record.key,
                                                .value = record.value});
}

// Goes on where it stopped, if it came back `again`.
KafkaReply Kafka::State::write(Producer& producer, const std::string& category,
                               const KafkaWrite& what) {
  const auto end = kafka::Clock::now() + std::chrono::milliseconds(kKafkaCallMs);
  rd_kafka_t* const handle = producer.handle.get();
  rd_kafka_poll(handle, 0);
  if (!producer.in_transaction && settings.exactly_once()) {
    if (const kafka::Failure error(rd_kafka_begin_transaction(handle)); error)
      return failed(producer, error.get(), "no transaction begins");
    producer.in_transaction = true;
  }
  if (!std::exchange(producer.writing, true)) producer.batch = producer.position = 0;
  while (producer.batch < what.batches.size() || producer.position < what.positions.size()) {
    rd_kafka_resp_err_t error{};
    if (producer.batch < what.batches.size()) {
      if (!producer.cutter.begun()) prepare(producer, category, what.batches[producer.batch]);
      error = produce_next(producer);
    } else if (auto waits = settings.exactly_once() || producer.position > 0 ? std::nullopt
                                                                             : flush(producer)) {
      return *waits;
    } else {
      error = produce_position(producer, category, what.positions[producer.position]);
      producer.position += error == RD_KAFKA_RESP_ERR_NO_ERROR ? 1 : 0;
    }
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      if (kafka::left_ms(end) == 0)
        return not_done(KafkaReply::Outcome::again,
                        producer.words.behind("the queue to the brokers is full"));
      make_room(producer);
    } else if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return not_done(
          KafkaReply::Outcome::over,
          producer.words.behind(std::string("a record is refused: ") + rd_kafka_err2str(error)));
    }
  }
  producer.writing = false;
  return {};
}

// --- the door ------------------------------------------------------------------------------------

Kafka::Kafka(KafkaSettings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Kafka::~Kafka() {
  for (auto& [category, producer] : state_->producers) State::close(producer);
}
void Kafka::know(uint64_t sink, uint64_t center) {
  state_->identity.sink = sink;
  state_->center = center;
}

Result<KafkaIdentity> Kafka::identity(uint64_t cluster, uint64_t known) {
  return kafka::identity(state_->settings, cluster, known);
}

KafkaReply Kafka::call(const KafkaCall& call) {
  State& s = *state_;
  if (const auto* open = std::get_if<KafkaOpen>(&call.what)) {
    if (s.identity.partitions == 0)
      if (auto other = s.look_whose()) return std::move(*other);
    return s.open(call, *open);
  }
  const auto found = s.producers.find(call.category);
  if (std::holds_alternative<KafkaClose>(call.what)) {
    if (found == s.producers.end()) return {};
    State::close(found->second);
    s.producers.erase(found);
    return {};
  }
  if (found == s.producers.end() || found->second.number != call.producer)
    return not_done(KafkaReply::Outcome::over, "its producer is closed");
  State::Producer& producer = found->second;
  if (const auto* write = std::get_if<KafkaWrite>(&call.what))
    return s.write(producer, call.category, *write);
  if (std::holds_alternative<KafkaCommit>(call.what)) return s.commit(producer);
  return s.read_positions(producer, call.category);
}

}  // namespace tailrace
