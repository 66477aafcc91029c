// What a sink takes of Locals, and what it tells them.
#include <algorithm>

#include "base/buggify.h"
#include "base/units.h"
#include "center/hub_state.h"

namespace tailrace {

namespace {
// Of one category and Local; given again when half of it is used. All Locals' together are bounded,
// but each may always send a batch.
constexpr uint64_t kMostCreditBytes = 8u << 20;
constexpr uint64_t kLeastCreditBytes = 1u << 20;
constexpr uint64_t kSmallCreditBytes = 64;  // one batch overdraws it
constexpr uint64_t kCreditShare = 2;        // of limits.memory all credit is a half
}  // namespace

proto::SinkStreamPosition Hub::Sink::position_message(uint32_t number,
                                                      const Position& position) const {
  proto::SinkStreamPosition message;
  message.set_sink(uuid);
  message.set_stream(number);
  message.set_seq(position.seq);
  message.set_chain(position.chain);
  return message;
}

// --- what Locals are told ------------------------------------------------------------------------

void Hub::Sink::tell_standing(LocalLink& link, uint32_t number) {
  const LocalLink::Stream& stream = link.streams[number];
  const auto standing = session->standing(stream.category, stream.key);
  if (!standing || has_doubts(stream, *standing)) return;
  proto::Committed message;
  *message.add_positions() = position_message(number, standing->committed);
  hub.send(link, FrameType::committed, message);
  if (standing->received != standing->committed) static_cast<void>(owe_rewind(link, number));
}

// True: nothing of it is to be told before the proof, which is under way then.
bool Hub::Sink::has_doubts(const LocalLink::Stream& stream, const SinkSession::Standing& standing) {
  if (standing.doubted && !standing.proving) session->doubt(stream.category, stream.key);
  return standing.doubted;
}

// False: it was owed already.
bool Hub::Sink::owe_rewind(LocalLink& link, uint32_t number) {
  hub.owing.insert(link.id);
  return link.at[at].rewinds.insert(number).second;
}

std::vector<std::pair<LocalLink*, uint32_t>> Hub::Sink::of_lane(const Lane& lane) {
  std::vector<std::pair<LocalLink*, uint32_t>> out;
  for (const auto& [id, numbers] : hub.index.of_category(lane.category)) {
    LocalLink& link = hub.links.at(id);
    if (!link.greeted) continue;
    for (const uint32_t number : numbers)
      if (link.streams.at(number).is_in(lane)) out.emplace_back(&link, number);
  }
  return out;
}

std::vector<LocalLink*> Hub::Sink::links_of_lane(const Lane& lane) {
  std::vector<LocalLink*> out;
  for (const auto& [link, number] : of_lane(lane))
    if (out.empty() || out.back() != link) out.push_back(link);
  return out;
}

void Hub::Sink::release(LocalLink& link, const Lane& lane) {
  proto::Released message;
  message.set_sink(uuid);
  message.set_category(lane.category);
  message.set_parts(lane.parts);
  message.set_part(lane.part);
  hub.send(link, FrameType::released, std::move(message));
}

void Hub::Sink::redirect(LocalLink& link, const TellElsewhere& where) {
  proto::Redirect message;
  message.set_sink(uuid);
  message.set_category(where.lane.category);
  message.set_parts(where.lane.parts);
  message.set_part(where.lane.part);
  message.set_address(where.address);
  hub.send(link, FrameType::redirect, std::move(message));
}

void Hub::Sink::tell_elsewhere(LocalLink& link, const LocalLink::Stream& stream) {
  if (const auto where = session->elsewhere(stream.category, stream.key)) redirect(link, *where);
}

void Hub::Sink::give_credit(LocalLink& link, const std::string& category, const StreamKey& key) {
  LocalLink::AtSink& here = link.at[at];
  LocalLink::Credit& credit = here.credits[category];
  const uint64_t most =
      buggify(Rare::credit_small)
          ? kSmallCreditBytes
          : std::clamp<uint64_t>(hub.settings.limits.memory_bytes / kCreditShare /
                                     hub.sinks.size() / std::max<size_t>(1, hub.links.size()),
                                 kLeastCreditBytes, kMostCreditBytes);
  if (credit.allowed >= credit.used + most / 2) return;
  if (!session->takes(category, key)) {
    // Once its lane is owned that is told, and it gets its credit then.
    if (!session->standing(category, key)) return;
    here.credit_waits = true;
    hub.owing.insert(link.id);
    return;
  }
  credit.allowed = credit.used + most;
  proto::Credit message;
  message.set_sink(uuid);
  message.set_category(category);
  message.set_bytes(credit.allowed);
  hub.send(link, FrameType::credit, message);
}

void Hub::Sink::top_up(LocalLink& link) {
  if (std::exchange(link.at[at].credit_waits, false))
    for (const auto& [number, stream] : link.streams)
      give_credit(link, stream.category, stream.key);
  std::set<uint32_t>& rewinds = link.at[at].rewinds;
  for (auto it = rewinds.begin(); it != rewinds.end();) {
    const LocalLink::Stream& stream = link.streams[*it];
    const auto standing = session->standing(stream.category, stream.key);
    // What is received here counts for nothing if this session is over.
    const bool here = standing && !has_doubts(stream, *standing);
    if (!here || !session->takes(stream.category, stream.key)) {
      ++it;
      continue;
    }
    proto::Rewind message;
    *message.mutable_to() = position_message(*it, standing->received);
    hub.send(link, FrameType::rewind, message);
    it = rewinds.erase(it);
  }
}

// --- streams -------------------------------------------------------------------------------------

bool Hub::Sink::wish(const LocalLink::Stream& stream) {
  return session->wish(stream.category, stream.key, hub.now);
}

void Hub::Sink::begin_at(LocalLink& link, LocalLink::Stream& stream, const Position& origin) {
  stream.ways[at].origin = origin;
  hub.say(log::Level::warning,
          "'" + stream.category + "' of " + escape(link.host, 64) + " starts here at line " +
              std::to_string(origin.seq) + ": what came before was published elsewhere",
          {{"peer", link.host}, {"category", stream.category}, {"sink", settings.name}});
  session->begin_at(stream.category, stream.key, origin);
}

bool Hub::Sink::refuse_stream(LocalLink& link, uint32_t number, proto::Reject::Code code,
                              const std::string& text) {
  proto::Reject message;
  message.set_code(code);
  message.set_text(text);
  message.set_stream(number);
  message.set_sink(uuid);
  hub.reject(link, message);
  link.streams[number].ways[at].refused = true;
  return true;
}

void Hub::Sink::greet(LocalLink& link, uint32_t number) {
  const LocalLink::Stream& stream = link.streams[number];
  const auto standing = session->standing(stream.category, stream.key);
  if (!standing) return tell_elsewhere(link, stream);
  static_cast<void>(has_doubts(stream, *standing));  // then WELCOME did not tell it
  if (standing->received != standing->committed) static_cast<void>(owe_rewind(link, number));
  give_credit(link, stream.category, stream.key);
}

void Hub::Sink::doubt(LocalLink& link, const LocalLink::Stream& stream) {
  if (session->standing(stream.category, stream.key))
    return session->doubt(stream.category, stream.key);
  static_cast<void>(wish(stream));
  tell_elsewhere(link, stream);
}

// --- batches -------------------------------------------------------------------------------------

bool Hub::Sink::on_data(LocalLink& link, const BatchHead& head, const std::string& payload,
                        bool* clock_skewed) {
  const BatchFields& fields = head.fields();
  LocalLink::Stream& stream = link.streams[fields.stream];
  const Judgement judgement = take(link, stream, head, payload, clock_skewed);
  if (is_refused(judgement)) refused_of[stream.category] += fields.count;
  if (judgement != Judgement::take) return not_taken(link, fields.stream, judgement);
  stream.ways[at].ours = false;
  lines_received += fields.count;
  bytes_received += fields.payload_len;
  received_of[stream.category] += fields.count;
  return true;
}

bool Hub::Sink::on_gap(LocalLink& link, uint32_t number, const GapRange& gap,
                       uint64_t chain_after) {
  const LocalLink::Stream& stream = link.streams[number];
  const Judgement judgement =
      session->on_gap(stream.category, stream.key, gap, chain_after, hub.now);
  if (judgement != Judgement::take) return not_taken(link, number, judgement);
  hub.say(log::Level::error,
          "LOST " + show_count(gap.count) + " lines of '" + stream.category + "' from " +
              escape(link.host, 64) + ": " + gap.reason,
          {{"peer", link.host},
           {"category", stream.category},
           {"sink", settings.name},
           {"lines", std::to_string(gap.count)}});
  return true;
}

void Hub::Sink::retire(LocalLink& link, const std::string& category, const StreamKey& key) {
  if (stopped || !session->wish(category, key, hub.now)) return;
  if (const auto ends = session->retire(category, key, hub.now)) {
    proto::Retired answer;
    *answer.mutable_position() = position_message(0, *ends);
    answer.set_category(category);
    answer.set_sub(key.sub);
    answer.set_local_id(key.local_id);
    hub.send(link, FrameType::retired, std::move(answer));
  } else if (const auto where = session->elsewhere(category, key)) {
    redirect(link, *where);
  }
}

bool Hub::Sink::not_taken(LocalLink& link, uint32_t number, Judgement judgement) {
  using Kind = Judgement;
  LocalLink::Stream& stream = link.streams[number];
  LocalLink::Way& way = stream.ways[at];
  way.ours = way.ours || judgement == Kind::later;
  switch (judgement) {
    case Kind::take: break;
    case Kind::too_many:
      return refuse_stream(link, number, proto::Reject::CATEGORY,
                           "no more streams fit into " + stream.category + " here");
    // Received before: what a Local resends after a reconnect until the REWIND that it is owed
    // reaches it. Dropped; a second REWIND would only make it send again what comes after.
    case Kind::known: break;
    case Kind::rewind: return owe_rewind(link, number) && !way.ours ? hub.strike(link) : true;
    case Kind::later: static_cast<void>(owe_rewind(link, number)); break;
    case Kind::not_owned:
      static_cast<void>(wish(stream));
      tell_elsewhere(link, stream);
      break;
    case Kind::retired:
      return refuse_stream(link, number, proto::Reject::RETIRED, "this local_id was retired");
    case Kind::chain:
      // Only this stream holds; the Local decides what else may go on.
      refuse_stream(link, number, proto::Reject::CHAIN,
                    "the lines of " + stream.category + " from " + escape(link.host, 64) +
                        " are not those that were committed before under the same numbers");
      return hub.strike(link);
  }
  return true;
}

}  // namespace tailrace
