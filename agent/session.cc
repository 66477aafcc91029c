#include "agent/session.h"

#include <algorithm>

#include "base/buggify.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr int64_t kResendMs = 1000;
constexpr int64_t kFlushMs = 10'000;
}  // namespace

Session::Session(Journal& journal, size_t window_bytes, SpoolLoss loss)
    : journal_(journal), window_limit_(window_bytes), loss_(loss) {
  for (const auto& [number, n] : journal.state().notices) {
    if (n.gone) gone_.insert(n.file);
    unsent_.insert(number);
  }
}

std::string Session::name(StreamId stream) const {
  const StreamRecord* s = state().stream(stream);
  return s ? "'" + s->category + "'" : "stream " + std::to_string(stream);
}

void Session::hold(std::string why) {
  phase_ = Phase::held;
  held_ = std::move(why);
  actions_.clear();
}

// --- the connection -----------------------------------------------------------------------------

void Session::connected() {
  phase_ = Phase::greeting;
  greeting_ = {};
}

void Session::disconnected() {
  phase_ = phase_ == Phase::held ? Phase::held : Phase::disconnected;
  actions_.clear();
  for (const auto& [number, order] : sent_notices_) unsent_.insert(number);
  sent_notices_.clear();
  sent_ = 0;
  journal_.forget_told();
  for (auto& [id, lane] : lanes_) {
    lane.told = lane.paused = lane.refused = lane.resend = false;
    lane.resent_ms = INT64_MIN / 2;
  }
}

void Session::ack(StreamId stream, uint64_t next_seq) {
  if (phase_ != Phase::live) return;
  const auto lane = lanes_.find(stream);
  if (lane == lanes_.end())
    return hold("the Local acks stream " + std::to_string(stream) + ", which was never sent");
  if (take_ack(stream, lane->second, next_seq)) send_notices();
}

// False: holding.
bool Session::take_ack(StreamId stream, Lane& lane, uint64_t next_seq) {
  const StreamRecord& s = *state().stream(stream);
  if (next_seq <= s.acked_seq) return true;
  uint64_t order = 0;
  while (!lane.window.empty() && lane.window.front().batch->fields.end_seq() <= next_seq) {
    lane.window_bytes -= lane.window.front().batch->bytes();
    order = std::max(order, lane.window.front().order);
    lane.window.pop_front();
  }
  const uint64_t front =
      lane.window.empty() ? s.next_seq : lane.window.front().batch->fields.first_seq;
  if (front != next_seq) {
    hold("the Local acks line " + std::to_string(next_seq) + " of " + name(stream) +
         ", where no batch ends: it is not the Local that took our batches");
    return false;
  }
  journal_.acked(stream, next_seq);
  if (mutant(Mutant::final_on_ack)) journal_.final_at(stream, next_seq);
  confirm_notices(order);
  settle_ahead();
  return true;
}

void Session::expect(StreamId stream, uint64_t next_seq, int64_t now_ms) {
  if (phase_ != Phase::live) return;
  const auto it = lanes_.find(stream);
  const StreamRecord* s = state().stream(stream);
  if (it == lanes_.end() || !s)
    return hold("the Local expects stream " + std::to_string(stream) + ", which was never sent");
  if (next_seq < s->acked_seq)
    return hold("the Local expects line " + std::to_string(next_seq) + " of " + name(stream) +
                ", but it had acked all below " + std::to_string(s->acked_seq) +
                ": its spool was put back to an older state");
  Lane& lane = it->second;
  bool known = next_seq == s->next_seq;
  for (const InFlight& f : lane.window) known = known || f.batch->fields.first_seq == next_seq;
  if (!known)
    return hold("the Local expects line " + std::to_string(next_seq) + " of " + name(stream) +
                ", where no batch of ours starts");
  if (next_seq == s->next_seq) return;
  lane.resend = true;
  lane.resend_from = next_seq;
  try_resend(lane, now_ms);
}

// Batches that follow a refused one are refused too, each with an EXPECT of its own: to answer all
// of them would multiply them. So at most once a second, and nothing new is sent before that.
void Session::try_resend(Lane& lane, int64_t now_ms) {
  if (!lane.resend || lane.paused || phase_ != Phase::live) return;
  if (now_ms - lane.resent_ms < kResendMs) return;
  lane.resend = false;
  lane.resent_ms = now_ms;
  for (size_t i = 0; i < lane.window.size(); ++i)
    if (lane.window[i].batch->fields.first_seq >= lane.resend_from)
      send(lane, lane.window[i], i + 1 == lane.window.size());
}

void Session::credit(const std::string& category, bool paused, int64_t now_ms) {
  if (phase_ != Phase::live) return;
  for (auto& [id, lane] : lanes_) {
    if (state().stream(id)->category != category) continue;
    lane.paused = paused;
    if (paused) continue;
    lane.resent_ms = INT64_MIN / 2;
    try_resend(lane, now_ms);
  }
}

void Session::refused(StreamId stream, const std::string& text) {
  lanes_[stream].refused = true;
  held_ = "the Local refuses " + name(stream) + ": " + text;
}

