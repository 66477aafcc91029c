#include "local/uplink.h"

#include <algorithm>

#include "base/random.h"
#include "base/units.h"
#include "flow/connection.h"
#include "local/agent_session.h"
#include "local/uplink_state.h"

namespace tailrace {

namespace {
constexpr int64_t kFirstPauseMs = 100;
constexpr int64_t kLongestPauseMs = 5'000;
constexpr int64_t kVersionPauseMs = 60'000;
constexpr int64_t kOutageAlarmMs = 60'000;
constexpr int64_t kCloseAlarmMs = 10'000;
constexpr uint32_t kFullPercent = 70;  // above it the Center commits early, so it is told at once
constexpr int kMostRefusals = 3;       // of one batch, then it is given up
constexpr size_t kMostAddressBytes = 256;
constexpr int64_t kAskMs = 5'000;
constexpr int kMostSinks = 32;  // bits of a DATA frame's sinks
}  // namespace

void UplinkActions::clear() {
  frames.clear();
  close = false;
  reads.clear();
  quarantines.clear();
  committed.clear();
  retired.clear();
  alarms.clear();
  holes_changed = false;
  redirects.clear();
  centers.clear();
}

// --- the connection's life -------------------------------------------------------------------

void Uplink::connected(int64_t now_ms) {
  State& s = *state_;
  TAILRACE_CHECK(s.phase == State::Phase::idle, "connected twice");
  s.phase = State::Phase::hello;
  s.connected_ms = s.heard_ms = s.pinged_ms = s.asked_ms = s.now_ms = now_ms;
  s.retired_ms = INT64_MIN / 2;
  s.pings = s.pongs = 0;
  s.was_full = false;
  s.flush_told = 0;
  s.files_told.clear();
  s.sinks.clear();
  s.streams.clear();
  s.allowances.clear();
  s.turn = s.sink_turn = 0;
  s.hello();
}

void Uplink::disconnected(const std::string& why, uint64_t random, int64_t now_ms) {
  State& s = *state_;
  std::erase_if(s.all.owners, [this](const auto& way) { return way.second == this; });
  const bool lasted = s.phase != State::Phase::idle && now_ms - s.connected_ms >= kLongestPauseMs;
  s.phase = State::Phase::idle;
  if (lasted) s.failures = 0;
  int64_t pause_ms = std::min(kLongestPauseMs, kFirstPauseMs << s.failures);
  s.failures = std::min<uint32_t>(s.failures + 1, 10);
  pause_ms = pause_ms / 2 + static_cast<int64_t>(random % static_cast<uint64_t>(pause_ms / 2 + 1));
  s.connect_at_ms = now_ms + std::max(pause_ms, s.least_pause_ms);
  s.least_pause_ms = 0;
  if (why.empty() || !s.all.held_all.empty() || now_ms - s.outage_alarm_ms < kOutageAlarmMs) return;
  s.outage_alarm_ms = now_ms;
  s.out.alarms.push_back("no Center: " + why + "; lines wait in the spool, it is tried again");
}

void Uplink::State::ping() {
  proto::Ping p;
  for (size_t i = 0; i < sinks.size(); ++i) {
    proto::HeldBack& back = *p.add_held_back();
    back.set_sink(hex16(sinks[i].uuid));
    back.set_percent(holds_back(i) ? fill_percent() : 0);
  }
  ++pings;
  send(FrameType::ping, std::move(p));
}

void Uplink::State::close(std::string why) {
  if (!why.empty() && now_ms - close_alarm_ms >= kCloseAlarmMs) {
    close_alarm_ms = now_ms;
    out.alarms.push_back(std::move(why));
  }
  out.close = true;
  phase = Phase::closing;
}

void Uplink::State::malformed(const std::string& what) {
  proto::Reject r;
  r.set_code(proto::Reject::PROTOCOL);
  r.set_text(what);
  send(FrameType::reject, std::move(r));
  close("the connection to Center '" + center + "' was closed: " + what);
}

void Uplink::State::hold_all(const std::string& why) {
  all.held_all = why;
  out.alarms.push_back("HOLDING everything: " + why +
                       ". Nothing is sent or removed; the spool keeps all");
  close("");
}

UplinkStream* Uplink::State::find(StreamId stream) {
  for (UplinkStream& s : streams)
    if (s.stream == stream) return &s;
  return nullptr;
}

std::optional<size_t> Uplink::State::sink_index(uint64_t uuid) const {
  for (size_t i = 0; i < sinks.size(); ++i)
    if (sinks[i].uuid == uuid) return i;
  return std::nullopt;
}

// What the spool's fill is to the Center: as urgent as full when a category may not go on.
uint32_t Uplink::State::fill_percent() const {
  if (!all.spool.has_room()) return 100;
  for (const UplinkStream& s : streams)
    if (!all.spool.category_has_room(s.category)) return 100;
  return static_cast<uint32_t>(std::min<uint64_t>(
      100, all.spool.used_bytes() / std::max<uint64_t>(1, options.quota_bytes / 100)));
}

// Whether room comes of what that sink commits: of some stream no other one has got less. Sinks
// that are not required count for as long as something can be given up.
bool Uplink::State::holds_back(size_t sink) const {
  const bool others = all.spool.could_give_up();
  return std::any_of(streams.begin(), streams.end(), [&](const UplinkStream& s) {
    const uint64_t at = all.spool.cursor(sinks[sink].uuid, s.stream).seq;
    uint64_t least = slowest(s.stream);
    if (others)
      for (const UplinkSink& other : sinks)
        least = std::min(least, all.spool.cursor(other.uuid, s.stream).seq);
    return at < all.spool.durable(s.stream).seq && at <= least;
  });
}

void Uplink::tick(int64_t now_ms) {
  State& s = *state_;
  if (s.phase != State::Phase::hello && s.phase != State::Phase::open) return;
  s.now_ms = now_ms;
  if (now_ms - s.heard_ms >= kDeadMs)
    return s.close("the Center has said nothing for " + show_duration(kDeadMs) +
                   ": the connection is closed");
  if (s.phase != State::Phase::open) return;
  s.tell_stale_again();
  const bool full = s.fill_percent() >= kFullPercent;
  const bool fills = full && !s.was_full;
  s.was_full = full;
  if (now_ms - s.pinged_ms < kPingMs && !fills) return;
  s.pinged_ms = now_ms;
  s.ping();
}

// --- hello and welcome -----------------------------------------------------------------------

void Uplink::State::hello() {
  proto::Hello h;
  h.set_role(proto::ROLE_LOCAL);
  h.set_cluster(options.cluster);
  h.set_local_id(all.spool.local_id());
  h.set_start(all.spool.start());
  h.set_start_before(all.spool.start_before());
  h.set_host(options.host);
  h.set_version(options.version);
  h.set_frame_version_max(kFrameVersion);
  for (const auto& [id, info] : all.spool.tables().streams) {
    const Position durable = all.spool.durable(id);
    if (durable.seq == 0 || info.category.empty() || all.held_streams.contains(id)) continue;
    add_stream(info);
    proto::StreamState& state = *h.add_streams();
    state.set_stream(id);
    state.set_category(info.category);
    state.set_sub(info.sub);
    state.set_first_seq(info.oldest.seq);
    state.set_next_seq(durable.seq);
    for (const auto& [sink, stream] : all.spool.origins()) {
      if (stream != id) continue;
      const Position origin = all.spool.cursor(sink, stream);
      proto::SinkPosition& p = *state.add_origins();
      p.set_sink(hex16(sink));
      p.set_seq(origin.seq);
      p.set_chain(origin.chain);
    }
  }
  send(FrameType::hello, std::move(h));
}

// False: the connection is at its end.
bool Uplink::State::meet_sinks(const proto::Welcome& w) {
  const auto wrong = [this](const char* what) {
    malformed(what);
    return false;
  };
  if (w.sinks_size() > kMostSinks) return wrong("it names more than 32 sinks");
  std::vector<UplinkSink> named;
  for (const proto::SinkWelcome& sink : w.sinks()) {
    const uint64_t uuid = parse_hex16(sink.sink());
    if (uuid == 0) return wrong("it names a sink without a uuid");
    named.push_back({uuid, escape(sink.name(), 64)});
    all.spool.set_required(uuid, sink.required());
    all.sink_names[uuid] = named.back().name;
  }
  if (phase == Phase::open) {
    const auto same = [](const UplinkSink& a, const UplinkSink& b) { return a.uuid == b.uuid; };
    if (named.empty() || std::equal(named.begin(), named.end(), sinks.begin(), sinks.end(), same))
      return true;
    return wrong("it changed its sinks within a connection");
  }
  sinks = std::move(named);
  return true;
}

void Uplink::State::welcome(const proto::Welcome& w) {
  center = escape(w.center(), 64);
  if (!options.cluster.empty() && w.cluster() != options.cluster)
    return hold_all("Center '" + center + "' belongs to cluster " + escape(w.cluster(), 64) +
                    ", this host to " + options.cluster);
  if (!meet_sinks(w)) return;
  const bool first = phase != Phase::open;
  phase = Phase::open;
  paths_wanted = w.paths();
  if (first && meet_new_sinks()) return;
  for (auto& [category, list] : allowances) list.resize(sinks.size());
  for (UplinkStream& s : streams) {
    s.courses.resize(sinks.size());
    recall_held(s);
  }
  for (const proto::SinkStreamPosition& p : w.positions())
    if (!position(p, Said::committed)) return;
}

// A sink without cursors starts where the spool starts. If that is not the beginning, the Center
// must hear of it in a HELLO: true, the connection is made again.
bool Uplink::State::meet_new_sinks() {
  const size_t told = all.spool.origins().size();
  for (const UplinkSink& sink : sinks) all.spool.add_sink(sink.uuid, now_ms);
  const bool tell = all.spool.origins().size() > told;
  if (tell)
    close("a new sink starts in the middle of a stream; the Center is told so on a new connection");
  return tell;
}

void Uplink::begin_at(uint64_t sink) {
  State& s = *state_;
  if (s.phase == State::Phase::open && !s.sink_index(sink)) return;
  if (s.phase == State::Phase::hello || s.phase == State::Phase::open)
    s.close("a sink begins in the middle of a stream; the Center is told so on a new connection");
}

// --- the Center's frames --------------------------------------------------------------------

void Uplink::frame(Frame& frame, int64_t now_ms) {
  State& s = *state_;
  if (s.phase != State::Phase::hello && s.phase != State::Phase::open) return;
  s.heard_ms = s.now_ms = now_ms;
  if ((frame.flags & ~kFramePush) != 0)
    return s.malformed("a frame has flags that are not defined");
  if (!frame.payload.empty()) return s.malformed("a frame has a payload, a Center sends none");
  s.dispatch(frame);
}

void Uplink::State::dispatch(Frame& frame) {
  const auto parse = [&](google::protobuf::MessageLite& into) {
    const Result<void> parsed = parse_message(frame, into);
    if (!parsed) malformed(parsed.error().text);
    return parsed.ok();
  };
  if (frame.type == FrameType::reject) {
    proto::Reject r;
    if (parse(r)) rejected(r);
    return;
  }
  if (frame.type == FrameType::busy) {
    proto::Busy b;
    if (!parse(b)) return;
    least_pause_ms = std::min<int64_t>(b.retry_ms(), kVersionPauseMs);
    return close("the Center is busy; it is tried again");
  }
  if (frame.type == FrameType::welcome) {
    proto::Welcome w;
    if (parse(w)) welcome(w);
    return;
  }
  switch (frame.type) {
    case FrameType::ping: out.frames.push_back({FrameType::pong}); return;
    case FrameType::pong: {
      ++pongs;
      proto::Pong p;
      if (!frame.header.empty() && parse(p))
        out.centers.assign(p.centers().begin(), p.centers().end());
      return;
    }
    case FrameType::goodbye: return close("");
    case FrameType::centers:
    case FrameType::drain: return;
    default: break;
  }
  if (static_cast<uint8_t>(frame.type) >= 128) return;
  if (phase != Phase::open) return malformed("the first frame must be WELCOME or REJECT");
  switch (frame.type) {
    case FrameType::committed:
      if (!parse(committed)) return;
      for (const proto::SinkStreamPosition& p : committed.positions())
        if (!position(p, Said::committed)) return;
      return;
    case FrameType::rewind: {
      proto::Rewind r;
      if (parse(r)) position(r.to(), Said::rewind);
      return;
    }
    case FrameType::credit:
      if (parse(credit)) take_credit();
      return;
    case FrameType::redirect: {
      proto::Redirect r;
      if (!parse(r)) return;
      forget_lane(r.sink(), r.category(), r.parts(), r.part());
      if (!r.address().empty() && r.address().size() <= kMostAddressBytes)
        out.redirects.push_back(r.address());
      return;
    }
    case FrameType::retired: return retired(frame);
    case FrameType::released: return released(frame);
    default:
      return malformed("frame type " + std::to_string(static_cast<int>(frame.type)) +
                       " has no meaning from a Center");
  }
}

void Uplink::State::released(const Frame& frame) {
  proto::Released r;
  if (const auto parsed = parse_message(frame, r); !parsed) return malformed(parsed.error().text);
  forget_lane(r.sink(), r.category(), r.parts(), r.part());
}

void Uplink::State::rejected(const proto::Reject& r) {
  ++all.refused;
  const std::string text = "the Center says: " + escape(r.text());
  switch (r.code()) {
    case proto::Reject::CHAIN:
    case proto::Reject::CATEGORY:
    case proto::Reject::RETIRED: {
      UplinkStream* const s = find(r.stream());
      if (s == nullptr) return hold_all(text);
      const auto sink = sink_index(parse_hex16(r.sink()));
      if (phase == Phase::open && sink) return hold(*sink, *s, text);
      return hold_everywhere(*s, text);
    }
    case proto::Reject::DUPLICATE:
    case proto::Reject::CLUSTER: return hold_all(text);
    case proto::Reject::CORRUPT:
      if (r.batch()) batch_refused(r, text);
      return close("the connection was refused, it is tried again; " + text);
    case proto::Reject::VERSION: least_pause_ms = kVersionPauseMs; [[fallthrough]];
    default: return close("the connection was refused, it is tried again; " + text);
  }
}

void Uplink::State::batch_refused(const proto::Reject& r, const std::string& why) {
  const UplinkStream* const s = find(r.stream());
  if (s == nullptr) return;
  Delivery::Refusals& so_far = all.refusals[r.stream()];
  if (so_far.first_seq != r.first_seq()) so_far = {r.first_seq(), 0};
  if (++so_far.times < kMostRefusals) return;
  all.refusals.erase(r.stream());
  out.quarantines.push_back(
      {r.stream(), r.first_seq(), s->category,
       s->category + "-" + std::to_string(s->sub) + "-" + std::to_string(r.first_seq()) + ".batch",
       why});
}

void Uplink::State::take_credit() {
  const auto sink = sink_index(parse_hex16(credit.sink()));
  if (!sink || !valid_category(credit.category()))
    return malformed("credit for a sink or category that it did not name");
  auto it = allowances.find(credit.category());
  if (it == allowances.end()) {  // it may come before the category's first stream is declared
    if (allowances.size() >= kMostStreams) return malformed("credit for too many categories");
    it = allowances.try_emplace(credit.category(), sinks.size()).first;
  }
  Allowance& a = it->second[*sink];
  a.allowed_bytes = std::max(a.allowed_bytes, credit.bytes());
}

// Who owns these streams is open again: nothing more of them is sent until a position is said.
void Uplink::State::forget_lane(const std::string& sink, const std::string& category,
                                uint32_t parts, uint32_t part) {
  const auto index = sink_index(parse_hex16(sink));
  const bool lane = (parts == 1 || parts == 8 || parts == 64) && part < parts;
  if (!index || !lane) return malformed("what is no lane, or of a sink that it did not name");
  for (UplinkStream& s : streams)
    if (s.category == category &&
        lane_part({all.spool.local_id(), s.sub}, static_cast<uint8_t>(parts)) == part) {
      disown(*index, s.stream);
      s.courses[*index].stale = false;  // it was told so, and does not own the lane
    }
}

std::vector<size_t> Uplink::State::ownerless(const UplinkStream& s, bool asked) const {
  std::vector<size_t> at;
  for (size_t i = 0; i < sinks.size(); ++i) {
    if (s.courses[i].held || (asked && s.courses[i].stale)) continue;
    if (all.spool.tables().waits.contains({sinks[i].uuid, s.stream})) continue;
    if (!all.owners.contains({sinks[i].uuid, s.stream})) at.push_back(i);
  }
  return at;
}

bool Uplink::State::owned_here(size_t sink, StreamId stream) const {
  const auto owner = all.owners.find({sinks[sink].uuid, stream});
  return owner != all.owners.end() && owner->second == &me;
}

void Uplink::State::disown(size_t sink, StreamId stream) {
  if (owned_here(sink, stream)) all.owners.erase({sinks[sink].uuid, stream});
  find(stream)->courses[sink].known = false;
}

bool Uplink::owns_any() const {
  return std::any_of(state_->all.owners.begin(), state_->all.owners.end(),
                     [this](const auto& way) { return way.second == this; });
}

void Uplink::ask_again(int64_t now_ms) {
  State& s = *state_;
  if (s.phase != State::Phase::open || now_ms - s.asked_ms < kAskMs) return;
  s.asked_ms = now_ms;
  for (const UplinkStream& stream : s.streams)
    if (const auto at = s.ownerless(stream, true); !at.empty()) s.declare(stream, at);
}

bool Uplink::lacks_owner() const {
  const State& s = *state_;
  if (s.phase == State::Phase::open && !s.all.retires.empty()) return true;
  return s.phase == State::Phase::open &&
         std::any_of(s.streams.begin(), s.streams.end(), [&s](const UplinkStream& stream) {
           return !s.ownerless(stream, false).empty();
         });
}

void Uplink::leave() {
  State& s = *state_;
  if (s.phase != State::Phase::open) return;
  s.out.frames.push_back({FrameType::goodbye});
  s.close("");
}

void Uplink::other_version() { state_->least_pause_ms = kVersionPauseMs; }

// --- the door --------------------------------------------------------------------------------

Uplink::Uplink(Delivery& delivery, UplinkOptions options)
    : state_(std::make_unique<State>(*this, delivery, std::move(options))) {}
Uplink::~Uplink() = default;

void Uplink::take(UplinkActions& into) {
  into.clear();
  std::swap(into, state_->out);
}

int64_t Uplink::connect_due_ms(int64_t now_ms) const {
  const State& s = *state_;
  if (s.phase != State::Phase::idle || !s.all.held_all.empty()) return -1;
  return std::max<int64_t>(0, s.connect_at_ms - now_ms);
}

std::string Uplink::center() const {
  return state_->phase == State::Phase::open ? state_->center : "";
}

}  // namespace tailrace
