#include "center/kafka_session.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace tailrace {

namespace {
constexpr size_t kChunkBytes = 256u << 10;  // compressed: gathered before it is written
constexpr int64_t kFirstPauseMs = 1'000;
constexpr int64_t kLongestPauseMs = 60'000;
constexpr int64_t kSayMs = 10'000;      // between troubles of one lane that change
constexpr int64_t kPatienceMs = 2'000;  // answers `again` of less are no trouble

Lane whole(const std::string& category) { return Lane{category, 1, 0}; }
}  // namespace

KafkaSession::KafkaSession(KafkaSessionOptions options, uint64_t sink, uint64_t state_uuid,
                           std::string address, std::string name, Rng rng, Moment now)
    : options_(options),
      sink_(sink),
      state_uuid_(state_uuid),
      address_(std::move(address)),
      name_(std::move(name)),
      rng_(rng),
      now_(now),
      next_producer_(rng_.next()) {}

std::vector<KafkaAction> KafkaSession::take_actions() { return std::exchange(actions_, {}); }

KafkaPosition KafkaSession::Row::position(const StreamKey& key) const {
  const uint8_t mark = retiring ? kFinal : 0;
  return {key, written, static_cast<uint8_t>(flags | mark), origin, lost};
}

// --- who owns a lane -----------------------------------------------------------------------------

const KafkaSession::OwnedLane* KafkaSession::owner_of(const std::string& category) const {
  const auto found = lanes_.find(category);
  return found == lanes_.end() || !found->second.owned() ? nullptr : &found->second;
}

// Where the Center is that should own it; null: this one, or that is not known.
const std::string* KafkaSession::place_of(const std::string& category) const {
  if (ids_.empty() || address_.empty()) return nullptr;
  const uint64_t id = center_of(whole(category), ids_);
  return id == state_uuid_ ? nullptr : &centers_.at(id);
}

std::optional<TellElsewhere> KafkaSession::elsewhere(const std::string& category,
                                                     const StreamKey&) const {
  const std::string* to = lanes_.contains(category) ? nullptr : place_of(category);
  if (!to) return std::nullopt;
  return TellElsewhere{whole(category), *to};
}

void KafkaSession::set_centers(std::map<uint64_t, std::string> centers) {
  centers.try_emplace(state_uuid_, address_);
  if (centers == centers_) return;
  centers_ = std::move(centers);
  ids_.clear();
  addresses_.clear();
  for (const auto& [id, address] : centers_) {
    ids_.push_back(id);
    if (!address.empty()) addresses_.push_back(address);
  }
}

void KafkaSession::centers(std::map<uint64_t, std::string> centers, Moment now) {
  now_ = now;
  const bool silent =
      silent_since_ms_ >= 0 && now.mono_ms - silent_since_ms_ >= options_.takeover_after_ms;
  if (silent && !centers.empty()) by_zookeeper_ = false;
  if (!by_zookeeper_) set_centers(std::move(centers));
}

// What it says no more is what it said last, until somebody else knows.
void KafkaSession::presence(const Presence& presence, Moment now) {
  now_ = now;
  paused_ = presence.paused;
  if (!presence.fresh) {
    if (silent_since_ms_ < 0) silent_since_ms_ = now.mono_ms;
    return;
  }
  silent_since_ms_ = -1;
  std::map<uint64_t, std::string> centers;
  for (const Member& member : presence.members)
    if (member.state == Member::State::running && !member.address.empty() &&
        member.incarnations.contains(sink_))
      centers[member.state_uuid] = member.address;
  if (centers.empty()) return;
  by_zookeeper_ = true;
  set_centers(std::move(centers));
}

// Not at once: who came may go again, and who seems to be gone may come back.
void KafkaSession::move_lanes() {
  for (auto& [category, lane] : lanes_) {
    if (!place_of(category)) {
      lane.misplaced_ms = -1;
      continue;
    }
    if (lane.misplaced_ms < 0) lane.misplaced_ms = now_.mono_ms;
    const bool due = now_.mono_ms - lane.misplaced_ms >= options_.takeover_after_ms;
    if (lane.state == OwnedLane::State::waiting || (due && !paused_)) lane.leaving = true;
  }
}

bool KafkaSession::wish(const std::string& category, const StreamKey&, Moment now) {
  now_ = now;
  if (lanes_.contains(category)) return true;
  if (!wished_.contains(category) && wished_.size() >= options_.most_categories) return false;
  wished_.insert(category);
  if (!stopping_ && !place_of(category)) lanes_[category].again_ms = now.mono_ms;
  return true;
}

// --- a lane's life -------------------------------------------------------------------------------

