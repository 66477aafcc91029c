#include "cli/center_client.h"

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <set>
#include <tuple>

#include "base/random.h"
#include "base/spawn.h"
#include "base/units.h"
#include "cli/daemon/ways.h"
#include "flow/connection.h"

namespace tailrace {

namespace {
constexpr int64_t kMostMs = 5'000;
constexpr size_t kAtOnce = 64;

class Round {
 public:
  // `follow`: also those that an answer names.
  Round(const std::vector<std::string>& seeds, uint64_t cluster, bool follow)
      : cluster_(hex16(cluster)), follow_(follow) {
    for (const std::string& seed : seeds) hear_of(seed);
  }

  std::vector<CenterAnswer> run() {
    start_some();
    road_.run();
    std::vector<CenterAnswer> out(answers_.begin(), answers_.end());
    const auto key = [](const CenterAnswer& a) {
      return std::tuple(a.report.name(), a.report.address(), a.address);
    };
    std::sort(out.begin(), out.end(),
              [&](const auto& a, const auto& b) { return key(a) < key(b); });
    const auto same = [](const CenterAnswer& a, const CenterAnswer& b) {
      return a.why.empty() && b.why.empty() && a.report.name() == b.report.name() &&
             a.report.address() == b.report.address() &&
             a.report.started_ms() == b.report.started_ms();
    };
    out.erase(std::unique(out.begin(), out.end(), same), out.end());
    return out;
  }

 private:
  void hear_of(const std::string& address) {
    if (known_.insert(address).second) waiting_.push_back(address);
  }
  void start_some() {
    while (asking_ < kAtOnce && !waiting_.empty()) {
      answers_.emplace_back().address = waiting_.front();
      waiting_.pop_front();
      ++asking_;
      spawn(road_, "a question to a Center", ask(answers_.back()));
    }
  }
  asio::awaitable<void> ask(CenterAnswer& answer) {
    co_await read_report(answer);
    --asking_;
    if (follow_)
      for (const std::string& address : answer.report.centers()) hear_of(address);
    start_some();
  }
  asio::awaitable<void> read_report(CenterAnswer& answer) {
    auto socket = co_await connect_tcp(road_, answer.address);
    if (!socket) {
      answer.why = socket.error().text;
      co_return;
    }
    Connection connection(road_, std::move(*socket), answer.address);
    asio::steady_timer patience(road_, std::chrono::milliseconds(kMostMs));
    patience.async_wait([&connection](const asio::error_code& cancelled) {
      if (!cancelled) connection.close();
    });
    proto::Hello hello;
    hello.set_role(proto::ROLE_OPERATOR);
    hello.set_cluster(cluster_);
    hello.set_version(TAILRACE_VERSION);
    connection.send(FrameType::hello, hello);
    Frame frame;
    answer.why = "no answer within " + show_duration(kMostMs);
    for (;;) {
      const auto read = co_await connection.read(frame);
      if (!read) {
        if (!connection.closed()) answer.why = read.error().text;
        break;
      }
      if (frame.type == FrameType::status || frame.type == FrameType::reject) {
        answer.why = take(frame, answer.report);
        break;
      }
    }
    connection.close();
  }
  // Why there is no report in it; empty: there is.
  static std::string take(const Frame& frame, proto::CenterReport& report) {
    if (frame.type == FrameType::status) {
      const auto parsed = parse_message(frame, report);
      return parsed ? "" : parsed.error().text;
    }
    proto::Reject reject;
    const auto parsed = parse_message(frame, reject);
    return "it refuses: " + (parsed ? escape(reject.text(), 200) : parsed.error().text);
  }

  const std::string cluster_;
  const bool follow_;
  asio::io_context road_{1};
  std::deque<CenterAnswer> answers_;  // each stays where it is
  std::deque<std::string> waiting_;
  std::set<std::string> known_;
  size_t asking_ = 0;
};
}  // namespace

std::vector<CenterAnswer> ask_centers(const std::vector<std::string>& seeds, uint64_t cluster) {
  return Round(seeds, cluster, true).run();
}

CenterAnswer ask_center(const std::string& address, uint64_t cluster) {
  return Round({address}, cluster, false).run().front();
}

}  // namespace tailrace
