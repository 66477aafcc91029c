// bench_load: many Locals in one process, with real sessions to real Centers (bench/many.py drives
// it). Says how it stands as a JSON object a line, five times a second; hears a word a line:
// mark, stop (make no more; the end comes once all is committed), rate BYTES.
#include <unistd.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/streambuf.hpp>
#include <asio/use_awaitable.hpp>
#include <cinttypes>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <istream>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/spawn.h"
#include "bench/load_local.h"
#include "flow/codec.h"

namespace tailrace::bench {
namespace {

struct Settings {
  LoadOptions options;
  size_t locals = 20;
  size_t connect_a_second = 400;
  double rate = 0;  // payload bytes a second, of all together
  double zipf = 1;  // exponent; 0: all categories alike
  size_t raw_bytes = 256u << 10;
};

std::vector<std::string> words(const std::string& list) {
  std::vector<std::string> out;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    out.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

Settings parse(int argc, char** argv) {
  Settings s;
  size_t categories = 40;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--cluster")
      s.options.cluster = value;
    else if (name == "--centers")
      s.options.centers = words(value);
    else if (name == "--locals")
      s.locals = std::strtoull(value, nullptr, 10);
    else if (name == "--categories")
      categories = std::strtoull(value, nullptr, 10);
    else if (name == "--zipf")
      s.zipf = std::strtod(value, nullptr);
    else if (name == "--rate")
      s.rate = std::strtod(value, nullptr);
    else if (name == "--batch")
      s.raw_bytes = std::strtoull(value, nullptr, 10);
    else if (name == "--connect")
      s.connect_a_second = std::strtoull(value, nullptr, 10);
    else if (name == "--waiting")
      s.options.most_waiting = std::strtoull(value, nullptr, 10);
    else
      std::exit(2);
  }
  for (size_t i = 0; i < categories; ++i) s.options.categories.push_back("c" + std::to_string(i));
  return s;
}

LoadPayload make_payload(size_t raw_bytes, Rng& rng) {
  std::string raw;
  LoadPayload out;
  while (raw.size() < raw_bytes) {
    raw += "2026-11-24T10:11:12.000Z INFO  [worker-" + std::to_string(rng.below(64)) +
           "] GET /item/" + hex16(rng.next()).substr(0, 6) +
           " status=200 bytes=" + std::to_string(rng.below(99999)) + " took " +
           std::to_string(rng.below(900)) + " ms for a request of some client\n";
    ++out.lines;
  }
  make_compressor(Codec::gzip)->compress(raw, out.bytes);
  out.raw_bytes = static_cast<uint32_t>(raw.size());
  out.crc = crc32c(out.bytes);
  return out;
}

class Load {
 public:
  Load(asio::io_context& road, Settings settings)
      : road_(road), s_(std::move(settings)), rng_(os_random()) {
    for (int i = 0; i < 8; ++i) payloads_.push_back(make_payload(s_.raw_bytes, rng_));
    double sum = 0;
    for (size_t k = 0; k < s_.options.categories.size(); ++k)
      below_.push_back(sum += std::pow(1.0 / static_cast<double>(k + 1), s_.zipf));
    for (double& b : below_) b /= sum;
    rate_ = s_.rate;
  }
  void start() {
    spawn(road_, "connecting", connect());
    spawn(road_, "making", make());
    spawn(road_, "saying", say());
    spawn(road_, "hearing", hear());
  }