void KafkaSession::tick(Moment now) {
  now_ = now;
  move_lanes();
  for (auto it = lanes_.begin(); it != lanes_.end();)
    it = step(it->first, it->second) ? lanes_.erase(it) : std::next(it);
  open_some();
  if (stopping_ && lanes_.empty() && !std::exchange(stopped_, true)) actions_.push_back(Stopped{});
}

void KafkaSession::call(const std::string& category, OwnedLane& lane, Call what) {
  lane.asked = true;
  actions_.push_back(CallKafka{{category, lane.producer, std::move(what)}});
}

bool KafkaSession::step(const std::string& category, OwnedLane& lane) {
  using State = OwnedLane::State;
  if (lane.again && now_.mono_ms >= lane.again_ms) {
    lane.asked = true;
    actions_.push_back(CallKafka{std::move(*lane.again)});
    lane.again.reset();
  }
  if (stopping_ || lane.leaving) return step_out(category, lane);
  if (lane.state != State::serving) return false;
  step_transaction(category, lane);
  if (lane.holds())
    lane.idle_since_ms = now_.mono_ms;
  else if (now_.mono_ms - lane.idle_since_ms >= options_.idle_ms) {
    call(category, lane, KafkaClose{});
    lane.asked = false;
    lane.state = State::resting;
  }
  return false;
}

// What it holds is committed first; then it is whoever's it should be.
bool KafkaSession::step_out(const std::string& category, OwnedLane& lane) {
  using State = OwnedLane::State;
  if (lane.state == State::serving && (lane.holds() || lane.asked)) {
    lane.hurry = true;
    step_transaction(category, lane);
    return false;
  }
  if (lane.state != State::resting) call(category, lane, KafkaClose{});
  forget(lane);
  std::vector<uint64_t> others = ids_;
  if (stopping_) std::erase(others, state_uuid_);
  const uint64_t to = others.empty() ? state_uuid_ : center_of(whole(category), others);
  if (to != state_uuid_)
    actions_.push_back(TellElsewhere{whole(category), centers_.at(to)});
  else if (!stopping_)
    actions_.push_back(TellReleased{whole(category)});
  return true;
}

bool KafkaSession::waits_for_its_turn(const OwnedLane& lane) const {
  return lane.state == OwnedLane::State::waiting && !lane.leaving && now_.mono_ms >= lane.again_ms;
}

// Whoever waits longest first.
void KafkaSession::open_some() {
  using State = OwnedLane::State;
  if (stopping_ || ids_.empty()) return;  // whose they should be is not known yet
  size_t at_work = 0;
  std::vector<std::pair<int64_t, const std::string*>> due;
  for (const auto& [category, lane] : lanes_) {
    at_work += lane.state == State::opening || lane.state == State::reading ? 1 : 0;
    if (waits_for_its_turn(lane)) due.emplace_back(lane.again_ms, &category);
  }
  std::stable_sort(due.begin(), due.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto it = due.begin(); it != due.end() && at_work < options_.opens; ++it, ++at_work)
    open(*it->second, lanes_.at(*it->second));
}

void KafkaSession::open(const std::string& category, OwnedLane& lane) {
  lane.state = OwnedLane::State::opening;
  lane.producer = next_producer_++;
  std::string id = kafka_transactional_id(sink_, category);
  if (mutant(Mutant::kafka_id_per_center)) id += std::to_string(state_uuid_);
  call(category, lane, KafkaOpen{std::move(id)});
}

void KafkaSession::step_transaction(const std::string& category, OwnedLane& lane) {
  if (lane.asked || lane.again || lane.state != OwnedLane::State::serving || !lane.holds()) return;
  const bool due = lane.hurry || lane.raw_bytes >= options_.commit_bytes ||
                   now_.mono_ms - lane.first_ms >= options_.commit_ms;
  if (!due && lane.queue_bytes < kChunkBytes) return;
  KafkaWrite write;
  write.batches = take_queue(lane);
  if (due) {
    take_ends(lane);
    if (!mutant(Mutant::kafka_positions_outside)) write.positions = lane.ends;
    lane.proving = std::exchange(lane.doubts, {});
    lane.first_ms = lane.queue.empty() ? -1 : now_.mono_ms;
    lane.hurry = lane.hurry && !lane.queue.empty();
    lane.step = OwnedLane::Step::ending;
  }
  lane.wrote = true;
  call(category, lane, std::move(write));
}

