// What a Center's positions do to an Uplink: followed, committed, answered with STALE, or held.
#include <algorithm>

#include "base/mutant.h"
#include "base/random.h"
#include "base/units.h"
#include "local/position_check.h"
#include "local/uplink_state.h"

namespace tailrace {

namespace {
constexpr int64_t kStaleAgainMs = 15'000;

// Few words, for they become a label; the log has the whole reason.
std::string kind_of_gap(const GapInfo& gap) {
  for (const char* kind : {"quarantine", "adopted", GapInfo::kGivenUp})
    if (gap.reason.starts_with(kind)) return kind;
  return "damaged";
}
}  // namespace

Delivery::Trouble* Uplink::State::trouble(size_t sink, StreamId stream) {
  const auto it = all.troubles.find({sinks[sink].uuid, stream});
  return it == all.troubles.end() ? nullptr : &it->second;
}

// What held on an earlier connection holds on this one.
void Uplink::State::recall_held(UplinkStream& s) {
  for (size_t i = 0; i < sinks.size(); ++i) {
    const Delivery::Trouble* const t = trouble(i, s.stream);
    s.courses[i].held = all.held_streams.contains(s.stream) || (t != nullptr && !t->held.empty());
  }
}

bool Uplink::State::position(const proto::SinkStreamPosition& p, Said said) {
  const auto sink = sink_index(parse_hex16(p.sink()));
  UplinkStream* const s = find(p.stream());
  if (!sink || s == nullptr) {
    malformed("a position of a sink or stream that was never named on this connection");
    return false;
  }
  if (all.spool.tables().waits.contains({sinks[*sink].uuid, s->stream})) return true;
  const Position at{p.seq(), p.chain()};
  const auto sent = all.sent.find({sinks[*sink].uuid, s->stream});
  const PositionCheck check = check_position(all.spool, sinks[*sink].uuid, s->stream, at,
                                             sent == all.sent.end() ? 0 : sent->second);
  switch (check.verdict) {
    case PositionCheck::Verdict::good: follow(*sink, *s, at, said); break;
    case PositionCheck::Verdict::behind: behind(*sink, *s, at, check.why); break;
    case PositionCheck::Verdict::broken: hold(*sink, *s, check.why); break;
  }
  return true;
}

void Uplink::State::follow(size_t sink, UplinkStream& s, Position at, Said said) {
  Course& course = s.courses[sink];
  if (all.held_streams.contains(s.stream)) return;  // the operator decides
  course.stale = false;
  if (Delivery::Trouble* const t = trouble(sink, s.stream)) {
    if (!t->held.empty() && !t->hole) return;  // the operator decides
    if (t->hole) {
      out.alarms.push_back("'" + s.category + "' goes on: the Center stands where it should again");
      out.holes_changed = true;
    }
    all.troubles.erase({sinks[sink].uuid, s.stream});
    course.held = false;
  }
  if (said == Said::committed || mutant(Mutant::trims_received)) commit(sink, s, at);
  const bool was_known = course.known && owned_here(sink, s.stream);
  course.known = true;
  if (!was_known) {  // its Center owns the lane, and nobody else any more
    all.owners[{sinks[sink].uuid, s.stream}] = &me;
    flush_told &= ~(uint32_t{1} << sink);
  }
  if (said == Said::rewind && was_known) {
    // What is on its way is answered with the same REWIND again: it is sent from there once, after
    // the PONG, which comes after them all.
    if (course.sent > at.seq && course.barrier <= pongs) {
      ping();
      course.barrier = pings;
    }
    // A FLUSH that was said meanwhile came before what is sent again now.
    if (course.sent > at.seq) flush_told &= ~(uint32_t{1} << sink);
    course.sent = at.seq;
    return;
  }
  course.sent = was_known ? std::max(course.sent, at.seq) : at.seq;
}

// Of the required sinks, if any is.
uint64_t Uplink::State::slowest(StreamId stream) const {
  if (sinks.empty()) return 0;
  return all.spool.slowest(
      sinks, [](const UplinkSink& sink) { return sink.uuid; }, stream);
}

// The stream's gaps from `seq` on. The spool forgets a gap once it is passed.
std::vector<GapInfo> Uplink::State::gaps_from(StreamId stream, uint64_t seq) const {
  std::vector<GapInfo> out;
  const auto& gaps = all.spool.tables().gaps;
  for (auto it = gaps.lower_bound({stream, 0}); it != gaps.end() && it->first.first == stream; ++it)
    if (it->second.end_seq() > seq) out.push_back(it->second);
  return out;
}

void Uplink::State::commit(size_t sink, UplinkStream& s, Position at) {
  const uint64_t uuid = sinks[sink].uuid;
  if (at.seq <= all.spool.cursor(uuid, s.stream).seq) return;
  const uint64_t before = slowest(s.stream);
  const std::vector<GapInfo> gaps = gaps_from(s.stream, before);
  if (!all.spool.advance_cursor(uuid, s.stream, at, now_ms))
    return hold(sink, s, "the spool does not know the position that the Center has committed");
  const uint64_t after = slowest(s.stream);
  all.lines_committed += after - before;
  for (const GapInfo& gap : gaps)
    if (gap.end_seq() <= after)
      all.lines_lost[{s.category, kind_of_gap(gap)}] +=
          gap.end_seq() - std::max(before, gap.first_seq);
  out.committed.push_back({uuid, s.stream, at});
  const auto flush = all.flushes.find(s.stream);
  if (flush != all.flushes.end() && after >= flush->second) all.flushes.erase(flush);
}

// Never followed: the Center is told, and nothing is sent until it names another position. Doing so
// again is a hole, unless what comes now is an answer from before it was told.
void Uplink::State::behind(size_t sink, UplinkStream& s, Position at, const std::string& why) {
  Course& course = s.courses[sink];
  Delivery::Trouble& t = all.troubles[{sinks[sink].uuid, s.stream}];
  if (!t.held.empty()) return;
  disown(sink, s.stream);
  if (course.stale) {
    if (course.barrier > pongs) return;
    if (all.spool.origins().contains({sinks[sink].uuid, s.stream}))
      return hold(sink, s,
                  why +
                      " elsewhere, and does not begin there: this local_id was retired, or sink '" +
                      sinks[sink].name + "' was left out of the settings for a while");
    hold(sink, s,
         "HOLE: " + why + "; published files or control records at sink '" + sinks[sink].name +
             "' are missing (`tailrace spool adopt` says what going on would mean)");
    t.hole = true;
    t.store = at;
    out.holes_changed = true;
    return;
  }
  course.stale = true;
  tell_stale(sink, s);
  out.alarms.push_back("'" + s.category + "': " + why + "; it was told so");
}

void Uplink::State::tell_stale(size_t sink, UplinkStream& s) {
  s.courses[sink].told_ms = now_ms;
  const Position cursor = all.spool.cursor(sinks[sink].uuid, s.stream);
  proto::Stale stale;
  proto::SinkStreamPosition& p = *stale.mutable_position();
  p.set_sink(hex16(sinks[sink].uuid));
  p.set_stream(s.stream);
  p.set_seq(cursor.seq);
  p.set_chain(cursor.chain);
  send(FrameType::stale, std::move(stale));
  ping();
  s.courses[sink].barrier = pings;
}

// What came before the PONG counted for nothing, and the answer may have been among it.
void Uplink::State::tell_stale_again() {
  for (UplinkStream& s : streams)
    for (size_t i = 0; i < s.courses.size(); ++i) {
      const Course& course = s.courses[i];
      if (course.stale && !course.held && now_ms - course.told_ms >= kStaleAgainMs)
        tell_stale(i, s);
    }
}

void Uplink::State::hold(size_t sink, UplinkStream& s, const std::string& why) {
  Delivery::Trouble& t = all.troubles[{sinks[sink].uuid, s.stream}];
  if (!t.held.empty()) return;
  t.held = "'" + s.category + "': " + why;
  s.courses[sink].held = true;
  all.flushes.erase(s.stream);
  alarm_held(t.held);
}

// Towards every sink, and on every connection: it is not even named any more.
void Uplink::State::hold_everywhere(UplinkStream& s, const std::string& why) {
  if (!all.held_streams.try_emplace(s.stream, "'" + s.category + "': " + why).second) return;
  for (Course& course : s.courses) course.held = true;
  all.flushes.erase(s.stream);
  alarm_held(all.held_streams[s.stream]);
}

void Uplink::State::alarm_held(const std::string& what) {
  out.alarms.push_back("HOLDING " + what +
                       ". Nothing more of it is sent or removed; the spool keeps all");
}

}  // namespace tailrace
