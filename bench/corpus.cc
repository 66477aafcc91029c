// Writes a corpus of log lines that anyone can make again: same seed, same bytes.
//   bench_corpus FILE --bytes 64MiB [--seed 1] [--line-bytes N]
// With --line-bytes the same text is cut into lines of N bytes on average, so that only the number
// of lines differs. Prints one JSON object: bytes, lines, xxh3.
#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/units.h"

namespace tailrace {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr uint64_t kLinesInARow = 400;  // of one program, before another one writes

// What a %letter stands for: see LineMaker::field().
constexpr std::string_view kShapes[] = {
    "%a - %u [%c +0000] \"%m %p HTTP/1.1\" %s %n \"https://www.example.org%p\" \"%g\"",
    "%t INFO  [worker-%k] c.e.orders.OrderService - order %l accepted for customer %n, %k items, "
    "took %k ms",
    "%t WARN  [worker-%k] c.e.orders.PaymentClient - payment %l is slow: %n ms, retry %k of 5",
    "%t host-%k kernel: [%n.%n] eth0: link %w, %n packets, %n errors, queue %k",
    "%t host-%k sshd[%n]: Accepted publickey for %u from %a port %n ssh2: ED25519 SHA256:%x%x",
    "{\"ts\":\"%t\",\"level\":\"info\",\"logger\":\"gateway.%w\",\"msg\":\"request "
    "done\",\"path\":\"%p\",\"status\":%s,"
    "\"bytes\":%n,\"trace\":\"%x\",\"user\":\"%u\"}",
    "time=%t level=debug component=%w msg=\"%w %w of segment %n\" segment=%l offset=%n "
    "elapsed=%kms",
    "%t [%n] LOG:  duration: %k.%k ms  statement: SELECT id, name, state FROM %w WHERE owner = %n "
    "AND state = '%w'",
    "%t ERROR [%w-%k] replica %k of partition %w-%k fell behind by %n records (leader epoch %k)",
};
constexpr std::string_view kWords[] = {"cache",   "index",   "session", "account", "upload",
                                       "queue",   "commit",  "expired", "started", "invoice",
                                       "search",  "profile", "flushed", "merged",  "opened",
                                       "pending", "active",  "closed",  "catalog", "shipping"};
constexpr std::string_view kUsers[] = {"-",      "alice", "bob",  "carol",
                                       "deploy", "dave",  "erin", "backup"};
constexpr std::string_view kMethods[] = {"GET", "GET", "GET", "GET", "POST", "HEAD"};
constexpr std::string_view kStates[] = {"200", "200", "200", "200", "304",
                                        "200", "404", "302", "500"};
constexpr std::string_view kPaths[] = {"/",
                                       "/index.html",
                                       "/api/v1/orders/",
                                       "/api/v1/users/",
                                       "/static/app.js",
                                       "/static/site.css",
                                       "/images/logo.png",
                                       "/api/v2/search?q="};
constexpr std::string_view kAgents[] = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 "
    "Safari/537.36",
    "curl/8.5.0", "kube-probe/1.29"};

class LineMaker {
 public:
  explicit LineMaker(uint64_t seed) : rng_(seed) {}

