// When all that was written has arrived, or somebody has said that it will not.
#include <algorithm>

#include "tests/sim/simulation.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kAccountMs = 1'000;
}  // namespace

void Simulation::excuse(Host& host) {
  host.excused = true;
  for (Sink& sink : sinks_) sink.judge->excuse_host(host.name);
}

bool Simulation::settled() {
  settle_lost();
  for (const auto& host : hosts_) {
    if (host->may_hold() && (held(*host) || (host->put_back && host->hurt))) excuse(*host);
    if (host->owes_account() && !account_for(*host)) return false;
  }
  return std::all_of(sinks_.begin(), sinks_.end(), [this](Sink& sink) {
    return sink.away_until_ms > world_.now_ms || sink.judge->complete() ||
           (sink.optional && account_for_given_up(sink));
  });
}

// What a full spool gave up for a sink that is not required is said, line by line.
bool Simulation::account_for_given_up(Sink& sink) {
  if (world_.now_ms < next_account_ms_) return false;
  next_account_ms_ = world_.now_ms + kAccountMs;
  const testing::StoreFindings found = sink.audit();
  for (const auto& host : hosts_) {
    // What a host lost that was put back is counted apart, and twins share their streams.
    if (host->gone || host->excused || host->cloned || host->put_back) continue;
    if (!lacks_what_is_lost(sink, *host, found)) return false;
  }
  for (const auto& host : hosts_) sink.judge->excuse_host(host->name);
  return true;
}

// Of a host, neither more nor less than records say. But what was given up in a spool that is gone,
// and not said yet, went with it.
bool Simulation::lacks_what_is_lost(const Sink& sink, const Host& host,
                                    const testing::StoreFindings& found) {
  for (size_t c = 0; c < plan_.categories; ++c) {
    uint64_t lost = 0;
    for (const auto& [stream, lines] : found.gap_lines)
      if (stream.first == category_name(c) && host.local_ids.contains(stream.second)) lost += lines;
    const uint64_t missing = sink.judge->missing(host.name, category_name(c));
    const bool silent = sink.optional && host.local_ids.size() > 1;
    if (missing == lost || (silent && missing > lost)) continue;
    unaccounted_ = host.name + "'s " + category_name(c) + " misses " + std::to_string(missing) +
                   " lines, said to be lost: " + std::to_string(lost);
    return false;
  }
  return true;
}

// What a hurt spool has lost is said, line by line: neither more nor less is missing.
bool Simulation::account_for(Host& host) {
  if (world_.now_ms < next_account_ms_) return false;
  next_account_ms_ = world_.now_ms + kAccountMs;
  bool all = true;
  for (Sink& sink : sinks_) {
    all = all && sink.away_until_ms <= world_.now_ms;
    if (sink.away_until_ms > world_.now_ms) continue;
    if (!lacks_what_is_lost(sink, host, sink.audit())) return false;
    sink.judge->excuse_host(host.name);
  }
  host.excused = all;
  return true;
}

std::string Simulation::waiting() const {
  for (const auto& host : hosts_)
    if (!drained(*host))
      return "; " + host->name + " does not know that all is final: " +
             (host->agent ? host->agent->waits_for() : "it has no agent");
  for (const auto& host : hosts_)
    if (host->owes_account()) return "; " + unaccounted_;
  for (const Sink& sink : sinks_)
    if (!sink.judge->complete())
      return sink.optional ? "; " + unaccounted_ : "; unpublished: " + sink.judge->missing();
  return "";
}

}  // namespace tailrace::sim
