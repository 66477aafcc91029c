// A spool that has no room any more, and sinks that are not required: what only these have not got
// becomes a gap for them, the oldest segment first. docs/protocol.md, "Local: the spool".
#include <algorithm>

#include "base/mutant.h"
#include "local/spool_state.h"

namespace tailrace {

namespace {
constexpr uint64_t kMostEnds = 256u << 10;    // kept of all streams together
constexpr uint64_t kBytesOfSegment = 8 * 16;  // that each may have, so that SNAPSHOTs stay small
}  // namespace

bool Spool::State::is_full(const std::string& category) const {
  const auto refused = category_refused.find(category);
  return refused != category_refused.end() && !category_has_room(category, refused->second);
}

bool Spool::State::wants_room() const {
  return !log.may_grow() || std::any_of(category_refused.begin(), category_refused.end(),
                                        [this](const auto& c) { return is_full(c.first); });
}

// Whether it would help if the segment went.
bool Spool::State::makes_room(const SpoolSegment& segment) const {
  return !log.may_grow() ||
         std::any_of(segment.held.begin(), segment.held.end(), [this](const auto& held) {
           const auto stream = tables.streams.find(held.first);
           return stream != tables.streams.end() && is_full(stream->second.category);
         });
}

// A sink that waits for its origin holds a segment for which it has no cursor, if the spool is
// damaged: of that nothing can be given up.
bool Spool::State::can_give_up(const SpoolSegment& segment) const {
  return std::any_of(segment.held.begin(), segment.held.end(), [this](const auto& held) {
    const auto& [stream, part] = held;
    const auto gone = given_up.find(stream);
    const uint64_t from = gone == given_up.end() ? 0 : gone->second.seq;
    return std::any_of(
        sinks.begin(), sinks.end(), [&, stream = stream, end = part.end_seq](uint64_t sink) {
          const CursorKey key(sink, stream);
          const auto cursor = tables.cursors.find(key);
          if (cursor == tables.cursors.end()) return false;
          const bool unwritten = origins.contains(key) && !tables.origins.contains(key);
          return unwritten || std::max(from, cursor->second.seq) < end;
        });
  });
}

// All required sinks have it, and what the others lack can be given up.
bool Spool::State::only_others_want(const SpoolSegment& segment) const {
  return !passed_by(Whom::all, segment) && can_give_up(segment) &&
         (passed_by(Whom::required, segment) || mutant(Mutant::required_given_up));
}

bool Spool::State::could_give_up() const {
  if (optional.empty() || !served) return false;
  const bool wanted = wants_room();
  const auto& segments = log.segments();
  return std::any_of(segments.begin(), std::prev(segments.end()), [&](const auto& s) {
    return (!wanted || makes_room(s.second)) && only_others_want(s.second);
  });
}

const SpoolSegment* Spool::State::to_give_up() const {
  if (optional.empty() || !served || !wants_room()) return nullptr;
  if (!given_up_pending.empty() || !given_up_soon.empty()) return nullptr;
  const auto& segments = log.segments();
  for (auto s = segments.begin(); s != std::prev(segments.end()); ++s) {
    const SpoolSegment& segment = s->second;
    if (!makes_room(segment)) continue;
    if (passed_by(Whom::all, segment)) return nullptr;
    if (only_others_want(segment)) return &segment;
  }
  return nullptr;
}

void Spool::State::give_up_oldest() {
  const SpoolSegment* const oldest = to_give_up();
  if (oldest == nullptr) return;
  for (const auto& [stream, held] : oldest->held)
    if (const auto info = tables.streams.find(stream); info != tables.streams.end())
      give_up_to(info->second, held.end_seq);
}

// Cursors are written before this, so that the gap begins where the lowest one on the disk is.
void Spool::State::give_up_to(const StreamInfo& info, uint64_t end) {
  keep_origins(info.stream);
  const auto before = given_up.find(info.stream);
  const uint64_t gone = before == given_up.end() ? 0 : before->second.seq;
  if (gone >= end) return;
  uint64_t least = end;
  for (const uint64_t sink : sinks) {
    const auto cursor = tables.cursors.find({sink, info.stream});
    if (cursor == tables.cursors.end() || cursor->second.seq >= end) continue;
    lines_given_up[{sink, info.category}] += end - std::max(gone, cursor->second.seq);
    least = std::min(least, cursor->second.seq);
  }
  if (least == end) return;
  const Position last{end, *index.chain_at(info.stream, end)};
  GapInfo gap;
  gap.stream = info.stream;
  gap.ends = ends_within(info.stream, std::max(gone, least), end);
  gap.first_seq = std::max(gone, index.bury(info.stream, least, end).seq);
  gap.count = end - gap.first_seq;
  gap.chain_after = last.chain;
  gap.reason = GapInfo::kGivenUp;
  write(RecordType::gap, [&](std::string& out) { encode_gap(gap, out); });
  put_gap(tables, std::move(gap));
  given_up_pending[info.stream] = last;
  if (mutant(Mutant::given_up_unsynced)) given_up[info.stream] = last;
}

// The sink's Center may have got some of it, and commit that when it can: those are the first ones.
std::vector<Position> Spool::State::ends_within(StreamId stream, uint64_t from, uint64_t end) {
  std::vector<Position> ends;
  const uint64_t most =
      std::min(kMostEnds, options.segment_bytes / kBytesOfSegment) / tables.streams.size();
  size_t known = 0;
  for (const auto& [key, gap] : tables.gaps)
    if (key.first == stream) known += gap.ends.size();
  for (const SpoolRange& range : index.streams().at(stream)) {
    if (range.end_seq >= end || known + ends.size() >= most) break;
    if (range.end_seq > from) ends.push_back({range.end_seq, range.chain_after});
  }
  return ends;
}

// A sink that has committed nothing yet begins there after the next start too, and hears of the
// gap; what lies below is not held for it.
void Spool::State::keep_origins(StreamId stream) {
  for (const CursorKey& key : origins) {
    if (key.second != stream || !tables.origins.insert(key).second) continue;
    const Position at = tables.cursors.at(key);
    write(RecordType::origin, [&](std::string& out) {
      encode_cursor({key.first, key.second, at}, out);
    });
    cursors_pending.emplace_back(key, at);
  }
}

// Of an earlier life.
void Spool::State::recall_given_up() {
  for (const auto& [key, gap] : tables.gaps)
    if (gap.given_up()) given_up[gap.stream] = {gap.end_seq(), gap.chain_after};
}

// --- what others ask --------------------------------------------------------------------------

void Spool::set_required(uint64_t sink, bool required) {
  if (required)
    state_->optional.erase(sink);
  else
    state_->optional.insert(sink);
}

bool Spool::required(uint64_t sink) const { return !state_->optional.contains(sink); }
bool Spool::could_give_up() const { return state_->could_give_up(); }
const std::map<StreamId, Position>& Spool::given_up() const { return state_->given_up; }
const Spool::LinesGivenUp& Spool::lines_given_up() const { return state_->lines_given_up; }

Position Spool::settled(uint64_t sink, StreamId stream) const {
  const Position at = cursor(sink, stream);
  const auto gone = state_->given_up.find(stream);
  return gone != state_->given_up.end() && gone->second.seq > at.seq ? gone->second : at;
}

bool Spool::in_given_up(StreamId stream, uint64_t seq) const {
  const GapInfo* const gap = gap_at(state_->tables, stream, seq);
  return gap != nullptr && gap->given_up() && seq > gap->first_seq;
}

}  // namespace tailrace
