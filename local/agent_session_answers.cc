// What becomes of an agent's lines, told to it: durable, final, given up, paused.
#include <map>

#include "base/mutant.h"
#include "base/random.h"
#include "flow/connection.h"
#include "local/agent_session_state.h"

namespace tailrace {

namespace {
constexpr int64_t kPauseAlarmMs = 5'000;
}  // namespace

void AgentSession::State::ack() {
  if (phase != Phase::open) return;
  size_t kept = 0;
  for (Unacked u : unacked) {
    const uint64_t durable = mutant(Mutant::ack_on_receipt)
                                 ? spool.tables().streams.at(u.stream).next.seq
                                 : spool.durable(u.stream).seq;
    if (durable > u.acked) {
      u.acked = durable;
      proto::Ack ack;
      ack.set_stream(u.stream);
      ack.set_next_seq(durable);
      send(FrameType::ack, std::move(ack));
    }
    if (durable < spool.tables().streams.at(u.stream).next.seq) unacked[kept++] = u;
  }
  unacked.resize(kept);
}

// With those of the other sinks, so that the agent knows how many there are. Of one stream several
// may have come at once: the furthest is told.
void AgentSession::State::tell_committed(const std::vector<SinkPlace>& places) {
  std::map<std::pair<StreamId, uint64_t>, Position> told;  // (stream, sink)
  for (const SinkPlace& place : places) {
    const auto [at, first] = told.try_emplace({place.stream, place.sink}, place.at);
    if (place.at.seq > at->second.seq && !mutant(Mutant::first_commit_told)) at->second = place.at;
  }
  for (const auto& [key, at] : spool.tables().cursors) {
    const auto& [sink, stream] = key;
    const auto of = told.lower_bound({stream, 0});
    if (of != told.end() && of->first.first == stream) told.try_emplace({stream, sink}, at);
  }
  proto::Committed committed;
  for (const auto& [key, at] : told) {
    if (!sinks_known(spool.tables(), key.first)) continue;  // final is what all have
    const Position settled = spool.settled(key.second, key.first);
    const bool given_up = settled.seq > spool.cursor(key.second, key.first).seq;
    proto::SinkStreamPosition& p = *committed.add_positions();
    p.set_sink(hex16(key.second));
    p.set_stream(key.first);
    p.set_seq(given_up ? settled.seq : at.seq);
    p.set_chain(given_up ? settled.chain : at.chain);
    p.set_given_up(given_up);
  }
  if (!committed.positions().empty()) send(FrameType::committed, std::move(committed));
}

void AgentSession::State::tell_given_up() {
  if (phase != Phase::open) return;
  std::vector<SinkPlace> places;
  for (const auto& [stream, end] : spool.given_up()) {
    if (std::exchange(given_up_told[stream], end.seq) == end.seq) continue;
    for (const auto& [key, at] : spool.tables().cursors)
      if (key.second == stream) places.push_back({key.first, stream, at});
  }
  if (!places.empty()) tell_committed(places);
}

void AgentSession::State::end_pauses() {
  if (paused.empty() || phase != Phase::open || !spool.has_room()) return;
  for (auto it = paused.begin(); it != paused.end();) {
    if (!spool.category_has_room(it->first)) {
      ++it;
      continue;
    }
    proto::Credit credit;
    credit.set_category(it->first);
    credit.set_paused(false);
    send(FrameType::credit, std::move(credit));
    it = paused.erase(it);
  }
}

// A pause of a moment, while the spool makes room, is nobody's concern.
void AgentSession::State::alarm_pauses(int64_t now_ms) {
  for (auto& [category, pause] : paused) {
    if (pause.alarmed || now_ms - pause.since_ms < kPauseAlarmMs) continue;
    pause.alarmed = true;
    out.not_read.push_back({category, spool.trouble()});
  }
}

}  // namespace tailrace
