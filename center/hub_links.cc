// Locals' connections: who they are, what they send, what they may send.
#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "base/units.h"
#include "center/hub_state.h"

namespace tailrace {

namespace {
constexpr int64_t kRivalMs = 3'000;  // until then a Local that lives has answered
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
      for (const auto& sink : sinks) sink->flush(link);
      pump();
      return true;
    case FrameType::ping: return on_ping(link, frame);
    case FrameType::pong: ++link.pongs; return true;
    case FrameType::file_def: return on_file_def(link, frame);
    case FrameType::stale: return on_stale(link, frame);
    case FrameType::goodbye: return false;
    default:
      if (static_cast<uint8_t>(frame.type) >= 128) return true;
      return reject(link, proto::Reject::PROTOCOL,
                    "unexpected frame type " + std::to_string(static_cast<int>(frame.type)));
  }
}

bool Hub::State::wants_paths() const {
  return std::any_of(sinks.begin(), sinks.end(),
                     [](const auto& sink) { return sink->wants_paths(); });
}

bool Hub::State::on_file_def(LocalLink& link, const Frame& frame) {
  proto::FileDef message;
  if (auto r = parse_message(frame, message); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  if (wants_paths()) link.paths.set(message.file().file(), message.file().path());
  return true;
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
  Sink* const sink = sink_of(message.position().sink());
  if (sink == nullptr)
    return reject(link, proto::Reject::PROTOCOL, "STALE of a sink that is not here",
                  message.position().stream());
  const std::string text =
      said.text("stale " + link.address,
                "the Local on " + escape(link.host, 64) + " has been told of line " +
                    show_count(message.position().seq()) + " of '" + stream->second.category +
                    "' and this store says less: this Center is not its owner any "
                    "more, or part of the control directory is missing",
                now.mono_ms);
  if (!text.empty())
    say(log::Level::error, text,
        {{"peer", link.host},
         {"category", stream->second.category},
         {"sink", sink->settings.name}});
  sink->doubt(link, stream->second);
  sink->pump();
  return true;
}

Hub::Sink* Hub::State::sink_of(const std::string& uuid) {
  const auto found = std::find_if(sinks.begin(), sinks.end(),
                                  [&](const auto& sink) { return sink->uuid == uuid; });
  return found == sinks.end() ? nullptr : found->get();
}

// Tells of the other Centers when that is news to this Local: of those of every sink.
proto::Pong Hub::State::pong_for(LocalLink& link) const {
  proto::Pong pong;
  const std::set<std::string> addresses = known_centers();
  std::string list;
  for (const std::string& address : addresses) list += address + "\n";
  const uint64_t version = list.empty() ? 0 : xxh3(list);
  if (version == 0 || std::exchange(link.centers_version, version) == version) return pong;
  pong.set_centers_version(version);
  for (const std::string& address : addresses) pong.add_centers(address);
  return pong;
}

bool Hub::State::on_ping(LocalLink& link, const Frame& frame) {
  proto::Ping message;
  if (auto r = parse_message(frame, message); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  // A spool that fills is emptied by committing early, whatever size the files have.
  for (const auto& back : message.held_back())
    if (Sink* const sink = sink_of(back.sink()); sink && back.percent() >= kSpoolFullPercent)
      sink->flush(link);
  top_up(link);  // a REWIND that is owed goes first: the PONG tells that none is under way
  send(link, FrameType::pong, pong_for(link));
  pump();
  return true;
}

bool Hub::State::on_hello(LocalLink& link, const Frame& frame) {
  proto::Hello hello;
  if (auto r = parse_message(frame, hello); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  if (link.greeted) return reject(link, proto::Reject::PROTOCOL, "a second HELLO");
  if (hello.role() != proto::ROLE_LOCAL && hello.role() != proto::ROLE_OPERATOR)
    return reject(link, proto::Reject::PROTOCOL, "a Center talks to Locals only");
  const std::string cluster = hex16(sinks.front()->identity.cluster);
  if (hello.cluster() != cluster)
    return reject(link, proto::Reject::CLUSTER,
                  "this Center belongs to cluster " + cluster + ", the Local to " +
                      escape(hello.cluster(), 64));
  if (hello.role() == proto::ROLE_OPERATOR) {  // who leaves, or is closed as one that said nothing
    send(link, FrameType::status, report());
    return true;
  }
  if (stop_asked) return false;  // it finds another
  if (hello.local_id() == 0) return reject(link, proto::Reject::PROTOCOL, "no local_id");
  if (must_wait(link, hello.local_id())) return false;
  if (!alone(link, hello)) return false;
  link.greeted = link.counted = true;
  door.greeted();
  link.local_id = hello.local_id();
  link.start = hello.start();
  link.host = hello.host();
  index.greeted(link.local_id, link.id);
  note_presence(link.local_id, true);
  for (const auto& stream : hello.streams())
    if (!add_stream(link, stream.stream(), stream.category(), stream.sub())) return false;
  for (const auto& stream : hello.streams())
    for (const auto& origin : stream.origins()) {
      Sink* const sink = sink_of(origin.sink());
      const auto known = link.streams.find(stream.stream());
      if (sink == nullptr || known == link.streams.end()) continue;
      sink->begin_at(link, known->second, Position{origin.seq(), origin.chain()});
    }
  welcome(link);
  for (const auto& sink : sinks)
    for (const auto& [number, stream] : link.streams) sink->greet(link, number);
  top_up(link);
  pump();
  return true;
}

void Hub::State::welcome(LocalLink& link) {
  proto::Welcome welcome;
  welcome.set_center(settings.name);
  welcome.set_cluster(hex16(sinks.front()->identity.cluster));
  welcome.set_version(TAILRACE_VERSION);
  welcome.set_incarnation(sinks.front()->session->name());
  welcome.set_paths(wants_paths());
  for (const auto& sink : sinks) {
    auto* named = welcome.add_sinks();
    named->set_sink(sink->uuid);
    named->set_name(sink->settings.name);
    named->set_incarnation(sink->session->name());
    named->set_required(sink->settings.required);
    for (const auto& [number, stream] : link.streams)
      if (const auto standing = sink->session->standing(stream.category, stream.key);
          standing && !standing->doubted)
        *welcome.add_positions() = sink->position_message(number, standing->committed);
  }
  send(link, FrameType::welcome, welcome);
}

// The same Local come back takes the place of its older connection; another with its id is refused.
bool Hub::State::alone(LocalLink& link, const proto::Hello& hello) {
  for (const LinkId id : index.of_local(hello.local_id())) {
    LocalLink& other = links.at(id);
    if (!other.greeted) continue;
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
      for (const auto& sink : sinks) static_cast<void>(sink->wish(known->second));  // it counted
      return true;
    }
    return reject(link, proto::Reject::PROTOCOL, "a stream's number stands for two", number);
  }
  if (link.streams.size() >= kMostStreams)
    return reject(link, proto::Reject::PROTOCOL, "it names too many streams", number);
  const auto one_too_many = [&](const std::string& why) {
    reject(link, proto::Reject::CATEGORY, "category '" + category + "' is one too many" + why,
           number);
    return true;  // the others go on
  };
  if (!link.categories.contains(category) && link.categories.size() >= kMostCategories)
    return one_too_many(": of one Local a Center takes " + std::to_string(kMostCategories) +
                        "; the others go on");
  if (link.categories.contains(category) && link.categories[category].contains(key.sub))
    return reject(link, proto::Reject::PROTOCOL, "a stream has two numbers", number);
  LocalLink::Stream stream{category, key, std::vector<LocalLink::Way>(sinks.size())};
  // Sinks of one Center take the same categories.
  const bool taken =
      std::all_of(sinks.begin(), sinks.end(), [&](const auto& sink) { return sink->wish(stream); });
  if (!taken) return one_too_many(" for this Center; those that are there go on");
  link.categories[category][key.sub] = number;
  index.named(category, link.id, number);
  link.streams[number] = std::move(stream);
  return true;
}

bool Hub::State::on_stream_def(LocalLink& link, const Frame& frame) {
  proto::StreamDef def;
  if (auto r = parse_message(frame, def); !r)
    return reject(link, proto::Reject::CORRUPT, r.error().text);
  if (!add_stream(link, def.stream(), def.category(), def.sub())) return false;
  if (!link.streams.contains(def.stream())) return true;  // one too many
  for (const auto& sink : sinks) {
    const auto asked = std::find(def.sinks().begin(), def.sinks().end(), sink->uuid);
    if (!def.sinks().empty() && asked == def.sinks().end()) continue;
    sink->tell_standing(link, def.stream());
    sink->greet(link, def.stream());
  }
  pump();
  return true;
}

bool Hub::State::on_data(LocalLink& link, Frame& frame) {
  if (frame.header.size() < kSinksBytes)
    return reject(link, proto::Reject::CORRUPT, "DATA cut short");
  const uint32_t wanted = ByteReader(frame.header).u32();
  auto head = BatchHead::parse(std::string_view(frame.header).substr(kSinksBytes));
  if (!head) return reject(link, proto::Reject::CORRUPT, head.error().text);
  const BatchFields& fields = head->fields();
  const auto found = link.streams.find(fields.stream);
  if (found == link.streams.end())
    return reject(link, proto::Reject::PROTOCOL, "DATA of a stream that was never named",
                  fields.stream);
  if (wanted == 0 || uint64_t{wanted} >> sinks.size() != 0)
    return reject(link, proto::Reject::PROTOCOL, "DATA for a sink that is not here");
  const LocalLink::Stream& stream = found->second;
  if (fields.sub != stream.key.sub)
    return reject(link, proto::Reject::PROTOCOL, "DATA with another sub", fields.stream);
  bool overdrawn = false;
  uint32_t to = wanted;  // but for those that have refused the stream
  for (const auto& sink : sinks) {
    if (!sink->is_among(wanted)) continue;
    LocalLink::Credit& credit = link.at[sink->at].credits[stream.category];
    overdrawn = overdrawn || credit.used >= credit.allowed;
    credit.used += frame.header.size() - kSinksBytes + frame.payload.size();
    if (!stream.ways[sink->at].refused) continue;
    sink->refused_of[stream.category] += fields.count;
    to &= ~(uint32_t{1} << sink->at);
  }
  const bool lines_needed = std::any_of(sinks.begin(), sinks.end(), [&](const auto& sink) {
    return sink->is_among(to) && sink->writes_lines(stream.category);
  });
  const Result<void> whole =
      overdrawn || to == 0 ? Result<void>()
                           : verifier.check(fields, frame.payload, link.batches++, lines_needed);
  if (overdrawn || !whole)
    for (const auto& sink : sinks)
      if (sink->is_among(to)) sink->refused_of[stream.category] += fields.count;
  if (overdrawn)
    return reject(link, proto::Reject::PROTOCOL,
                  "DATA of " + stream.category + " beyond its credit", fields.stream);
  if (!whole) return reject_batch(link, fields, whole.error().text);
  return deliver(link, to, *head, frame.payload);
}

// Each takes it or not, whatever the others do.
bool Hub::State::deliver(LocalLink& link, uint32_t to, const BatchHead& head,
                         const std::string& payload) {
  const BatchFields& fields = head.fields();
  const LocalLink::Stream& stream = link.streams[fields.stream];
  bool on = true;
  bool clock_skewed = false;
  for (const auto& sink : sinks) {
    if (!sink->is_among(to)) continue;
    on = sink->on_data(link, head, payload, &clock_skewed) && on;
    sink->give_credit(link, stream.category, stream.key);
    sink->pump();
  }
  if (clock_skewed) note_clock(link, fields);
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
  const GapRange gap{message.first_seq(), message.count(), escape(message.reason(), 256)};
  bool on = true;
  for (const std::string& uuid : message.sinks()) {
    Sink* const sink = sink_of(uuid);
    if (sink == nullptr)
      return reject(link, proto::Reject::PROTOCOL, "GAP for a sink that is not here");
    if (found->second.ways[sink->at].refused) continue;
    on = sink->on_gap(link, message.stream(), gap, message.chain_after()) && on;
    sink->pump();
  }
  return on;
}

bool Hub::State::lives(uint64_t local_id) const {
  const std::set<LinkId>& of_local = index.of_local(local_id);
  return heard_ms.contains(local_id) ||
         std::any_of(of_local.begin(), of_local.end(),
                     [this](LinkId id) { return links.at(id).greeted; });
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
  for (const auto& sink : sinks) sink->retire(link, message.category(), key);
  pump();
  return true;
}

void Hub::State::top_up(LocalLink& link) {
  if (link.greeted)
    for (const auto& sink : sinks) sink->top_up(link);
}

void Hub::State::top_up_all() {
  for (const LinkId id : std::exchange(owing, {})) {
    LocalLink& link = links.at(id);
    top_up(link);
    if (link.owed()) owing.insert(id);
  }
}

}  // namespace tailrace