void Session::committed(const std::vector<WelcomePart::Final>& positions) {
  if (phase_ != Phase::live) return;
  for (const WelcomePart::Final& p : positions) sinks_.insert(p.sink);
  for (const WelcomePart::Final& p : positions) {
    take_final(p);
    if (phase_ != Phase::live) return;
  }
  send_notices();
}

void Session::take_final(const WelcomePart::Final& p) {
  const StreamRecord* s = state().stream(p.stream);
  if (s && (state().lost(*s) || lanes_[p.stream].fresh)) return;
  if (!s || p.seq > s->next_seq)
    return hold("the Local says that line " + std::to_string(p.seq) + " of " + name(p.stream) +
                " is published, but no such line was sent");
  if (p.given_up && !mutant(Mutant::given_up_is_committed)) {
    const auto begins = s->begins.find(p.sink);
    if (begins == s->begins.end() || begins->second < p.seq)
      journal_.begin_sink(p.stream, p.sink, p.seq);
  }
  Lane& lane = lanes_[p.stream];
  uint64_t& mine = lane.finals[p.sink];
  mine = std::max(mine, p.seq);
  uint64_t least = UINT64_MAX;
  for (const std::string& sink : sinks_) {
    const auto f = lane.finals.find(sink);
    least = std::min(least, f == lane.finals.end() ? 0 : f->second);
  }
  if (mutant(Mutant::final_at_first)) least = mine;
  if (least <= s->final_seq) return;
  if (least > s->acked_seq && !take_ack(p.stream, lane, least)) return;
  journal_.final_at(p.stream, least);
}

void Session::tick(int64_t now_ms) {
  for (auto& [id, lane] : lanes_) try_resend(lane, now_ms);
  if (!flushing_ || phase_ != Phase::live || all_final()) return;
  if (now_ms - flushed_ms_ < kFlushMs) return;
  flushed_ms_ = now_ms;
  actions_.push_back({.kind = SessionAction::Kind::flush});
}

// --- the files

Session::Place Session::place(const std::string& category) {
  const StreamRecord* s = state().stream_of(category);
  const StreamId id = s ? s->id : journal_.add_stream(category, 0);
  Lane& lane = lanes_[id];
  if (phase_ == Phase::live) tell_stream(id, lane);
  s = state().stream(id);
  return {id, s->next_seq, s->bucket};
}

FileId Session::define_file(const std::string& identity, const std::string& path,
                            uint32_t generation, const std::string& category, FilePosition at) {
  FileRecord f;
  f.id = state().next_file;
  f.identity = identity;
  f.path = path;
  f.generation = generation;
  f.stream = place(category).stream;
  f.acked = f.final_ = at;
  journal_.put_file(f);
  return f.id;
}

void Session::append(BatchPtr batch, const std::vector<SourceRange>& ranges) {
  const BatchFields& f = batch->fields;
  const StreamRecord* s = state().stream(f.stream);
  TAILRACE_CHECK(s && s->next_seq == f.first_seq && s->bucket <= f.bucket,
                 "a batch that is not at its stream's next");
  journal_.add_batch(f.stream, f.count, f.bucket, ranges);
  Lane& lane = lanes_[f.stream];
  lane.window_bytes += batch->bytes();
  lane.window.push_back({std::move(batch), 0});
  if (phase_ == Phase::live) send(lane, lane.window.back(), false);
}

void Session::push() {
  for (size_t i = actions_.size(); i-- > 0;) {
    if (actions_[i].kind != SessionAction::Kind::append) continue;
    actions_[i].push = true;
    return;
  }
}

void Session::send(Lane& lane, InFlight& f, bool push) {
  tell_stream(f.batch->fields.stream, lane);
  tell_files_of(*f.batch);
  f.order = ++sent_;
  actions_.push_back({.kind = SessionAction::Kind::append, .batch = f.batch, .push = push});
}

void Session::tell_stream(StreamId stream, Lane& lane) {
  if (lane.told) return;
  lane.told = true;
  std::vector<std::string> ahead;
  for (const StreamRecord::Ahead& a : state().stream(stream)->ahead) ahead.push_back(a.sink);
  actions_.push_back(
      {.kind = SessionAction::Kind::stream_def, .stream = stream, .sinks = std::move(ahead)});
}

void Session::tell_files_of(const Batch& batch) {
  const auto head = BatchHead::parse(batch.head);
  TAILRACE_CHECK(head.ok(), "a batch of ours that cannot be parsed");
  for (size_t i = 0; i < head->source_count(); ++i) tell_file(head->source(i).file);
}

void Session::tell_file(FileId file) {
  const FileRecord* f = state().file(file);
  if (!f || f->told) return;
  journal_.set_told(file, true);
  actions_.push_back({.kind = SessionAction::Kind::file_def, .file = file, .next = f->acked});
}

void Session::gap(FileId file, uint64_t start, uint64_t end, std::string reason) {
  ++gaps_;
  add_notice({.file = file, .start = start, .end = end, .reason = std::move(reason)});
  send_newest_notice();
}