// What the transaction under way has room for; the rest is the next one's.
std::vector<KafkaBatch> KafkaSession::take_queue(OwnedLane& lane) {
  uint64_t raw = lane.raw_bytes;
  for (const KafkaBatch& batch : lane.queue) raw -= batch.fields.raw_len;
  auto end = lane.queue.begin();
  for (; end != lane.queue.end() && (lane.whole || raw < options_.commit_bytes); ++end) {
    raw += end->fields.raw_len;
    lane.queue_bytes -= end->payload->size();
    waiting_bytes_ -= end->payload->size();
    lane.lines += end->fields.count;
    lane.rows.at(end->key).written = {end->fields.end_seq(), end->fields.chain_after};
  }
  std::vector<KafkaBatch> taken(std::move_iterator(lane.queue.begin()), std::move_iterator(end));
  lane.queue.erase(lane.queue.begin(), end);
  return taken;
}

// How far the streams come that have moved.
void KafkaSession::take_ends(OwnedLane& lane) {
  for (auto it = lane.moved.begin(); it != lane.moved.end();) {
    Row& row = lane.rows.at(*it);
    if (lane.queue.empty()) row.written = row.received;  // behind a GAP
    lane.ends.push_back(row.position(*it));
    it = row.written == row.received ? lane.moved.erase(it) : std::next(it);
  }
  lane.whole = false;
}

// --- answers -------------------------------------------------------------------------------------

void KafkaSession::replied(KafkaCall call, const KafkaReply& reply, Moment now) {
  now_ = now;
  const auto found = lanes_.find(call.category);
  if (found == lanes_.end() || found->second.producer != call.producer || !found->second.asked)
    return;
  OwnedLane& lane = found->second;
  lane.asked = false;
  const std::string& category = found->first;
  if (reply.outcome == KafkaReply::Outcome::over)
    failed(category, lane, reply);
  else if (reply.outcome == KafkaReply::Outcome::again)
    come_again(lane, std::move(call), reply);
  else
    done(category, lane, call, reply);
  if (stopping_ || lane.leaving) return;  // at the next tick
  step(category, lane);
}

void KafkaSession::come_again(OwnedLane& lane, KafkaCall call, const KafkaReply& reply) {
  if (lane.since_ms < 0) lane.since_ms = now_.mono_ms;
  const std::string& category = call.category;
  if (now_.mono_ms - lane.since_ms >= kPatienceMs) {
    trouble(lane, "'" + category + "': " + reply.why);
    if (lane.state == OwnedLane::State::opening) tell_released(category, lane);
  }
  if (reply.lacks && lane.state == OwnedLane::State::opening) {
    const auto waits = [this](const auto& other) { return waits_for_its_turn(other.second); };
    if (std::any_of(lanes_.begin(), lanes_.end(), waits)) return stand_back(category, lane, reply);
  }
  if (std::holds_alternative<KafkaCommit>(call.what) && mutant(Mutant::kafka_on_after_timeout)) {
    for (auto& [key, row] : lane.rows) row.received = row.written = row.committed;
    forget(lane);
    tell_released(category, lane);
    return tell_lane(category, lane);
  }
  const bool in_transaction = lane.state == OwnedLane::State::serving;
  if (in_transaction && now_.mono_ms - lane.since_ms >= options_.give_up_ms)
    return failed(category, lane, reply);
  lane.again_ms = now_.mono_ms + options_.again_ms;
  lane.again = std::move(call);
}

void KafkaSession::done(const std::string& category, OwnedLane& lane, const KafkaCall& call,
                        const KafkaReply& reply) {
  using State = OwnedLane::State;
  using Step = OwnedLane::Step;
  if (std::holds_alternative<KafkaReadPositions>(call.what)) return read(category, lane, reply);
  lane.since_ms = -1;
  if (std::holds_alternative<KafkaOpen>(call.what)) {
    lane.state = State::reading;
    lane.read_to = 0;
    if (mutant(Mutant::kafka_unread) && !lane.rows.empty()) {
      lane.state = State::serving;
      return tell_lane(category, lane);
    }
    return this->call(category, lane, KafkaReadPositions{});
  }
  no_trouble(lane);
  if (std::holds_alternative<KafkaWrite>(call.what) && lane.step == Step::ending) {
    lane.step = Step::committing;
    return this->call(category, lane, KafkaCommit{});
  }
  if (!std::holds_alternative<KafkaCommit>(call.what)) return;
  if (mutant(Mutant::kafka_positions_outside) && lane.lines > 0) {
    counts_.lines_committed += std::exchange(lane.lines, 0);
    lane.step = Step::ending;
    return this->call(category, lane, KafkaWrite{{}, lane.ends});
  }
  committed(category, lane);
}

