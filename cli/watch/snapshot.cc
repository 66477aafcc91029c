#include "cli/watch/snapshot.h"

#include <algorithm>

#include "base/units.h"

namespace tailrace {

namespace {
constexpr int64_t kMostWaitMs = 60'000;
constexpr uint64_t kMostFillPercent = 80;

void judge_agent(const AgentStatus& s, int64_t now_ms, std::vector<Obstacle>& out) {
  if (!s.held.empty()) out.push_back({"agent-held", "the agent holds: " + s.held, now_ms});
  const int64_t oldest = std::min(s.oldest_unacked_ms < 0 ? INT64_MAX : s.oldest_unacked_ms,
                                  s.oldest_unread_ms < 0 ? INT64_MAX : s.oldest_unread_ms);
  if (oldest == INT64_MAX || now_ms - oldest < kMostWaitMs) return;
  out.push_back({"agent-behind",
                 std::string("lines wait in their files and the Local has not taken them") +
                     (s.connected ? "" : "; no Local answers"),
                 oldest});
}

void judge_local(const LocalStatus& s, int64_t now_ms, std::vector<Obstacle>& out) {
  if (!s.held.empty()) out.push_back({"spool-held", "the Local holds: " + s.held, now_ms});
  if (!s.trouble.empty())
    out.push_back({"spool-no-room", "no room for the spool: " + s.trouble, now_ms});
  if (s.spool_quota_bytes > 0 && s.spool_bytes * 100 >= s.spool_quota_bytes * kMostFillPercent)
    out.push_back(
        {"spool-full",
         "the spool holds " + show_size(s.spool_bytes) + " of " + show_size(s.spool_quota_bytes),
         now_ms});
  if (s.oldest_waiting_ms < 0 || s.no_center_since_ms < 0) return;
  const int64_t since = std::max(s.oldest_waiting_ms, s.no_center_since_ms);
  if (now_ms - since >= kMostWaitMs)
    out.push_back({"no-center", "lines wait in the spool and no Center answers", since});
}

void judge_center(const CenterStatus& s, int64_t now_ms, std::vector<Obstacle>& out) {
  for (const SinkStatus& sink : s.sinks)
    if (!sink.trouble.empty())
      out.push_back({"store", "sink '" + sink.name + "': " + sink.trouble, now_ms, sink.name});
}
}  // namespace

void Readiness::look(const Snapshot& now) {
  std::vector<Obstacle> found;
  if (now.agent) judge_agent(*now.agent, now.now_ms, found);
  if (now.local) judge_local(*now.local, now.now_ms, found);
  if (now.center) judge_center(*now.center, now.now_ms, found);
  for (Obstacle& obstacle : found)
    for (const Obstacle& before : obstacles_)
      if (before.what == obstacle.what && before.sink == obstacle.sink)
        obstacle.since_ms = std::min(obstacle.since_ms, before.since_ms);
  obstacles_ = std::move(found);
}

std::map<std::string, Balance> balance_of(const Snapshot& now) {
  std::map<std::string, Balance> out;
  if (!now.agent || !now.local || !now.center) return out;
  for (const auto& [name, flow] : now.agent->categories) {
    Balance& b = out[name];
    b.read += flow.taken;
    b.in_flight += flow.waiting;
  }
  for (const auto& [name, tally] : now.local->categories) {
    Balance& b = out[name];
    b.read += tally.before;
    b.in_flight += tally.waiting;
    b.lost += tally.lost;
  }
  for (const SinkStatus& sink : now.center->sinks)
    for (const auto& [name, flow] : sink.categories) {
      Balance& b = out[name];
      b.in_flight += flow.unpublished;
      b.published += flow.published;
      b.lost += flow.lost;
    }
  return out;
}

}  // namespace tailrace
