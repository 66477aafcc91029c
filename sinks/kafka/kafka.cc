#include "sinks/kafka/kafka.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "base/log.h"
#include "base/newlines.h"
#include "base/random.h"
#include "flow/codec.h"
#include "sinks/kafka/kafka_handle.h"
#include "sinks/kafka/kafka_window.h"

namespace tailrace {

namespace {
constexpr int kAnswerWaitMs = 5;
constexpr int kFlushMs = 10;
constexpr const char* kGiveUpMs = "15000";   // of a transaction, or of a record without one
constexpr size_t kUsualMessage = 1'000'000;  // the client's limit, unless a topic's is less
constexpr size_t kMostMessage = 100'000'000;
constexpr size_t kRecordOverhead = 512;  // of a record, beside its headers

KafkaReply not_done(KafkaReply::Outcome outcome, std::string why) {
  KafkaReply reply;
  reply.outcome = outcome;
  reply.why = std::move(why);
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
    KafkaWindow window;
    // How far the write under way has come.
    bool writing = false;
    size_t batch = 0, position = 0, offset = 0;
    size_t line = 0;  // where the line begins that `offset` is in
    uint64_t seq = 0;
    std::string stream;         // the batch's, as its header says it
    size_t source = 0;          // of the batch, that the next line came from
    uint64_t source_lines = 0;  // of it that were written
    bool inflated = false, packed = false;
    std::string raw;

    void next_line(const KafkaBatch& of) {
      line = offset;
      ++seq;
      if (source == of.sources.size() || ++source_lines < of.sources[source].lines) return;
      ++source;
      source_lines = 0;
    }
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
  bool prepare(Producer& producer, const KafkaBatch& batch);
  rd_kafka_resp_err_t produce_next(Producer& producer, const KafkaBatch& batch);
  rd_kafka_resp_err_t produce_position(Producer& producer, const std::string& category,
                                       const KafkaPosition& position) const;

  static void close(Producer& producer);
  static bool unanswered(const Producer& producer);
  static void make_room(Producer& producer);

  KafkaSettings settings;
  KafkaIdentity identity;  // its partitions are 0 until they were read
  uint64_t center = 0;
  std::map<std::string, Producer> producers;           // by category
  std::map<std::string, size_t> most_bytes;            // of a record, by topic
  std::array<std::unique_ptr<Inflater>, 4> inflaters;  // by codec
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
    most = std::clamp<size_t>(std::strtoull(said->second.c_str(), nullptr, 10), 2 * kRecordOverhead,
                              kMostMessage);
  if (most < producer.most_bytes && producer.most_bytes == kUsualMessage) {
    close(producer);
    return not_done(KafkaReply::Outcome::again, "the topic's limit was read");
  }
  producer.most_bytes = most;
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
    if (!made) return not_done(KafkaReply::Outcome::again, made.error().text);
    partitions = kafka::partitions_of(settings, producer.handle.get(), name, &absent);
  }
  if (!partitions)
    return not_done(
        KafkaReply::Outcome::again,
        producer.words.behind(partitions.error().text +
                              (absent && !settings.create_topics
                                   ? ": create it, or set create_topics: true; its lines wait"
                                   : "")));
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

KafkaReply Kafka::State::read_positions(Producer& producer, const std::string& category) {
  KafkaReply reply;
  std::map<StreamKey, KafkaPosition> newest;
  const int32_t partition = positions_partition(category, identity.partitions);
  const auto reached =
      kafka::read(settings, partition, producer.handle.get(), true,
                  [&](std::string_view key, std::string_view value) -> Result<void> {
                    auto position = decode_position(category, key, value);
                    if (!position) return position.error();
                    if (!*position) return {};
                    // Nobody's goes back; of Centers that do not fence each other the highest.
                    KafkaPosition& at = newest[(*position)->key];
                    if ((*position)->at.seq >= at.at.seq) at = **position;
                    return {};
                  });
  if (!reached) {
    const bool later = reached.error().kind == Error::Kind::retry_later;
    return not_done(later ? KafkaReply::Outcome::again : KafkaReply::Outcome::over,
                    producer.words.behind(reached.error().text));
  }
  // The first lines of a category, or all that was known of it is gone with the topic.
  if (newest.empty())
    if (auto other = look_whose()) return std::move(*other);
  reply.end = reached->end;
  reply.target = reached->target;
  for (const auto& [key, position] : newest) reply.positions.push_back(position);
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

namespace {
void add_header(rd_kafka_headers_t* headers, std::string_view name, std::string_view value) {
  rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                      static_cast<ssize_t>(value.size()));
}
void add_number(rd_kafka_headers_t* headers, std::string_view name, uint64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  add_header(headers, name, {digits, static_cast<size_t>(end - digits)});
}
// Of the line's file; of all that a packed batch is made of, in order.
void add_paths(rd_kafka_headers_t* headers, const KafkaBatch& batch, size_t source, bool packed) {
  for (size_t i = source; i < batch.sources.size() && (packed || i == source); ++i)
    if (batch.sources[i].path) add_header(headers, "path", *batch.sources[i].path);
}
}  // namespace

// The batch's lines in producer.raw, or that it goes as it is. False: neither, it is broken.
bool Kafka::State::prepare(Producer& producer, const KafkaBatch& batch) {
  const BatchFields& fields = batch.fields;
  producer.inflated = true;
  producer.offset = producer.line = 0;
  producer.seq = fields.first_seq;
  producer.source = producer.source_lines = 0;
  producer.stream = hex16(batch.key.local_id) + "/" + std::to_string(batch.key.sub);
  producer.partition = settings.partition == KafkaPartitioning::stream
                           ? lines_partition(batch.key, producer.partitions)
                           : (producer.partition + 1) % std::max(1, producer.partitions);
  producer.packed =
      settings.form == KafkaForm::packed &&
      batch.payload->size() + kRecordOverhead + batch.host.size() <= producer.most_bytes;
  if (producer.packed) return true;
  auto& inflater = inflaters.at(static_cast<size_t>(fields.payload_codec));
  if (!inflater) inflater = make_inflater(fields.payload_codec);
  const auto inflated = inflater->inflate(*batch.payload, fields.raw_len, producer.raw);
  const bool whole = inflated.ok() && !producer.raw.empty() && producer.raw.back() == '\n' &&
                     count_newlines(producer.raw) == fields.count;
  producer.packed = !whole;
  return whole;
}

// The next line, or a piece of it; or all of a packed batch.
rd_kafka_resp_err_t Kafka::State::produce_next(Producer& producer, const KafkaBatch& batch) {
  const BatchFields& fields = batch.fields;
  const size_t room =
      producer.most_bytes - std::min(producer.most_bytes / 2, kRecordOverhead + batch.host.size());
  std::string_view value = *batch.payload;
  size_t next = 0;
  std::string split;  // of a piece: where in its line it begins, and how long that is
  bool more = false;
  if (!producer.packed) {
    const size_t end = producer.raw.find('\n', producer.offset);
    const size_t size = std::min(end - producer.offset, room);
    more = size < end - producer.offset;
    value = std::string_view(producer.raw).substr(producer.offset, size);
    next = more ? producer.offset + size : end + 1;
    if (more || producer.offset > producer.line)
      split = std::to_string(producer.offset - producer.line) + "/" +
              std::to_string(end - producer.line);
  }
  kafka::Headers headers(rd_kafka_headers_new(settings.headers.size() + 3));
  for (const std::string& name : settings.headers) {
    if (name == "host") add_header(headers.get(), "host", batch.host);
    if (name == "path") add_paths(headers.get(), batch, producer.source, producer.packed);
    if (name == "stream" && split.empty()) add_header(headers.get(), "stream", producer.stream);
    if (name == "seq" && split.empty()) add_number(headers.get(), "seq", producer.seq);
  }
  if (!split.empty()) {  // whatever is asked for: without them it cannot be joined
    add_header(headers.get(), "stream", producer.stream);
    add_number(headers.get(), "seq", producer.seq);
    add_header(headers.get(), "split", split);
  }
  if (producer.packed) {
    add_header(headers.get(), "codec", codec_name(fields.payload_codec));
    add_number(headers.get(), "lines", fields.count);
    add_number(headers.get(), "raw", fields.raw_len);
  }
  const int64_t when =
      fields.least_event_ms != kUnknownTime ? fields.least_event_ms : fields.first_read_ms;
  const rd_kafka_resp_err_t error =
      kafka::produce(producer.handle.get(), {.topic = producer.topic.get(),
                                             .partition = producer.partition,
                                             .value = value,
                                             .when_ms = when,
                                             .headers = headers.get()});
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
  static_cast<void>(headers.release());  // they are the record's now
  producer.window.add(static_cast<size_t>(producer.partition), value.size());
  producer.offset = producer.packed ? producer.raw.size() : next;
  if (!more) producer.next_line(batch);
  if (producer.packed || producer.offset == producer.raw.size()) {
    ++producer.batch;
    producer.inflated = false;
  }
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
  if (!std::exchange(producer.writing, true)) {
    producer.batch = producer.position = 0;
    producer.inflated = false;
  }
  while (producer.batch < what.batches.size() || producer.position < what.positions.size()) {
    rd_kafka_resp_err_t error{};
    if (producer.batch < what.batches.size()) {
      const KafkaBatch& batch = what.batches[producer.batch];
      if (!producer.inflated && !prepare(producer, batch))
        log::error("lines " + std::to_string(batch.fields.first_seq) + " to " +
                       std::to_string(batch.fields.end_seq()) + " of '" + category + "' from " +
                       batch.host + " are not what their head says: they go to Kafka as they came",
                   {{"category", category}});
      error = produce_next(producer, batch);
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
