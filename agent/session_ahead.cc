// The half of Session that knows of sinks which had got further than others when a spool was lost:
// what is read again is cut where each of them stands, and it begins there. docs/protocol.md, "A
// spool that is gone".
#include <algorithm>

#include "agent/session.h"
#include "base/mutant.h"
#include "base/units.h"

namespace tailrace {

namespace {
bool contains(const std::vector<std::string>& sinks, const std::string& sink) {
  return std::find(sinks.begin(), sinks.end(), sink) != sinks.end();
}
}  // namespace

// Where the Local says that a sink begins, it does, whatever a power cut left of the journal; of
// what it still waits for, one of the two must know. False: holding.
bool Session::judge_sinks(const WelcomePart::Stream& theirs) {
  const StreamRecord& s = *state().stream(theirs.id);
  if (state().lost(s)) return true;
  const std::vector<StreamRecord::Ahead> ahead = s.ahead;
  for (const StreamRecord::Ahead& a : ahead) {
    if (contains(theirs.waits, a.sink)) continue;
    if (theirs.next_seq == 0) {
      lanes_[theirs.id].untold = true;
      continue;
    }
    uint64_t at = 0;
    for (const WelcomePart::Final& f : greeting_.committed)
      if (f.stream == theirs.id && f.sink == a.sink) at = f.seq;
    journal_.begin_sink(theirs.id, a.sink, at);
  }
  for (const std::string& sink : theirs.waits) {
    const bool known =
        s.begins.contains(sink) || std::any_of(s.ahead.begin(), s.ahead.end(),
                                               [&sink](const auto& a) { return a.sink == sink; });
    if (known) continue;
    hold("the Local waits to be told with which line of " + name(theirs.id) + " sink " + sink +
         " begins, and the agent's journal has forgotten it. `tailrace spool forget` gives the "
         "sink up");
    return false;
  }
  return true;
}

// A file that is no more gives nothing more.
bool Session::reached(const StreamRecord::Ahead& ahead) const {
  return std::all_of(ahead.up_to.begin(), ahead.up_to.end(), [this](const auto& part) {
    const FileRecord* f = state().file(part.first);
    return !f || gone_.contains(part.first) || f->acked.offset >= part.second;
  });
}

// Once all that a sink has is read again and durable at the Local, that is told where it begins;
// what follows is for this one too.
void Session::settle_ahead() {
  if (phase_ != Phase::live || greet_again_) return;
  for (const auto& [id, s] : state().streams) {
    if (s.ahead.empty() || state().lost(s) || lanes_[id].fresh) continue;
    while (!s.ahead.empty() && s.acked_seq == s.next_seq && reached(s.ahead.front())) {
      const std::string sink = s.ahead.front().sink;
      tell_stream(id, lanes_[id]);
      journal_.begin_sink(id, sink, s.next_seq);
      say_origin(id, sink, s.next_seq);
    }
  }
}

void Session::say_origin(StreamId stream, const std::string& sink, uint64_t seq) {
  actions_.push_back(
      {.kind = SessionAction::Kind::origin, .stream = stream, .sinks = {sink}, .seq = seq});
}

uint64_t Session::read_to(const std::string& category, FileId file) const {
  const StreamRecord* s = state().stream_of(category);
  if (!s || s->ahead.empty() || mutant(Mutant::ahead_uncut)) return UINT64_MAX;
  const auto& up_to = s->ahead.front().up_to;
  const auto it = up_to.find(file);
  if (it == up_to.end()) return mutant(Mutant::others_read_on) ? UINT64_MAX : 0;
  return it->second;
}

bool Session::any_ahead() const {
  return std::any_of(state().streams.begin(), state().streams.end(),
                     [](const auto& s) { return !s.second.ahead.empty(); });
}

std::string Session::rereading() const {
  for (const auto& [id, s] : state().streams)
    if (!s.ahead.empty())
      return "a spool of this host is gone, and of " + name(id) + " only what sink " +
             s.ahead.front().sink + " has already is read now: it begins behind that";
  return {};
}

}  // namespace tailrace
