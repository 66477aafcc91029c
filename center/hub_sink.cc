// What a sink's sessions want told to the Locals, and what is told of them.
#include "center/hub_sink.h"

#include <algorithm>

#include "base/units.h"
#include "center/hub_state.h"

namespace tailrace {

Hub::Sink::Sink(State& hub_in, size_t at_in, const SinkIdentity& identity_in)
    : hub(hub_in),
      at(at_in),
      identity(identity_in),
      settings(hub.settings.sinks.at(at)),
      uuid(hex16(identity.sink)) {}

void Hub::Sink::introduce() {
  session->presence(hub.presence, hub.now);
  for (auto& [id, link] : hub.links) {
    if (!link.greeted) continue;
    if (link.present) session->connected(link.local_id, true);
    for (auto& [number, stream] : link.streams)
      if (!stream.ways[at].refused) static_cast<void>(wish(stream));  // it counted already
  }
}

void Hub::Sink::release_all() {
  for (auto& [id, link] : hub.links) {
    link.at[at].rewinds.clear();
    for (auto& [number, stream] : link.streams) stream.ways[at].ours = true;
    if (!link.greeted) continue;
    for (const auto& [category, subs] : link.categories) release(link, Lane{category, 1, 0});
  }
}

void Hub::Sink::act(TellCommitted& action) {
  for (const LinkId id : hub.index.of_local(action.stream.local_id)) {
    const LocalLink& link = hub.links.at(id);
    uint32_t number = 0;
    if (!link.greeted || !link.number_of(action.category, action.stream, &number)) continue;
    *committed[id].add_positions() = position_message(number, action.position);
  }
}

void Hub::Sink::send_committed() {
  for (auto& [id, message] : committed)
    if (const auto link = hub.links.find(id); link != hub.links.end())
      hub.send(link->second, FrameType::committed, std::move(message));
  committed.clear();
}

void Hub::Sink::act(TellLane& action) {
  for (const auto& [link, number] : of_lane(action.lane)) {
    const LocalLink::Stream& stream = link->streams.at(number);
    session->begin_at(stream.category, stream.key, stream.ways[at].origin);
    tell_standing(*link, number);
    give_credit(*link, stream.category, stream.key);
  }
}

void Hub::Sink::act(TellReleased& action) {
  for (LocalLink* link : links_of_lane(action.lane)) release(*link, action.lane);
}

void Hub::Sink::act(TellElsewhere& action) {
  for (LocalLink* link : links_of_lane(action.lane)) redirect(*link, action);
}

void Hub::Sink::act(Stopped&) { stopped = true; }

void Hub::Sink::act(Trouble& action) {
  hub.say(log::Level::warning, std::move(action.text), {{"sink", settings.name}});
}

SinkStatus Hub::Sink::status() const {
  SinkStatus out;
  const IncarnationCounts all = counted();
  out.name = settings.name;
  out.lines_received = lines_received;
  out.lines_committed = all.lines_committed;
  out.lines_published = all.lines_published;
  out.raw_bytes_published = all.raw_bytes_published;
  out.file_bytes_published = all.file_bytes_published;
  out.files_published = all.files_published;
  out.files_open = session->open_files();
  out.files_pending = session->pending_files();
  out.lanes = session->lanes();
  for (const auto& [name, lines] : received_of) out.categories[name].taken = lines;
  for (const auto& [name, lines] : refused_of) out.categories[name].refused = lines;
  for (const auto& [name, of] : all.categories) {
    out.categories[name].committed = of.committed;
    out.categories[name].published = of.published;
    out.categories[name].lost = of.lost;
    out.categories[name].files = of.files;
    out.categories[name].fewest_files = of.fewest_files;
  }
  for (const auto& [name, of] : session->waiting()) {
    CenterFlow& flow = out.categories[name];
    flow.uncommitted = of.uncommitted;
    flow.unpublished = of.unpublished;
    flow.open_files = of.open_files;
    flow.lanes = of.lanes;
  }
  out.newest_published_ms = newest_published_ms;
  out.trouble = session->trouble();
  return out;
}

}  // namespace tailrace
