// What R13 costs at the least: lines to Kafka by librdkafka alone, in transactions that hold a
// position too. The settings, headers and transactions are those of our sink; nothing is received,
// checked or inflated.
//   bench_kafka_floor BROKERS TOPIC POSITIONS_TOPIC TRANSACTIONAL_ID FILE
// Prints one JSON object: bytes, lines, transactions.
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr uint64_t kTransactionBytes = 8 << 20;  // of lines; or a second
constexpr size_t kPositionBytes = 46;
constexpr uint64_t kBatchBytes = 1'100'000;  // batch.size and a ninth
constexpr int kAlways = -1;
const char* const kHost = "a-host-of-some-name";
const char* const kStream = "0123456789abcdef/0";

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what, const char* why) {
  std::fprintf(stderr, "bench_kafka_floor: %s: %s\n", what, why);
  std::_Exit(1);
}

void must(rd_kafka_error_t* error, const char* what) {
  if (error) fail(what, rd_kafka_error_string(error));
}

rd_kafka_t* make(const char* brokers, const char* transactional_id) {
  const std::pair<const char*, const char*> settings[] = {
      {"bootstrap.servers", brokers},      {"client.id", "tailrace"},
      {"socket.timeout.ms", "5000"},       {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "500"}, {"transactional.id", transactional_id},
      {"transaction.timeout.ms", "15000"}, {"message.max.bytes", "100000000"},
      {"batch.size", "1000000"},           {"linger.ms", "9000"},
  };
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  char why[512];
  for (const auto& [name, value] : settings)
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) fail(name, why);
  rd_kafka_t* const handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!handle) fail("rd_kafka_new", why);
  return handle;
}

class Floor {
 public:
  Floor(const char* brokers, const char* topic, const char* positions, const char* id)
      : handle_(make(brokers, id)) {
    must(rd_kafka_init_transactions(handle_, kAlways), "init");
    topic_ = rd_kafka_topic_new(handle_, topic, nullptr);
    positions_ = rd_kafka_topic_new(handle_, positions, nullptr);
  }

  void lines(const char* at, const char* end) {
    if (bytes_ == 0) begin();
    while (at != end) {
      const auto* line =
          static_cast<const char*>(std::memchr(at, '\n', static_cast<size_t>(end - at)));
      produce(at, static_cast<size_t>(line - at));
      at = line + 1;
    }
  }

  void taken(uint64_t bytes) {
    bytes_ += bytes;
    all_bytes_ += bytes;
    if (bytes_ >= kTransactionBytes || Clock::now() - begun_ >= std::chrono::seconds(1)) commit();
  }

  void end() {
    if (bytes_ > 0) commit();
    std::printf("{\"bytes\":%llu,\"lines\":%llu,\"transactions\":%llu}\n",
                static_cast<unsigned long long>(all_bytes_),
                static_cast<unsigned long long>(lines_),
                static_cast<unsigned long long>(transactions_));
    rd_kafka_topic_destroy(topic_);
    rd_kafka_topic_destroy(positions_);
    rd_kafka_destroy(handle_);
  }

 private:
  void begin() {
    must(rd_kafka_begin_transaction(handle_), "begin");
    begun_ = Clock::now();
  }

  void produce(const char* line, size_t size) {
    char seq[24];
    const auto digits =
        static_cast<size_t>(std::to_chars(seq, seq + sizeof seq, lines_++).ptr - seq);
    for (;;) {
      const rd_kafka_resp_err_t error =
          rd_kafka_producev(handle_, RD_KAFKA_V_RKT(topic_), RD_KAFKA_V_PARTITION(0),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(now_ms_),
                            RD_KAFKA_V_VALUE(const_cast<char*>(line), size),
                            RD_KAFKA_V_HEADER("host", kHost, std::strlen(kHost)),
                            RD_KAFKA_V_HEADER("stream", kStream, std::strlen(kStream)),
                            RD_KAFKA_V_HEADER("seq", seq, digits), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail("produce", rd_kafka_err2str(error));
      rd_kafka_poll(handle_, 10);
    }
  }

  void commit() {
    const char position[kPositionBytes] = {};
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        handle_, RD_KAFKA_V_RKT(positions_), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("position", 8),
        RD_KAFKA_V_VALUE(const_cast<char*>(position), sizeof position), RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) fail("produce", rd_kafka_err2str(error));
    // Else the client asks for answers in a loop that never sleeps.
    while (static_cast<uint64_t>(rd_kafka_outq_len(handle_)) > held_most())
      rd_kafka_poll(handle_, 5);
    must(rd_kafka_commit_transaction(handle_, kAlways), "commit");
    bytes_ = 0;
    ++transactions_;
  }

  // Records that fill no batch: about, of usual lines.
  [[nodiscard]] uint64_t held_most() const {
    return 1 + kBatchBytes * lines_ / std::max<uint64_t>(1, all_bytes_);
  }

  rd_kafka_t* handle_;
  rd_kafka_topic_t* topic_ = nullptr;
  rd_kafka_topic_t* positions_ = nullptr;
  int64_t now_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count();
  Clock::time_point begun_;
  uint64_t bytes_ = 0, all_bytes_ = 0, lines_ = 0, transactions_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: bench_kafka_floor BROKERS TOPIC POSITIONS_TOPIC TRANSACTIONAL_ID FILE\n");
    return 2;
  }
  const int file = ::open(argv[5], O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("open", std::strerror(errno));
  Floor floor(argv[1], argv[2], argv[3], argv[4]);
  std::vector<char> bytes(kReadBytes);
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(file, bytes.data(), bytes.size(), at);
    if (n < 0) fail("read", std::strerror(errno));
    const auto* last =
        static_cast<const char*>(::memrchr(bytes.data(), '\n', static_cast<size_t>(n)));
    if (!last) break;
    const auto whole = static_cast<size_t>(last + 1 - bytes.data());
    floor.lines(bytes.data(), bytes.data() + whole);
    floor.taken(whole);
    at += static_cast<off_t>(whole);
  }
  floor.end();
  ::close(file);
}
