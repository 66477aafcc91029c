#include "sinks/kafka/kafka_handle.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "sinks/kafka/kafka_keytab.h"
#include "sinks/kafka/kafka_topics.h"

namespace tailrace::kafka {

namespace {
constexpr int kAskMs = 2'000;
constexpr int kAdminMs = 10'000;
constexpr int kHearMs = 1'000;

using Queue = Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using TopicList = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using NewTopic = Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;
using Resource = Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;
struct DropMetadata {
  void operator()(const rd_kafka_metadata_t* it) const { rd_kafka_metadata_destroy(it); }
};
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, DropMetadata>;

// What a person does about what was said; empty: that tells it.
std::string hint_for(std::string_view said) {
  using Hint = std::pair<std::string_view, std::string_view>;
  static constexpr std::array kHints = {
      Hint{"SSL alert number",
           "the broker does not take our certificate: do ssl.certificate.location and "
           "ssl.key.location name one that its authorities have signed?"},
      Hint{"unexpected eof while reading", "is this a port of TLS?"},
      Hint{"SASL mechanism SCRAM",
           "the password, or: Kafka 4 refuses SCRAM of librdkafka before 2.6.1"},
      Hint{"No credentials were supplied",
           "no ticket can be had: does sasl.kerberos.keytab name a keytab that this user may "
           "read, and does the KDC know its first principal?"},
      Hint{"icket expired", "name a keytab by sasl.kerberos.keytab, and new ones are got by it"},
  };
  const auto found = std::find_if(kHints.begin(), kHints.end(), [&](const Hint& hint) {
    return said.find(hint.first) != std::string_view::npos;
  });
  return found == kHints.end() ? "" : " (" + std::string(found->second) + ")";
}

// That all brokers are down follows what keeps each of them away, and says less.
void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  std::string& text = static_cast<LastWords*>(opaque)->text;
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !text.empty()) return;
  text = reason + hint_for(reason);
}

// The client's library names no file.
Result<void> files_are_there(const KafkaSettings& settings) {
  for (const char* const name :
       {"ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.crl.location",
        "ssl.keystore.location", "sasl.kerberos.keytab"}) {
    const auto found = settings.properties.find(name);
    if (found == settings.properties.end() || found->second == "probe") continue;
    if (::access(found->second.c_str(), R_OK) != 0)
      return Error{Error::Kind::rejected, std::string(name) + ": " + found->second +
                                              " cannot be read: " + std::strerror(errno)};
  }
  return {};
}
void on_undelivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  auto& words = *static_cast<LastWords*>(opaque);
  ++words.undelivered;
  words.text = rd_kafka_err2str(message->err);
}
void on_log(const rd_kafka_t*, int, const char*, const char* text) {
  log::debug(std::string("librdkafka: ") + text);
}
}  // namespace

void drop(rd_kafka_t* handle) {
  rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

Error heard(rd_kafka_t* handle, const LastWords& words, const Error& error) {
  rd_kafka_poll(handle, 0);
  for (const auto end = Clock::now() + std::chrono::milliseconds(kHearMs);
       words.text.empty() && left_ms(end) > 0;)
    rd_kafka_poll(handle, left_ms(end));
  return Error{error.kind, words.behind(error.text)};
}

int left_ms(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

Result<Handle> make(const KafkaSettings& settings, rd_kafka_type_t type, LastWords& words,
                    const std::map<std::string, std::string>& more) {
  std::string brokers;
  for (const std::string& broker : settings.brokers)
    brokers += (brokers.empty() ? "" : ",") + broker;
  std::map<std::string, std::string> all = {
      {"bootstrap.servers", brokers},
      {"client.id", "tailrace"},
      {"socket.timeout.ms", "5000"},  // of a frozen broker
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "500"},
      {"linger.ms", "9000"},  // a batch is sent when it is full, or the transaction ends
      // Brokers may make what is asked for, with settings of their own. It keeps a producer too.
      {"allow.auto.create.topics", "false"},
      {"log.queue", "true"}};
  if (auto there = files_are_there(settings); !there) return there.error();
  if (uses_kerberos(settings)) {  // without kinit: kafka_keytab.h
    all["sasl.kerberos.kinit.cmd"] = "";
    all["sasl.kerberos.min.time.before.relogin"] = "0";
  }
  for (const auto& [name, value] : settings.properties) all[name] = value;
  for (const auto& [name, value] : more) all[name] = value;
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  char why[512];
  for (const auto& [name, value] : all)
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof why) != RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return Error{Error::Kind::rejected, std::string("a property of librdkafka: ") + why};
    }
  rd_kafka_conf_set_opaque(conf, &words);
  rd_kafka_conf_set_error_cb(conf, on_error);
  if (all.contains("delivery.report.only.error")) rd_kafka_conf_set_dr_msg_cb(conf, on_undelivered);
  rd_kafka_conf_set_log_cb(conf, on_log);
  Handle handle(rd_kafka_new(type, conf, why, sizeof why));
  if (!handle) {
    rd_kafka_conf_destroy(conf);
    return Error{Error::Kind::rejected, std::string("Kafka's client cannot start: ") + why};
  }
  static_cast<void>(rd_kafka_set_log_queue(handle.get(), nullptr));  // to whoever polls
  return handle;
}