  // Appends one line, with its newline.
  void line(std::string& out) {
    if (left_ == 0) {
      left_ = 1 + rng_.below(kLinesInARow);
      for (std::string_view& shape : shapes_) shape = pick(kShapes);
    }
    --left_;
    now_ms_ += static_cast<int64_t>(rng_.below(40));
    const std::string_view shape = shapes_[skewed(std::size(shapes_))];
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == '%')
        again_or_new(shape[++i], out);
      else
        out += shape[i];
    }
    out += '\n';
  }

 private:
  template <size_t N>
  std::string_view pick(const std::string_view (&from)[N]) {
    return from[rng_.below(N)];
  }
  // Small values are much more frequent than large ones, as in life.
  uint64_t skewed(uint64_t n) { return rng_.below(1 + rng_.below(1 + rng_.below(n))); }

  void number(uint64_t v, std::string& out) { out += std::to_string(v); }
  void two(int64_t v, std::string& out) {
    out += static_cast<char>('0' + v / 10 % 10);
    out += static_cast<char>('0' + v % 10);
  }
  void clock(std::string& out) {
    const int64_t s = now_ms_ / 1000;
    two(s / 3600 % 24, out);
    out += ':';
    two(s / 60 % 60, out);
    out += ':';
    two(s % 60, out);
  }

  // The same client asks again, the same part speaks again: most fields are as they were.
  void again_or_new(char letter, std::string& out) {
    std::string& last = last_[static_cast<size_t>(letter - 'a')];
    const bool again = std::string_view("agmnpsuw").find(letter) != std::string_view::npos;
    if (!again || last.empty() || rng_.chance(0.3)) {
      last.clear();
      field(letter, last);
    }
    out += last;
  }

  void field(char letter, std::string& out) {
    switch (letter) {
      case 'a':  // an address
        out += "10.";
        number(skewed(4), out);
        out += '.';
        number(skewed(16), out);
        out += '.';
        number(skewed(250), out);
        break;
      case 'c':  // a time as web servers write it
        out += "24/Nov/2026:";
        clock(out);
        break;
      case 't':  // a time as all others write it
        out += "2026-11-24T";
        clock(out);
        out += '.';
        two(now_ms_ / 10, out);
        number(static_cast<uint64_t>(now_ms_ % 10), out);
        out += 'Z';
        break;
      case 'g': out += pick(kAgents); break;
      case 'k': number(skewed(32), out); break;  // a small number
      case 'l':                                  // an identity that grows
        number(7'000'000 + (id_ += rng_.below(3)), out);
        break;
      case 'm': out += pick(kMethods); break;
      case 'n': number(skewed(4'000), out); break;  // a number
      case 'p':
        out += kPaths[skewed(std::size(kPaths))];
        if (out.back() == '/' || out.back() == '=') number(skewed(900), out);
        break;
      case 's': out += pick(kStates); break;
      case 'u': out += kUsers[skewed(std::size(kUsers))]; break;
      case 'w': out += kWords[skewed(std::size(kWords))]; break;
      case 'x':  // what does not repeat
        out += hex16(rng_.next()).substr(0, 8);
        break;
      default: std::abort();
    }
  }

  Rng rng_;
  std::string_view shapes_[3];
  std::string last_[26];
  uint64_t left_ = 0;
  int64_t now_ms_ = 0;
  uint64_t id_ = 0;
};

// Moves newlines: to the first space after `most` bytes, away from the ends of records that come
// long before. All else stays as it is, so that the text compresses alike whatever the length of
// its lines.
class Cutter {
 public:
  explicit Cutter(uint64_t most) : most_(most) {}
  void cut(std::string& record) {
    for (char& c : record) {
      ++length_;
      if (c == '\n' && length_ + kRecordBytes / 2 < most_) c = ' ';
      if (c == ' ' && length_ >= most_) c = '\n';
      if (c == '\n') length_ = 0;
    }
  }

 private:
  static constexpr uint64_t kRecordBytes = 135;  // on average
  uint64_t most_;
  uint64_t length_ = 0;
};

[[noreturn]] void fail(std::string_view why) {
  std::fprintf(stderr, "bench_corpus: %.*s\n", static_cast<int>(why.size()), why.data());
  std::exit(2);
}

void write_corpus(const std::string& path, uint64_t bytes, uint64_t seed, uint64_t line_bytes) {
  auto file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) fail(file.error().text);
  LineMaker maker(seed);
  Cutter cutter(line_bytes);
  Xxh3 hash;
  std::string record, made, piece;
  uint64_t lines = 0;
  for (uint64_t left = bytes; left > 0; left -= piece.size()) {
    while (made.size() < kPieceBytes) {
      record.clear();
      maker.line(record);
      if (line_bytes > 0) cutter.cut(record);
      made += record;
    }
    piece.assign(made, 0, std::min<uint64_t>(left, kPieceBytes));
    made.erase(0, piece.size());
    if (left == piece.size()) piece.back() = '\n';
    lines += static_cast<uint64_t>(std::count(piece.begin(), piece.end(), '\n'));
    hash.update(piece);
    if (auto r = write_all(file->get(), piece); !r) fail(path + ": " + r.error().text);
  }
  std::printf(R"({"bytes":%llu,"lines":%llu,"seed":%llu,"line_bytes":%llu,"xxh3":"%s"})"
              "\n",
              static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(lines),
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(line_bytes),
              hex16(hash.digest()).c_str());
}

uint64_t number_of(const char* text) {
  char* end = nullptr;
  const uint64_t v = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') fail(std::string("no number: ") + text);
  return v;
}

}  // namespace
}  // namespace tailrace

int main(int argc, char** argv) {
  using namespace tailrace;
  if (argc < 4 || argc % 2 != 0)
    fail("usage: bench_corpus FILE --bytes 64MiB [--seed 1] [--line-bytes N]");
  uint64_t bytes = 0, seed = 1, line_bytes = 0;
  for (int i = 2; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--bytes") {
      auto size = parse_size(argv[i + 1]);
      if (!size) fail(size.error().text);
      bytes = *size;
    } else if (option == "--seed") {
      seed = number_of(argv[i + 1]);
    } else if (option == "--line-bytes") {
      line_bytes = number_of(argv[i + 1]);
    } else {
      fail("unknown option " + std::string(option));
    }
  }
  if (bytes == 0) fail("--bytes is missing");
  write_corpus(argv[1], bytes, seed, line_bytes);
}
