// What an uplink asks of streams whose spool is gone. docs/protocol.md, "A spool that is gone".
#include <algorithm>

#include "base/random.h"
#include "flow/connection.h"
#include "local/uplink_state.h"

namespace tailrace {

namespace {
constexpr int64_t kRetireMs = 3'000;
}

// Of every Center that it is connected to: one that does not own the lane says who does.
void Uplink::ask_retired(int64_t now_ms) {
  State& s = *state_;
  if (s.phase != State::Phase::open || now_ms - s.retired_ms < kRetireMs) return;
  s.retired_ms = now_ms;
  for (const Delivery::Retire& asked : s.all.retires) {
    proto::Retire r;
    r.set_local_id(asked.local_id);
    r.set_category(asked.category);
    r.set_sub(asked.sub);
    s.send(FrameType::retire, std::move(r));
  }
}

// One answer for the agent, once all sinks have said where they are. One that does not know how to
// go on from several lines gets none if they differ.
void Uplink::State::retired(const Frame& frame) {
  proto::Retired r;
  if (const auto parsed = parse_message(frame, r); !parsed) return malformed(parsed.error().text);
  const auto sink = sink_index(parse_hex16(r.position().sink()));
  if (!sink) return malformed("RETIRED for a sink that it did not name");
  const auto it = std::find_if(all.retires.begin(), all.retires.end(), [&](const auto& asked) {
    return asked.local_id == r.local_id() && asked.category == r.category() && asked.sub == r.sub();
  });
  if (it == all.retires.end()) return;
  it->finals[sinks[*sink].uuid] = Position{r.position().seq(), r.position().chain()};
  RetiredStream answer{it->local_id, it->category, it->sub, UINT64_MAX};
  for (const auto& [uuid, name] : all.sink_names) {
    if (!it->finals.contains(uuid)) return;
    const Position& at = it->finals.at(uuid);
    answer.seq = std::min(answer.seq, at.seq);
    if (it->each_sink) answer.finals[uuid] = at.seq;
    if (it->each_sink || at == it->finals.begin()->second) continue;
    if (!std::exchange(it->differ, true))
      out.alarms.push_back("'" + it->category + "' of the spool " + hex16(it->local_id) +
                           ", which is gone, has come to different lines at different sinks: what "
                           "to read again is not clear (on_spool_loss)");
    return;
  }
  out.retired.push_back(std::move(answer));
  all.retires.erase(it);
}

}  // namespace tailrace