// --- what stands there ---------------------------------------------------------------------------

namespace {
TopicSeen seen(const rd_kafka_metadata_topic& said) {
  TopicSeen out{said.topic, said.err, said.partition_cnt};
  for (int i = 0; i < said.partition_cnt; ++i) {
    const rd_kafka_metadata_partition& of = said.partitions[i];
    out.copies = i == 0 ? of.replica_cnt : std::min(out.copies, of.replica_cnt);
    out.leaderless += of.leader < 0 ? 1 : 0;
    out.behind += of.isr_cnt < of.replica_cnt ? 1 : 0;
  }
  return out;
}
}  // namespace

Result<Seen> see_topics(const KafkaSettings& settings, rd_kafka_t* handle,
                        const std::string& only) {
  const Topic named(only.empty() ? nullptr : rd_kafka_topic_new(handle, only.c_str(), nullptr));
  const rd_kafka_metadata_t* found = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(handle, only.empty() ? 1 : 0, named.get(), &found, kAskMs);
  const Metadata metadata(found);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return Error{Error::Kind::retry_later,
                 settings.server() + " does not answer: " + rd_kafka_err2str(error)};
  Seen out{static_cast<size_t>(metadata->broker_cnt), {}};
  for (int i = 0; i < metadata->topic_cnt; ++i) out.topics.push_back(seen(metadata->topics[i]));
  return out;
}

Result<int32_t> partitions_of(const KafkaSettings& settings, rd_kafka_t* handle,
                              const std::string& topic, bool* absent) {
  const Topic named(rd_kafka_topic_new(handle, topic.c_str(), nullptr));
  const rd_kafka_metadata_t* found = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(handle, 0, named.get(), &found, kAskMs);
  const Metadata metadata(found);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return Error{Error::Kind::retry_later,
                 settings.server() + " does not answer: " + rd_kafka_err2str(error)};
  if (metadata->topic_cnt == 0)
    return Error{Error::Kind::retry_later,
                 settings.server() + " does not say what '" + topic + "' is"};
  const rd_kafka_metadata_topic& said = metadata->topics[0];
  *absent = said.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
            said.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  if (*absent)
    return Error{Error::Kind::rejected,
                 "the topic '" + topic + "' does not exist at " + settings.server()};
  const bool forbidden = said.err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  if (said.err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return Error{forbidden ? Error::Kind::rejected : Error::Kind::retry_later,
                 "the topic '" + topic + "' at " + settings.server() + ": " +
                     rd_kafka_err2str(said.err) +
                     (!forbidden ? ""
                      : topic == settings.positions_topic
                          ? " (this user's ACLs need Read, Write and Describe there)"
                          : " (this user's ACLs need Write and Describe there)")};
  return said.partition_cnt;
}

Result<void> create(rd_kafka_t* handle, const std::string& topic, int32_t partitions,
                    bool positions) {
  char why[512];
  const NewTopic made(rd_kafka_NewTopic_new(topic.c_str(), partitions, -1, why, sizeof why));
  const auto refused = [&](const std::string& reason) {
    return Error{Error::Kind::retry_later, "the topic '" + topic + "' cannot be made: " + reason};
  };
  if (!made) return refused(why);
  if (positions)
    for (const auto& [name, value] : kPositionsConfig)
      rd_kafka_NewTopic_set_config(made.get(), name, value);
  const Queue queue(rd_kafka_queue_new(handle));
  rd_kafka_NewTopic_t* topics[] = {made.get()};
  rd_kafka_CreateTopics(handle, topics, 1, nullptr, queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), kAdminMs));
  if (!event) return refused("no answer");
  if (rd_kafka_event_error(event.get())) return refused(rd_kafka_event_error_string(event.get()));
  size_t n = 0;
  const auto** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &n);
  for (size_t i = 0; i < n; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      return refused(rd_kafka_topic_result_error_string(results[i]));
  }
  return {};
}

