// What an uplink asks of streams whose spool is gone. docs/protocol.md, "A spool that is gone".
#include <algorithm>

#include "base/random.h"
#include "flow/connection.h"
#include "local/uplink_state.h"

namespace tailrace {

namespace {
constexpr int64_t kRetireMs = 3'000;
// How long a sink that is not required may take to say where it stands, once all others have.
constexpr int64_t kOthersMs = 60'000;
}  // namespace

// Of every Center that it is connected to: one that does not own the lane says who does.
void Uplink::ask_retired(int64_t now_ms) {
  State& s = *state_;
  if (s.phase != State::Phase::open || now_ms - s.retired_ms < kRetireMs) return;
  s.retired_ms = s.now_ms = now_ms;
  for (size_t i = 0; i < s.all.retires.size();)
    if (!s.answer_retire(i)) ++i;
  for (const Delivery::Retire& asked : s.all.retires) {
    proto::Retire r;
    r.set_local_id(asked.local_id);
    r.set_category(asked.category);
    r.set_sub(asked.sub);
    s.send(FrameType::retire, std::move(r));
  }
}

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
  answer_retire(static_cast<size_t>(it - all.retires.begin()));
}

// One answer for the agent, once all sinks have said where they are; one that is not required and
// away shall get nothing of it again. An agent that does not know how to go on from several lines
// gets none if they differ. True: it is answered.
bool Uplink::State::answer_retire(size_t at) {
  Delivery::Retire& asked = all.retires[at];
  RetiredStream answer{asked.local_id, asked.category, asked.sub, UINT64_MAX};
  bool all_said = !asked.finals.empty();
  for (const auto& [uuid, name] : all.sink_names) {
    const auto final = asked.finals.find(uuid);
    if (final == asked.finals.end()) {
      if (all.spool.required(uuid) || !asked.each_sink) return false;
      all_said = false;
      answer.finals[uuid] = RetiredStream::kUnknown;
      continue;
    }
    answer.seq = std::min(answer.seq, final->second.seq);
    if (asked.each_sink) answer.finals[uuid] = final->second.seq;
    if (asked.each_sink || final->second == asked.finals.begin()->second) continue;
    if (!std::exchange(asked.differ, true))
      out.alarms.push_back("'" + asked.category + "' of the spool " + hex16(asked.local_id) +
                           ", which is gone, has come to different lines at different sinks: what "
                           "to read again is not clear (on_spool_loss)");
    return false;
  }
  if (!all_said) {
    if (asked.finals.empty()) return false;
    if (asked.others_ms < 0) asked.others_ms = now_ms;
    if (now_ms - asked.others_ms < kOthersMs) return false;
  }
  out.retired.push_back(std::move(answer));
  all.retires.erase(all.retires.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

}  // namespace tailrace