 private:
  asio::awaitable<void> sleep(int ms) {
    asio::steady_timer timer(road_, std::chrono::milliseconds(ms));
    co_await timer.async_wait(asio::use_awaitable);
  }
  asio::awaitable<void> connect() {
    for (size_t i = 0; i < s_.locals; ++i) {
      locals_.push_back(std::make_shared<LoadLocal>(road_, s_.options, i));
      locals_.back()->start();
      if (i % 20 == 19) co_await sleep(static_cast<int>(20'000 / s_.connect_a_second));
    }
  }
  asio::awaitable<void> make() {
    int64_t last_ms = mono_ms();
    double due = 0;
    size_t turn = 0;
    for (;;) {
      co_await sleep(10);
      const int64_t now = mono_ms();
      // The Locals' second: each ticks once in it, not all at once.
      const double part = static_cast<double>(now - last_ms) / 1000;
      for (auto n = static_cast<size_t>(part * static_cast<double>(locals_.size())) + 1;
           n > 0 && !locals_.empty(); --n)
        locals_[tick_turn_++ % locals_.size()]->tick();
      due = std::min(due + rate_ * part, rate_);
      last_ms = now;
      if (locals_.size() < s_.locals) due = 0;
      for (const LoadPayload* next = &payloads_[turn % payloads_.size()];
           due >= static_cast<double>(next->bytes.size());
           next = &payloads_[turn % payloads_.size()]) {
        due -= static_cast<double>(next->bytes.size());
        if (!locals_[turn++ % locals_.size()]->make(category(), *next)) ++skipped_;
      }
    }
  }
  size_t category() {
    const double at = static_cast<double>(rng_.next() >> 11) * 0x1.0p-53;
    const auto it = std::upper_bound(below_.begin(), below_.end() - 1, at);
    return static_cast<size_t>(it - below_.begin());
  }
  asio::awaitable<void> say() {
    for (;;) {
      co_await sleep(200);
      uint64_t welcomed = 0, sent = 0, behind = 0, made = 0, committed = 0, bytes = 0, out = 0;
      uint64_t connections = 0, held = 0;
      for (const auto& local : locals_) {
        welcomed += local->welcomed();
        sent += local->sent_since_mark();
        behind += marked_ ? local->streams_behind_mark() : 0;
        made += local->lines_made();
        committed += local->lines_committed();
        bytes += local->bytes_made();
        out += local->bytes_sent();
        connections += local->connections();
        held += !local->held().empty();
      }
      std::printf("{\"locals\": %zu, \"welcomed\": %" PRIu64 ", \"connections\": %" PRIu64
                  ", \"sent_since_mark\": %" PRIu64 ", \"streams_behind_mark\": %" PRIu64
                  ", \"lines_made\": %" PRIu64 ", \"lines_committed\": %" PRIu64
                  ", \"bytes_made\": %" PRIu64 ", \"bytes_sent\": %" PRIu64
                  ", \"skipped\": %" PRIu64 ", \"held\": %" PRIu64 ", \"mark\": %d}\n",
                  locals_.size(), welcomed, connections, sent, behind, made, committed, bytes, out,
                  skipped_, held, marks_);
      std::fflush(stdout);
      if (stopping_ && made == committed) std::_Exit(0);
    }
  }
  asio::awaitable<void> hear() {
    asio::posix::stream_descriptor in(road_, ::dup(STDIN_FILENO));
    asio::streambuf buffer;
    for (;;) {
      asio::error_code ended;
      auto token = asio::redirect_error(asio::use_awaitable, ended);
      co_await asio::async_read_until(in, buffer, '\n', token);
      if (ended) std::_Exit(3);
      std::istream line(&buffer);
      std::string word;
      line >> word;
      if (word == "rate") line >> rate_;
      if (word == "stop") stop();
      if (word == "mark") {
        marked_ = true;
        ++marks_;
        for (const auto& local : locals_) local->mark();
      }
      line.ignore(1);
    }
  }
  void stop() {
    stopping_ = true;
    rate_ = 0;
    for (const auto& local : locals_) local->flush();
  }

  asio::io_context& road_;
  Settings s_;
  Rng rng_;
  std::vector<LoadPayload> payloads_;
  std::vector<double> below_;  // of the Zipf law, summed
  std::vector<std::shared_ptr<LoadLocal>> locals_;
  double rate_ = 0;
  size_t tick_turn_ = 0;
  uint64_t skipped_ = 0;
  int marks_ = 0;
  bool marked_ = false;
  bool stopping_ = false;
};

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  using namespace tailrace;
  asio::io_context road;
  bench::Load load(road, bench::parse(argc, argv));
  load.start();
  road.run();
  return 0;
}