TopicConfig config_of(rd_kafka_t* handle, const std::string& topic) {
  return std::move(configs_of(handle, {topic})[topic]);
}

std::map<std::string, TopicConfig> configs_of(rd_kafka_t* handle,
                                              const std::vector<std::string>& topics) {
  std::map<std::string, TopicConfig> out;
  if (topics.empty()) return out;
  std::vector<Resource> owned;
  std::vector<rd_kafka_ConfigResource_t*> resources;
  for (const std::string& topic : topics) {
    owned.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
    resources.push_back(owned.back().get());
  }
  const Queue queue(rd_kafka_queue_new(handle));
  rd_kafka_DescribeConfigs(handle, resources.data(), resources.size(), nullptr, queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), kAskMs));
  if (!event || rd_kafka_event_error(event.get())) return out;
  size_t n = 0;
  const auto** results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &n);
  for (size_t i = 0; i < n; ++i) {
    TopicConfig& of = out[rd_kafka_ConfigResource_name(results[i])];
    size_t entries = 0;
    const auto** configs = rd_kafka_ConfigResource_configs(results[i], &entries);
    for (size_t k = 0; k < entries; ++k)
      if (const char* value = rd_kafka_ConfigEntry_value(configs[k]))
        of[rd_kafka_ConfigEntry_name(configs[k])] = value;
  }
  return out;
}

rd_kafka_resp_err_t ends_of(rd_kafka_t* handle, const std::string& topic, int32_t partition,
                            int64_t& low, int64_t& high) {
  for (int64_t* const end : {&low, &high}) {
    const TopicList list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_t* const asked =
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
    asked->offset = end == &low ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
    if (const auto error = rd_kafka_offsets_for_times(handle, list.get(), kAskMs)) return error;
    if (asked->err != RD_KAFKA_RESP_ERR_NO_ERROR) return asked->err;
    *end = asked->offset;
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t produce(rd_kafka_t* handle, const Record& record) {
  std::array<rd_kafka_vu_t, 7> v{};
  size_t n = 0;
  const auto next = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
    v.at(n).vtype = type;
    return v.at(n++);
  };
  next(RD_KAFKA_VTYPE_RKT).u.rkt = record.topic;
  next(RD_KAFKA_VTYPE_PARTITION).u.i32 = record.partition;
  next(RD_KAFKA_VTYPE_MSGFLAGS).u.i = RD_KAFKA_MSG_F_COPY;
  auto& value = next(RD_KAFKA_VTYPE_VALUE).u.mem;
  value.ptr = const_cast<char*>(record.value.data());
  value.size = record.value.size();
  if (!record.key.empty()) {
    auto& key = next(RD_KAFKA_VTYPE_KEY).u.mem;
    key.ptr = const_cast<char*>(record.key.data());
    key.size = record.key.size();
  }
  if (record.when_ms != 0) next(RD_KAFKA_VTYPE_TIMESTAMP).u.i64 = record.when_ms;
  if (record.headers) next(RD_KAFKA_VTYPE_HEADERS).u.headers = record.headers;
  const Failure error(rd_kafka_produceva(handle, v.data(), n));
  return error ? rd_kafka_error_code(error.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

}  // namespace tailrace::kafka
