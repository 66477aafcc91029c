// What a hub says of itself: to its own process, and to an operator who asks from elsewhere.
#include "base/random.h"
#include "center/hub_state.h"

namespace tailrace {

CenterStatus Hub::status() const {
  const State& s = *state_;
  CenterStatus out;
  out.name = s.settings.name;
  out.draining = s.stop_asked;
  out.drained = s.stop_asked && s.stopped();
  out.rebalance_paused = s.presence.paused;
  for (const auto& sink : s.sinks) {
    out.sinks.push_back(sink->status());
  }
  out.refused = s.refused;
  out.lines_clock_skewed = s.lines_clock_skewed;
  const size_t known = s.known_centers().size();  // this one is among them
  out.others = known > 0 ? known - 1 : 0;
  for (const auto& [id, link] : s.links)
    if (link.greeted) ++out.locals;
  return out;
}

std::set<std::string> Hub::State::known_centers() const {
  std::set<std::string> addresses;
  for (const auto& sink : sinks) {
    const std::vector<std::string>& of_sink = sink->session->addresses();
    addresses.insert(of_sink.begin(), of_sink.end());
  }
  return addresses;
}

proto::CenterReport Hub::State::report() const {
  proto::CenterReport out;
  out.set_name(settings.name);
  out.set_address(settings.address);
  out.set_version(TAILRACE_VERSION);
  out.set_started_ms(started_ms);
  out.set_draining(stop_asked);
  out.set_drained(stop_asked && stopped());
  out.set_rebalance_paused(presence.paused);
  uint32_t locals = 0;
  for (const auto& [id, link] : links) locals += link.greeted ? 1 : 0;
  out.set_locals(locals);
  for (const std::string& address : known_centers()) out.add_centers(address);
  for (const auto& sink : sinks) *out.add_sinks() = sink->report();
  return out;
}

proto::SinkReport Hub::Sink::report() const {
  proto::SinkReport out;
  const SinkStatus now = status();
  out.set_name(now.name);
  out.set_sink(uuid);
  out.set_lanes(now.lanes);
  out.set_lines_per_second(lines_rate.per_second());
  out.set_bytes_per_second(bytes_rate.per_second());
  uint64_t uncommitted = 0, unpublished = 0;
  for (const auto& [name, flow] : now.categories) {
    uncommitted += flow.uncommitted;
    unpublished += flow.unpublished;
  }
  out.set_uncommitted(uncommitted);
  out.set_unpublished(unpublished);
  const int64_t oldest_ms = session->oldest_open_ms();
  out.set_oldest_age_ms(oldest_ms == INT64_MAX ? -1 : hub.now.mono_ms - oldest_ms);
  out.set_trouble(now.trouble);
  return out;
}

}  // namespace tailrace