void Session::gone(FileId file, uint64_t read_to) {
  if (!gone_.insert(file).second) return;
  add_notice({.file = file, .gone = true, .start = read_to, .reason = {}});
  send_newest_notice();
  settle_ahead();
}

void Session::moved(FileId file, const std::string& path, bool parked) {
  const FileRecord* before = state().file(file);
  if (!before || (before->path == path && before->parked == parked)) return;
  FileRecord f = *before;
  f.path = path;
  f.parked = parked;
  f.rewound = before->rewound && !parked;
  journal_.put_file(f);
}

void Session::flush() {
  flushing_ = true;
  if (phase_ == Phase::live) actions_.push_back({.kind = SessionAction::Kind::flush});
}

// --- notices

void Session::add_notice(Notice notice) { unsent_.insert(journal_.add_notice(std::move(notice))); }

// All that wait, oldest first. Those that wait still after that do so for an ack or a welcome,
// after which this is called again; so a new notice need not look at the others.
void Session::send_notices() {
  if (phase_ != Phase::live) return;
  const std::set<FileId> lost = files_of_lost();
  std::erase_if(unsent_, [&](uint64_t number) { return send_notice(number, lost); });
}

void Session::send_newest_notice() {
  if (phase_ != Phase::live) return;
  const uint64_t number = *unsent_.rbegin();
  if (send_notice(number, files_of_lost())) unsent_.erase(number);
}

// False: it has to wait.
bool Session::send_notice(uint64_t number, const std::set<FileId>& lost) {
  const auto it = state().notices.find(number);
  if (it == state().notices.end()) return true;
  const Notice& n = it->second;
  // Where it goes on is not known yet.
  if (lost.contains(n.file) || (greet_again_ && moved_.contains(n.file))) return false;
  const FileRecord* f = state().file(n.file);
  if (!f) {
    journal_.erase_notice(number);
    return true;
  }
  if (n.gone && f->acked.offset < n.start) return false;  // its last batches are under way
  tell_file(n.file);
  sent_notices_[number] = sent_;
  if (n.gone)
    actions_.push_back({.kind = SessionAction::Kind::file_gone, .file = n.file});
  else
    actions_.push_back({.kind = SessionAction::Kind::file_gap, .file = n.file, .gap = n});
  return true;
}

// APPEND number `order` is durable, and so is all that was sent before it.
void Session::confirm_notices(uint64_t order) {
  for (auto it = sent_notices_.begin(); it != sent_notices_.end();) {
    if (it->second >= order) {
      ++it;
      continue;
    }
    const auto n = state().notices.find(it->first);
    if (n != state().notices.end()) {
      if (n->second.gone) {
        gone_.erase(n->second.file);
        journal_.erase_file(n->second.file);
      }
      journal_.erase_notice(it->first);
    }
    it = sent_notices_.erase(it);
  }
}

// --- what the shell asks

bool Session::may_read(const std::string& category) const {
  if (phase_ != Phase::live) return false;
  if (losses_ > 1 && durable_losses_ < losses_) return false;  // see losses()
  const StreamRecord* s = state().stream_of(category);
  if (s && state().lost(*s)) return false;
  if (waiting_too_.contains(category) && (any_ahead() || !files_of_lost().empty())) return false;
  const auto lane = s ? lanes_.find(s->id) : lanes_.end();
  if (lane == lanes_.end()) return true;
  return !lane->second.fresh && !lane->second.paused && !lane->second.refused &&
         !lane->second.resend;
}

bool Session::window_full() const {
  size_t moving = 0, all = 0;
  for (const auto& [id, lane] : lanes_) {
    all += lane.window_bytes;
    if (!lane.paused && !lane.refused) moving += lane.window_bytes;
  }
  if (moving > 0 && buggify(Rare::window_closed)) return true;
  return moving >= window_limit_ || all >= 3 * window_limit_;
}

bool Session::all_acked() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const auto& l) { return l.second.window.empty(); });
}

bool Session::all_final() const { return state().all_final(); }

std::map<std::string, Session::Flow> Session::flows() const {
  std::map<std::string, Flow> out;
  if (!placed_) return out;
  for (const auto& [id, s] : state().streams) {
    const auto lane = lanes_.find(id);
    const uint64_t base = lane == lanes_.end() ? s.next_seq : lane->second.base_seq;
    Flow& flow = out[s.category];
    flow.next_seq += s.next_seq;
    flow.taken += s.next_seq - base + (lane == lanes_.end() ? 0 : lane->second.earlier);
    flow.waiting += s.next_seq - std::max(s.acked_seq, base);
    flow.unpublished += s.next_seq - s.final_seq;
  }
  return out;
}

uint64_t Session::lines_final() const {
  uint64_t n = 0;
  for (const auto& [id, lane] : lanes_) {
    const StreamRecord* s = state().stream(id);
    if (s && s->final_seq > lane.base_seq) n += s->final_seq - lane.base_seq;
    n += lane.earlier;
  }
  return n;
}

}  // namespace tailrace