void KafkaSession::read(const std::string& category, OwnedLane& lane, const KafkaReply& reply) {
  // There is more, or somebody's transaction is open, or its end is not written yet: what it says
  // may count.
  if (reply.end < reply.target && !mutant(Mutant::kafka_below_high_watermark)) {
    if (lane.since_ms < 0) lane.since_ms = now_.mono_ms;
    if (now_.mono_ms - lane.since_ms >= kPatienceMs)
      trouble(lane, "'" + category + "': " + reply.why);
    const bool goes_on = std::exchange(lane.read_to, reply.end) != reply.end;
    lane.again_ms = now_.mono_ms + (goes_on ? 0 : options_.again_ms);
    lane.again = KafkaCall{category, lane.producer, KafkaReadPositions{}};
    return;
  }
  forget(lane);
  lane.rows.clear();
  for (const KafkaPosition& position : reply.positions) {
    Row& row = lane.rows[position.key];
    row.committed = row.received = row.written = position.at;
    row.flags = position.flags;
    row.origin = position.origin;
    row.lost = position.lost;
  }
  lane.since_ms = -1;
  no_trouble(lane);
  lane.state = OwnedLane::State::serving;
  lane.idle_since_ms = lane.proved_ms = now_.mono_ms;
  tell_lane(category, lane);
}

void KafkaSession::committed(const std::string& category, OwnedLane& lane) {
  lane.pause_ms = 0;
  lane.proved_ms = now_.mono_ms;
  lane.proving.clear();
  for (const KafkaPosition& end : std::exchange(lane.ends, {})) {
    Row& row = lane.rows.at(end.key);
    row.committed = end.at;
    row.flags |= end.flags;
    if (!lane.doubts.contains(end.key))
      actions_.push_back(TellCommitted{category, end.key, row.committed});
  }
  const uint64_t lines = std::exchange(lane.lines, 0);
  counts_.lines_committed += lines;
  counts_.lines_published += lines;
  counts_.categories[category].committed += lines;
  counts_.categories[category].published += lines;
  lane.wrote = false;
  lane.step = OwnedLane::Step::open;
  lane.raw_bytes = 0;
  for (const KafkaBatch& batch : lane.queue) lane.raw_bytes += batch.fields.raw_len;
}

// Nothing of its transaction is known now. Locals keep what was not committed.
void KafkaSession::failed(const std::string& category, OwnedLane& lane, const KafkaReply& reply) {
  losses_ += lane.holds() ? 1 : 0;
  trouble(lane, "'" + category + "': " + reply.why, true);
  if (mutant(Mutant::kafka_unread))
    for (auto& [key, row] : lane.rows) row.received = row.written = row.committed;
  else
    lane.rows.clear();
  forget(lane);
  pause(lane);
  tell_released(category, lane);
}

// Others have their turn while it lacks what a person must bring.
void KafkaSession::stand_back(const std::string& category, OwnedLane& lane,
                              const KafkaReply& reply) {
  trouble(lane, "'" + category + "': " + reply.why);
  call(category, lane, KafkaClose{});
  forget(lane);
  pause(lane);
  tell_released(category, lane);
}

void KafkaSession::pause(OwnedLane& lane) {
  lane.state = OwnedLane::State::waiting;
  lane.pause_ms = std::clamp(lane.pause_ms * 2, kFirstPauseMs, kLongestPauseMs);
  const auto jitter = static_cast<int64_t>(rng_.below(static_cast<uint64_t>(lane.pause_ms) / 2));
  lane.again_ms = now_.mono_ms + lane.pause_ms / 2 + jitter;
}

void KafkaSession::tell_lane(const std::string& category, OwnedLane& lane) {
  lane.told = true;
  actions_.push_back(TellLane{whole(category)});
}

void KafkaSession::tell_released(const std::string& category, OwnedLane& lane) {
  if (std::exchange(lane.told, false)) actions_.push_back(TellReleased{whole(category)});
}

// What it held, and what was under way.
void KafkaSession::forget(OwnedLane& lane) {
  waiting_bytes_ -= std::exchange(lane.queue_bytes, 0);
  lane.queue.clear();
  lane.moved.clear();
  lane.doubts.clear();
  lane.proving.clear();
  lane.ends.clear();
  lane.again.reset();
  lane.first_ms = lane.since_ms = -1;
  lane.hurry = lane.wrote = lane.asked = lane.whole = false;
  lane.step = OwnedLane::Step::open;
  lane.raw_bytes = lane.lines = 0;
}

// What the client says last changes all the time; `at_once`: what came of it.
void KafkaSession::trouble(OwnedLane& lane, std::string text, bool at_once) {
  lane.trouble = text;
  if (lane.said == text) return;
  if (!at_once && !lane.said.empty() && now_.mono_ms - lane.said_ms < kSayMs) return;
  lane.said = text;
  lane.said_ms = now_.mono_ms;
  actions_.push_back(Trouble{std::move(text)});
}

void KafkaSession::no_trouble(OwnedLane& lane) {
  lane.trouble.clear();
  lane.said.clear();
}

}  // namespace tailrace
