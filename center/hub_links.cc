// Locals' connections: who they are, what they send, what they may send.
#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "base/units.h"
#include "center/hub_state.h"

namespace tailrace {

namespace {
// Of one category and Local; given again when half of it is used. All Locals' together are bounded,
// but each may always send a batch.
constexpr uint64_t kMostCreditBytes = 8u << 20;
constexpr uint64_t kLeastCreditBytes = 1u << 20;
constexpr uint64_t kCreditShare = 2;  // of limits.memory all credit is a half
constexpr int64_t kRivalMs = 3'000;   // until then a Local that lives has answered
constexpr uint32_t kOurSink = 1;      // bit 0: this Center's first and only sink
constexpr size_t kSinksBytes = 4;
constexpr uint32_t kSpoolFullPercent = 70;
constexpr size_t kMostCategories = 256;  // of one Local
constexpr size_t kMostStreams = 4'096;   // of one Local
}  // namespace

bool Hub::State::on_frame(LocalLink& link, Frame& frame) {
  if (!link.greeted && frame.type != FrameType::hello)
    return reject(link, proto::Reject::PROTOCOL, "the first frame must be HELLO");
  switch (frame.type) {
    case FrameType::hello: return on_hello(link, frame);
    case FrameType::stream_def: return on_stream_def(link, frame);
    case FrameType::data: return on_data(link, frame);
    case FrameType::gap: return on_gap(link, frame);
    case FrameType::retire: return on_retire(link, frame);
    case FrameType::flush:
      incarnation->flush(link.local_id);
      pump();
      return true;
    case FrameType::ping: return on_ping(link, frame);
    case FrameType::pong: ++link.pongs; return true;
    case FrameType::file_def: return true;
    case FrameType::stale: return on_stale(link, frame);
    case FrameType::goodbye: return false;
    default:
      if (static_cast<uint8_t>(frame.type) >= 128) return true;
      return reject(link, proto::Reject::PROTOCOL,
                    "unexpected frame type " + std::to_string(static_cast<int>(frame.type)));
  }
}

// A Local has been told of more than this store says. Either another Center owns the lane now, or
// part of the control directory is missing; the store is asked which, and the Local told again.
bool Hub::State::on_stale(LocalLink& link, const Frame& frame) {
  proto::Stale message;
  if (auto r = parse_message(frame, message); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  const auto stream = link.streams.find(message.position().stream());
  if (stream == link.streams.end())
    return reject(link, proto::Reject::PROTOCOL, "STALE of a stream that was never named",
                  message.position().stream());
  const std::string text =
      said.text("stale " + link.address,
                "the Local on " + escape(link.host, 64) + " has been told of line " +
                    show_count(message.position().seq()) + " of '" + stream->second.category +
                    "' and this store says less: this Center is not its owner any "
                    "more, or part of the control directory is missing",
                now.mono_ms);
  if (!text.empty())
    say(log::Level::error, text, {{"peer", link.host}, {"category", stream->second.category}});
  if (incarnation->standing(stream->second.category, stream->second.key)) {
    incarnation->doubt(stream->second.category, stream->second.key);
  } else {
    incarnation->wish(stream->second.category, stream->second.key, now);
    tell_elsewhere(link, stream->second);
  }
  pump();
  return true;
}

// Tells of the other Centers when that is news to this Local.
proto::Pong Hub::State::pong_for(LocalLink& link) const {
  proto::Pong pong;
  std::string list;
  for (const std::string& address : incarnation->addresses()) list += address + "\n";
  const uint64_t version = list.empty() ? 0 : xxh3(list);
  if (version == 0 || std::exchange(link.centers_version, version) == version) return pong;
  pong.set_centers_version(version);
  for (const std::string& address : incarnation->addresses()) pong.add_centers(address);
  return pong;
}

bool Hub::State::on_ping(LocalLink& link, const Frame& frame) {
  proto::Ping message;
  if (auto r = parse_message(frame, message); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  // A spool that fills is emptied by committing early, whatever size the files have.
  for (const auto& back : message.held_back())
    if (back.sink() == hex16(sink.sink) && back.percent() >= kSpoolFullPercent)
      incarnation->flush(link.local_id);
  top_up();  // a REWIND that is owed goes first: the PONG tells that none is under way
  send(link, FrameType::pong, pong_for(link));
  pump();
  return true;
}

bool Hub::State::on_hello(LocalLink& link, const Frame& frame) {
  proto::Hello hello;
  if (auto r = parse_message(frame, hello); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  if (link.greeted) return reject(link, proto::Reject::PROTOCOL, "a second HELLO");
  if (hello.role() != proto::ROLE_LOCAL)
    return reject(link, proto::Reject::PROTOCOL, "a Center talks to Locals only");
  if (hello.cluster() != hex16(sink.cluster))
    return reject(link, proto::Reject::CLUSTER,
                  "this Center belongs to cluster " + hex16(sink.cluster) + ", the Local to " +
                      escape(hello.cluster(), 64));
  if (hello.local_id() == 0) return reject(link, proto::Reject::PROTOCOL, "no local_id");
  if (must_wait(link, hello.local_id())) return false;
  if (!alone(link, hello)) return false;
  link.greeted = link.counted = true;
  door.greeted();
  link.local_id = hello.local_id();
  link.start = hello.start();
  link.host = hello.host();
  note_presence(link.local_id, true);

  proto::Welcome welcome;
  welcome.set_center(settings.name);
  welcome.set_cluster(hex16(sink.cluster));
  welcome.set_version(TAILRACE_VERSION);
  welcome.set_incarnation(incarnation->me().incarnation);
  auto* me = welcome.add_sinks();
  me->set_sink(hex16(sink.sink));
  me->set_name(settings.sink_name);
  me->set_incarnation(incarnation->me().incarnation);
  me->set_required(true);
  for (const auto& stream : hello.streams())
    if (!add_stream(link, stream.stream(), stream.category(), stream.sub())) return false;
  for (const auto& stream : hello.streams())
    for (const auto& origin : stream.origins()) {
      if (origin.sink() != hex16(sink.sink) || !link.streams.contains(stream.stream())) continue;
      LocalLink::Stream& known = link.streams[stream.stream()];
      known.origin = Position{origin.seq(), origin.chain()};
      say(log::Level::warning,
          "'" + known.category + "' of " + escape(link.host, 64) + " starts here at line " +
              std::to_string(origin.seq()) + ": what came before was published elsewhere",
          {{"peer", link.host}, {"category", known.category}});
      incarnation->begin_at(known.category, known.key, known.origin);
    }
  for (const auto& [number, stream] : link.streams)
    if (const auto standing = incarnation->standing(stream.category, stream.key))
      *welcome.add_positions() = position_message(number, standing->committed);
  send(link, FrameType::welcome, welcome);
  for (const auto& [number, stream] : link.streams) {
    const auto standing = incarnation->standing(stream.category, stream.key);
    if (!standing) {
      tell_elsewhere(link, stream);
      continue;
    }
    if (standing->received != standing->committed) link.rewinds.insert(number);
    give_credit(link, stream.category, stream.key);
  }
  top_up();
  pump();
  return true;
}

// The same Local come back takes the place of its older connection; another with its id is refused.
bool Hub::State::alone(LocalLink& link, const proto::Hello& hello) {
  for (auto& [id, other] : links) {
    if (id == link.id || !other.greeted || other.local_id != hello.local_id()) continue;
    if (other.start != hello.start() && other.start != hello.start_before()) {
      // It may have started twice since that connection broke, and nobody told us.
      if (std::exchange(other.rival, hello.start()) != hello.start()) {
        ++other.pings;
        send(other, FrameType::ping, proto::Ping());
      }
      if (other.pongs < other.pings && !mutant(Mutant::duplicate_at_once))
        return busy(link, kRivalMs);
      return reject(
          link, proto::Reject::DUPLICATE,
          "another live Local (" + escape(other.host, 64) + ") has the same id: a cloned machine");
    }
    close(other);
    other.greeted = false;
  }
  return true;
}

bool Hub::State::add_stream(LocalLink& link, uint32_t number, const std::string& category,
                            uint32_t sub) {
  if (!valid_category(category) || sub > 255)
    return reject(link, proto::Reject::CATEGORY,
                  "'" + escape(category, 64) + "' is no category: [a-z0-9][a-z0-9._-]{0,63}",
                  number);
  const StreamKey key{link.local_id, static_cast<uint8_t>(sub)};
  const auto known = link.streams.find(number);
  if (known != link.streams.end()) {
    if (known->second.category == category && known->second.key == key) {
      static_cast<void>(incarnation->wish(category, key, now));  // it counted already
      return true;
    }
    return reject(link, proto::Reject::PROTOCOL, "a stream's number stands for two", number);
  }
  if (link.streams.size() >= kMostStreams)
    return reject(link, proto::Reject::PROTOCOL, "it names too many streams", number);
  if (!link.categories.contains(category) && link.categories.size() >= kMostCategories)
    return refuse_stream(link, number, proto::Reject::CATEGORY,
                         "category '" + category +
                             "' is one too many: of one Local a Center takes " +
                             std::to_string(kMostCategories) + "; the others go on");
  if (link.categories.contains(category) && link.categories[category].contains(key.sub))
    return reject(link, proto::Reject::PROTOCOL, "a stream has two numbers", number);
  if (!incarnation->wish(category, key, now))
    return refuse_stream(
        link, number, proto::Reject::CATEGORY,
        "category '" + category + "' is one too many for this Center; those that are there go on");
  link.categories[category].insert(key.sub);
  link.streams[number] = LocalLink::Stream{category, key, {}};
  return true;
}

bool Hub::State::on_stream_def(LocalLink& link, const Frame& frame) {
  proto::StreamDef def;
  if (auto r = parse_message(frame, def); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  if (!add_stream(link, def.stream(), def.category(), def.sub())) return false;
  if (!link.streams.contains(def.stream())) return true;  // one too many
  const LocalLink::Stream& stream = link.streams[def.stream()];
  if (incarnation->standing(stream.category, stream.key)) {
    tell_standing(link, def.stream());
    give_credit(link, stream.category, stream.key);
  } else {
    tell_elsewhere(link, stream);
  }
  pump();
  return true;
}

proto::SinkStreamPosition Hub::State::position_message(uint32_t number,
                                                       const Position& position) const {
  proto::SinkStreamPosition message;
  message.set_sink(hex16(sink.sink));
  message.set_stream(number);
  message.set_seq(position.seq);
  message.set_chain(position.chain);
  return message;
}

void Hub::State::tell_standing(LocalLink& link, uint32_t number) {
  const LocalLink::Stream& stream = link.streams[number];
  const auto standing = incarnation->standing(stream.category, stream.key);
  if (!standing) return;
  proto::Committed message;
  *message.add_positions() = position_message(number, standing->committed);
  send(link, FrameType::committed, message);
  if (standing->received != standing->committed) link.rewinds.insert(number);
}

void Hub::State::redirect(LocalLink& link, const TellElsewhere& where) {
  proto::Redirect message;
  message.set_sink(hex16(sink.sink));
  message.set_category(where.lane.category);
  message.set_parts(where.lane.parts);
  message.set_part(where.lane.part);
  message.set_address(where.address);
  send(link, FrameType::redirect, std::move(message));
}

void Hub::State::tell_elsewhere(LocalLink& link, const LocalLink::Stream& stream) {
  if (const auto where = incarnation->elsewhere(stream.category, stream.key))
    redirect(link, *where);
}

bool Hub::State::on_data(LocalLink& link, Frame& frame) {
  if (frame.header.size() < kSinksBytes)
    return reject(link, proto::Reject::CORRUPT, "DATA cut short");
  ByteReader sinks(frame.header);
  const uint32_t wanted = sinks.u32();
  auto head = BatchHead::parse(std::string_view(frame.header).substr(kSinksBytes));
  if (!head) return reject(link, proto::Reject::CORRUPT, head.error().text);
  const BatchFields& fields = head->fields();
  const auto found = link.streams.find(fields.stream);
  if (found == link.streams.end())
    return reject(link, proto::Reject::PROTOCOL, "DATA of a stream that was never named",
                  fields.stream);
  if (wanted != kOurSink)
    return reject(link, proto::Reject::PROTOCOL, "DATA for a sink that is not here");
  const LocalLink::Stream& stream = found->second;
  if (fields.sub != stream.key.sub)
    return reject(link, proto::Reject::PROTOCOL, "DATA with another sub", fields.stream);
  LocalLink::Credit& credit = link.credits[stream.category];
  const bool overdrawn = credit.used >= credit.allowed;
  credit.used += frame.header.size() - kSinksBytes + frame.payload.size();
  const Result<void> whole = overdrawn || stream.refused
                                 ? Result<void>()
                                 : verifier.check(fields, frame.payload, link.batches++);
  if (overdrawn || stream.refused || !whole) refused_of[stream.category] += fields.count;
  if (overdrawn)
    return reject(link, proto::Reject::PROTOCOL,
                  "DATA of " + stream.category + " beyond its credit", fields.stream);
  if (stream.refused) return true;
  if (!whole) return reject_batch(link, fields, whole.error().text);
  const bool on = write_batch(link, fields.stream, fields, frame);
  give_credit(link, stream.category, stream.key);
  pump();
  return on;
}

bool Hub::State::on_gap(LocalLink& link, const Frame& frame) {
  proto::Gap message;
  if (auto r = parse_message(frame, message); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  const auto found = link.streams.find(message.stream());
  if (found == link.streams.end())
    return reject(link, proto::Reject::PROTOCOL, "GAP of a stream that was never named",
                  message.stream());
  if (message.count() == 0 || message.first_seq() > UINT64_MAX - message.count())
    return reject(link, proto::Reject::CORRUPT, "GAP of no lines", message.stream());
  if (std::find(message.sinks().begin(), message.sinks().end(), hex16(sink.sink)) ==
      message.sinks().end())
    return reject(link, proto::Reject::PROTOCOL, "GAP for a sink that is not here");
  const LocalLink::Stream& stream = found->second;
  const GapRange gap{message.first_seq(), message.count(), escape(message.reason(), 256)};
  const Incarnation::Verdict verdict =
      incarnation->gap(stream.category, stream.key, gap, message.chain_after(), now);
  if (verdict.kind == Incarnation::Verdict::Kind::take)
    say(log::Level::error,
        "LOST " + show_count(gap.count) + " lines of '" + stream.category + "' from " +
            escape(link.host, 64) + ": " + gap.reason,
        {{"peer", link.host}, {"category", stream.category}, {"lines", std::to_string(gap.count)}});
  const bool on = verdict.kind == Incarnation::Verdict::Kind::take ||
                  not_taken(link, message.stream(), verdict);
  pump();
  return on;
}

bool Hub::State::lives(uint64_t local_id) const {
  return heard_ms.contains(local_id) ||
         std::any_of(links.begin(), links.end(), [local_id](const auto& link) {
           return link.second.greeted && link.second.local_id == local_id;
         });
}

// Whoever asks does so again every few seconds, so what cannot be answered now is not.
bool Hub::State::on_retire(LocalLink& link, const Frame& frame) {
  proto::Retire message;
  if (auto r = parse_message(frame, message); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  if (message.local_id() == 0 || message.sub() > 255 || !valid_category(message.category()))
    return reject(link, proto::Reject::PROTOCOL, "RETIRE of no stream");
  if (lives(message.local_id())) return true;
  const StreamKey key{message.local_id(), static_cast<uint8_t>(message.sub())};
  if (!incarnation->wish(message.category(), key, now)) return true;
  if (const auto at = incarnation->retire(message.category(), key, now)) {
    proto::Retired answer;
    *answer.mutable_position() = position_message(0, *at);
    answer.set_category(message.category());
    answer.set_sub(message.sub());
    answer.set_local_id(message.local_id());
    send(link, FrameType::retired, std::move(answer));
  } else if (const auto where = incarnation->elsewhere(message.category(), key)) {
    redirect(link, *where);
  }
  pump();
  return true;
}

bool Hub::State::not_taken(LocalLink& link, uint32_t number, const Incarnation::Verdict& verdict) {
  using Kind = Incarnation::Verdict::Kind;
  LocalLink::Stream& stream = link.streams[number];
  stream.ours = stream.ours || verdict.kind == Kind::later;
  switch (verdict.kind) {
    case Kind::take: break;
    case Kind::too_many:
      return refuse_stream(link, number, proto::Reject::CATEGORY,
                           "no more streams fit into " + stream.category + " here");
    // Received before: what a Local resends after a reconnect until the REWIND that it is owed
    // reaches it. Dropped; a second REWIND would only make it send again what comes after.
    case Kind::known: break;
    case Kind::rewind:
      return link.rewinds.insert(number).second && !stream.ours ? strike(link) : true;
    case Kind::later: link.rewinds.insert(number); break;
    case Kind::not_owned:
      incarnation->wish(stream.category, stream.key, now);
      tell_elsewhere(link, stream);
      break;
    case Kind::retired:
      return refuse_stream(link, number, proto::Reject::RETIRED, "this local_id was retired");
    case Kind::chain:
      // Only this stream holds; the Local decides what else may go on.
      refuse_stream(link, number, proto::Reject::CHAIN,
                    "the lines of " + stream.category + " from " + escape(link.host, 64) +
                        " are not those that were committed before under the same numbers");
      return strike(link);
  }
  return true;
}

bool Hub::State::write_batch(LocalLink& link, uint32_t number, const BatchFields& fields,
                             Frame& frame) {
  LocalLink::Stream& stream = link.streams[number];
  const Incarnation::Verdict verdict = incarnation->judge(stream.category, stream.key, fields, now);
  if (verdict.refused()) refused_of[stream.category] += fields.count;
  if (verdict.kind != Incarnation::Verdict::Kind::take) return not_taken(link, number, verdict);
  auto& writer = writers[verdict.file->id];
  Result<void> written;
  if (!writer) {
    auto staged = files.stage(verdict.file->staged);
    if (staged)
      writer = std::make_shared<LineFile>(std::move(*staged), verdict.file->key.codec);
    else
      written = staged.error();
  }
  if (written.ok()) written = writer->append(verdict.lane_tag, stream.key, fields, frame.payload);
  if (!written) {
    if (written.error().kind != Error::Kind::retry_later) {
      incarnation->fail("writing " + verdict.file->staged + ": " + written.error().text);
      return true;
    }
    // No room: nothing was taken, the Local sends it again. An alarm, not a loss.
    if (write_trouble != written.error().text)
      say(log::Level::warning, "writing waits: " + written.error().text);
    write_trouble = written.error().text;
    if (verdict.file->extents.empty()) writers.erase(verdict.file->id);
    incarnation->not_taken(stream.category, verdict);
    link.rewinds.insert(number);
    stream.ours = true;
    return true;
  }
  stream.ours = false;
  write_trouble.clear();
  if (verdict.clock_skewed) note_clock(link, fields);
  lines_received += fields.count;
  received_of[stream.category] += fields.count;
  incarnation->took(stream.category, stream.key, fields, verdict, writer->estimated_size(), now);
  return true;
}

void Hub::State::give_credit(LocalLink& link, const std::string& category, const StreamKey& key) {
  LocalLink::Credit& credit = link.credits[category];
  const uint64_t most = std::clamp<uint64_t>(
      settings.limits.memory_bytes / kCreditShare / std::max<size_t>(1, links.size()),
      kLeastCreditBytes, kMostCreditBytes);
  if (credit.allowed >= credit.used + most / 2) return;
  if (!incarnation->takes(category, key)) return;
  credit.allowed = credit.used + most;
  proto::Credit message;
  message.set_sink(hex16(sink.sink));
  message.set_category(category);
  message.set_bytes(credit.allowed);
  send(link, FrameType::credit, message);
}

void Hub::State::top_up() {
  for (auto& [id, link] : links) {
    if (!link.greeted) continue;
    for (const auto& [number, stream] : link.streams)
      give_credit(link, stream.category, stream.key);
    for (auto it = link.rewinds.begin(); it != link.rewinds.end();) {
      const LocalLink::Stream& stream = link.streams[*it];
      const auto standing = incarnation->standing(stream.category, stream.key);
      if (!standing || !incarnation->takes(stream.category, stream.key)) {
        ++it;
        continue;
      }
      proto::Rewind message;
      *message.mutable_to() = position_message(*it, standing->received);
      send(link, FrameType::rewind, message);
      it = link.rewinds.erase(it);
    }
  }
}

}  // namespace tailrace
