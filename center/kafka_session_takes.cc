// The part of KafkaSession that Locals meet: what is taken of them, and what they are told.
#include <algorithm>

#include "center/kafka_session.h"

namespace tailrace {

namespace {
constexpr uint64_t kLeastBytes = 1u << 20;  // that a lane may hold whatever the others do
}  // namespace

// --- what comes of Locals ------------------------------------------------------------------------

Judgement KafkaSession::place(const OwnedLane* lane, const StreamKey& stream, uint64_t from,
                              uint64_t to) const {
  if (!lane) return Judgement::not_owned;
  const auto row = lane->rows.find(stream);
  if (row != lane->rows.end()) return row->second.judge(from, to);
  if (lane->rows.size() >= options_.most_streams) return Judgement::too_many;
  return Row().judge(from, to);
}

// Its Locals think that it is here, and it will be: what they send comes again.
bool KafkaSession::reopens(const std::string& category) const {
  const auto lane = lanes_.find(category);
  return lane != lanes_.end() && lane->second.told && !lane->second.owned() &&
         !lane->second.leaving;
}

// `part`: how much of its room counts, in halves.
bool KafkaSession::full(const OwnedLane& lane, uint64_t part) const {
  return lane.queue_bytes * 2 >= options_.lane_bytes * part ||
         (lane.queue_bytes >= kLeastBytes && waiting_bytes_ * 2 >= options_.all_bytes * part);
}

void KafkaSession::moved(OwnedLane& lane, const StreamKey& key) {
  lane.moved.insert(key);
  if (lane.first_ms < 0) lane.first_ms = now_.mono_ms;
  // The lane of a producer that was closed is read again before anything is taken.
  if (lane.state == OwnedLane::State::resting) read_again(lane);
}

void KafkaSession::read_again(OwnedLane& lane) {
  forget(lane);
  lane.state = OwnedLane::State::waiting;
  lane.again_ms = now_.mono_ms;
}

Judgement KafkaSession::take(const std::string& category, KafkaBatch batch, Moment now) {
  now_ = now;
  const BatchFields& fields = batch.fields;
  if (reopens(category)) return Judgement::later;
  if (const Judgement judgement =
          place(owner_of(category), batch.key, fields.first_seq, fields.end_seq());
      judgement != Judgement::take)
    return judgement;
  OwnedLane& lane = lanes_.at(category);
  Row& row = lane.rows[batch.key];
  if (!row.goes_on(fields)) return Judgement::chain;
  if (stopping_ || full(lane, 2)) return Judgement::later;
  if (lane.state == OwnedLane::State::resting) {
    moved(lane, batch.key);
    return Judgement::later;
  }
  row.received = {fields.end_seq(), fields.chain_after};
  lane.queue_bytes += batch.payload->size();
  waiting_bytes_ += batch.payload->size();
  lane.raw_bytes += fields.raw_len;
  moved(lane, batch.key);
  lane.queue.push_back(std::move(batch));
  step_transaction(category, lane);
  return Judgement::take;
}

Judgement KafkaSession::on_gap(const std::string& category, const StreamKey& stream, GapRange gap,
                               uint64_t chain_after, Moment now) {
  now_ = now;
  const uint64_t end = gap.first_seq + gap.count;
  if (reopens(category)) return Judgement::later;
  if (const Judgement judgement = place(owner_of(category), stream, gap.first_seq, end);
      judgement != Judgement::take)
    return judgement;
  OwnedLane& lane = lanes_.at(category);
  if (stopping_) return Judgement::later;
  const bool resting = lane.state == OwnedLane::State::resting;
  if (!resting) {
    Row& row = lane.rows[stream];
    row.lost += end - row.received.seq;
    row.received = {end, chain_after};
    lane.whole = true;
  }
  moved(lane, stream);
  return resting ? Judgement::later : Judgement::take;
}

void KafkaSession::begin_at(const std::string& category, const StreamKey& stream,
                            const Position& origin) {
  if (!owner_of(category)) return;
  OwnedLane& lane = lanes_.at(category);
  if (!lane.rows.contains(stream) && lane.rows.size() >= options_.most_streams) return;
  Row& row = lane.rows[stream];
  if (row.received.seq != 0 || (row.flags & kFinal) || row.retiring) return;
  row.committed = row.received = row.written = origin;
  row.origin = origin.seq;
}

void KafkaSession::flush(uint64_t) {
  for (auto& [category, lane] : lanes_) lane.hurry = lane.hurry || lane.holds();
}

std::optional<Position> KafkaSession::retire(const std::string& category, const StreamKey& stream,
                                             Moment now) {
  now_ = now;
  if (stopping_ || !owner_of(category)) return std::nullopt;
  OwnedLane& lane = lanes_.at(category);
  if (!lane.rows.contains(stream) && lane.rows.size() >= options_.most_streams) return std::nullopt;
  Row& row = lane.rows[stream];
  if (row.flags & kFinal) return row.committed;
  const bool resting = lane.state == OwnedLane::State::resting;
  if (!resting) row.retiring = lane.whole = true;
  moved(lane, stream);
  lane.hurry = true;
  return std::nullopt;
}

// Its position is said once more, in a transaction: that fails if another owns the lane. Where that
// would prove nothing, all is read again.
void KafkaSession::doubt(const std::string& category, const StreamKey& stream) {
  if (!owner_of(category)) return;
  OwnedLane& lane = lanes_.at(category);
  if (!options_.fences) return read_again(lane);
  static_cast<void>(lane.rows[stream]);
  lane.doubts.insert(stream);
  moved(lane, stream);
  lane.hurry = true;
}

void KafkaSession::stop(bool) { stopping_ = true; }

// --- what others ask -----------------------------------------------------------------------------

std::string KafkaSession::trouble() const {
  for (const auto& [category, lane] : lanes_)
    if (!lane.trouble.empty()) return lane.trouble;
  return {};
}

std::optional<SinkSession::Standing> KafkaSession::standing(const std::string& category,
                                                            const StreamKey& stream) const {
  const OwnedLane* lane = owner_of(category);
  if (!lane) return std::nullopt;
  const bool old = options_.fences && now_.mono_ms - lane->proved_ms > options_.proved_ms;
  const bool proving = lane->doubts.contains(stream) || lane->proving.contains(stream);
  const auto row = lane->rows.find(stream);
  if (row == lane->rows.end()) return Standing{{}, {}, old || proving, proving};
  return Standing{row->second.committed, row->second.received, old || proving, proving};
}

bool KafkaSession::takes(const std::string& category, const StreamKey&) const {
  const OwnedLane* lane = owner_of(category);
  return lane && !stopping_ && !full(*lane, 1);
}

size_t KafkaSession::lanes() const {
  return static_cast<size_t>(std::count_if(lanes_.begin(), lanes_.end(),
                                           [](const auto& lane) { return lane.second.owned(); }));
}

std::map<std::string, SinkSession::Waiting> KafkaSession::waiting() const {
  std::map<std::string, Waiting> out;
  for (const auto& [category, lane] : lanes_) {
    if (!lane.owned()) continue;
    Waiting& waiting = out[category];
    waiting.lanes = 1;
    waiting.open_files = lane.holds() ? 1 : 0;
    for (const auto& [key, row] : lane.rows)
      waiting.uncommitted += row.received.seq - row.committed.seq;
  }
  return out;
}

size_t KafkaSession::open_files() const {
  return static_cast<size_t>(std::count_if(lanes_.begin(), lanes_.end(),
                                           [](const auto& lane) { return lane.second.holds(); }));
}

int64_t KafkaSession::oldest_open_ms() const {
  int64_t oldest = INT64_MAX;
  for (const auto& [category, lane] : lanes_)
    if (lane.first_ms >= 0) oldest = std::min(oldest, lane.first_ms);
  return oldest;
}

}  // namespace tailrace
