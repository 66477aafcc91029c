// A snapshot as JSON.
#include <nlohmann/json.hpp>

#include "cli/watch/figures.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr size_t kMostUnreadableShown = 100;

// Paths and peers' words may be no UTF-8.
std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json age(int64_t then_ms, int64_t now_ms) {
  if (then_ms < 0) return nullptr;
  return static_cast<double>(std::max<int64_t>(0, now_ms - then_ms)) / 1000;
}

Json agent_json(const AgentStatus& s, int64_t now_ms) {
  Json out;
  out["connected"] = s.connected;
  out["held"] = s.held;
  out["retiring"] = s.retiring;
  out["draining"] = s.draining_for_good;
  out["idle"] = s.idle;
  out["files"] = s.files;
  out["read_bytes"] = s.bytes_read;
  out["unread_bytes"] = s.bytes_unread;
  out["oldest_unread_seconds"] = age(s.oldest_unread_ms, now_ms);
  out["split_lines"] = s.split_lines;
  out["gaps"] = s.gaps;
  out["refused"] = s.refused;
  out["unreadable_count"] = s.unreadable_count;
  out["unreadable"] = Json::array();
  for (const UnreadableFile& file : s.unreadable) {
    if (out["unreadable"].size() >= kMostUnreadableShown) break;
    out["unreadable"].push_back({{"path", file.path}, {"reason", file.reason}});
  }
  out["categories"] = Json::object();
  for (const auto& [name, flow] : s.categories)
    out["categories"][name] = {{"taken", flow.taken},
                               {"waiting", flow.waiting},
                               {"passed", flow.passed},
                               {"unpublished", flow.unpublished},
                               {"unread_bytes", flow.bytes_unread},
                               {"lag_seconds", age(flow.oldest_unpublished_ms, now_ms)}};
  return out;
}

Json local_json(const LocalStatus& s, int64_t now_ms) {
  Json out;
  out["spool_bytes"] = s.spool_bytes;
  out["spool_limit_bytes"] = s.spool_quota_bytes;
  out["fills_bytes_per_second"] = s.fills_bytes_per_second;
  out["full"] = s.full;
  out["trouble"] = s.trouble;
  out["held"] = s.held;
  out["agent_connected"] = s.agent_connected;
  out["center"] = s.center;
  out["no_center_seconds"] = age(s.no_center_since_ms, now_ms);
  out["oldest_waiting_seconds"] = age(s.oldest_waiting_ms, now_ms);
  out["refused"] = s.refused;
  out["given_up"] = Json::object();
  for (const auto& [key, lines] : s.lines_given_up) out["given_up"][key.first][key.second] = lines;
  out["waiting_at"] = Json::object();
  for (const auto& [key, lines] : s.waiting_at) out["waiting_at"][key.first][key.second] = lines;
  out["categories"] = Json::object();
  for (const auto& [name, tally] : s.categories)
    out["categories"][name] = {{"before", tally.before},   {"taken", tally.taken},
                               {"waiting", tally.waiting}, {"passed", tally.passed},
                               {"lost", tally.lost},       {"refused", tally.refused}};
  return out;
}

Json sink_json(const SinkStatus& s, int64_t now_ms) {
  Json out;
  out["name"] = s.name;
  out["trouble"] = s.trouble;
  out["lanes"] = s.lanes;
  out["files_open"] = s.files_open;
  out["files_pending"] = s.files_pending;
  out["files_published"] = s.files_published;
  out["published_bytes"] = s.file_bytes_published;
  out["published_raw_bytes"] = s.raw_bytes_published;
  out["newest_published_seconds"] = age(s.newest_published_ms, now_ms);
  out["categories"] = Json::object();
  for (const auto& [name, flow] : s.categories)
    out["categories"][name] = {{"taken", flow.taken},
                               {"waiting", flow.uncommitted},
                               {"committed", flow.committed},
                               {"unpublished", flow.unpublished},
                               {"passed", flow.published},
                               {"lost", flow.lost},
                               {"refused", flow.refused},
                               {"files", flow.files},
                               {"fewest_files", flow.fewest_files},
                               {"files_open", flow.open_files},
                               {"lanes", flow.lanes}};
  return out;
}

Json center_json(const CenterStatus& s, int64_t now_ms) {
  Json out;
  out["name"] = s.name;
  out["draining"] = s.draining;
  out["drained"] = s.drained;
  out["rebalance_paused"] = s.rebalance_paused;
  out["others"] = s.others;
  out["locals"] = s.locals;
  out["refused"] = s.refused;
  out["lines_clock_skewed"] = s.lines_clock_skewed;
  out["sinks"] = Json::array();
  for (const SinkStatus& sink : s.sinks) out["sinks"].push_back(sink_json(sink, now_ms));
  return out;
}

Json discovery_json(const DiscoveryStatus& s) {
  Json out;
  out["connected"] = s.connected;
  out["away_seconds"] = static_cast<double>(s.away_ms) / 1000;
  out["announced"] = s.announced;
  out["centers"] = s.centers;
  out["ignored_nodes"] = s.ignored;
  out["rebalance_paused"] = s.paused;
  out["trouble"] = s.trouble;
  return out;
}

Json obstacles_json(const Readiness& readiness) {
  Json out = Json::array();
  for (const Obstacle& obstacle : readiness.obstacles()) {
    out.push_back(
        {{"what", obstacle.what}, {"text", obstacle.text}, {"since_ms", obstacle.since_ms}});
    if (!obstacle.sink.empty()) out.back()["sink"] = obstacle.sink;
  }
  return out;
}
}  // namespace

std::string status_json(const Snapshot& now, const Readiness& readiness) {
  Json out;
  out["role"] = now.role;
  out["version"] = TAILRACE_VERSION;
  out["cluster"] = now.cluster;
  out["now_ms"] = now.now_ms;
  out["started_ms"] = now.started_ms;
  out["ready"] = readiness.ready();
  out["obstacles"] = obstacles_json(readiness);
  if (now.agent) out["agent"] = agent_json(*now.agent, now.now_ms);
  if (now.local) out["local"] = local_json(*now.local, now.now_ms);
  if (now.center) out["center"] = center_json(*now.center, now.now_ms);
  if (now.discovery) out["zookeeper"] = discovery_json(*now.discovery);
  for (const auto& [name, b] : balance_of(now))
    out["balance"][name] = {
        {"read", b.read}, {"in_flight", b.in_flight}, {"published", b.published}, {"lost", b.lost}};
  return dumped(out);
}

std::string readiness_json(const Readiness& readiness) {
  return dumped({{"ready", readiness.ready()}, {"obstacles", obstacles_json(readiness)}});
}

}  // namespace tailrace
