// A sink's life in a hub: one incarnation after another, and what each wants done.
#include "center/hub_sink.h"

#include <algorithm>

#include "base/units.h"
#include "center/hub_state.h"

namespace tailrace {

namespace {
constexpr int64_t kFirstFencePauseMs = 1'000;
constexpr int64_t kLongestFencePauseMs = 300'000;
constexpr uint64_t kLoudFiles = 4;  // in a roll, or in an hour
constexpr int64_t kHourMs = 3'600'000;
}  // namespace

Hub::Sink::Sink(State& hub_in, size_t at_in, HubSinkOptions options_in)
    : hub(hub_in),
      at(at_in),
      options(std::move(options_in)),
      settings(hub.settings.sinks.at(at)),
      uuid(hex16(options.identity.sink)) {}

void Hub::Sink::begin(int64_t not_before_ms) {
  ++life;
  IncarnationOptions of;
  of.center = hub.settings.name;
  of.version = TAILRACE_VERSION;
  of.reclaim_entries = hub.options.reclaim_entries;
  of.collect_ms = hub.options.collect_ms;
  of.most_categories = hub.settings.limits.categories;
  of.roll =
      RollPolicy{settings.roll_bytes,   settings.sequence_roll_bytes, settings.roll_age_ms,
                 settings.roll_idle_ms, settings.bucket_grace_ms,     settings.bucket_jitter_ms};
  of.formats = settings.formats;
  of.split = hub.options.split.value_or(SplitPolicy{
      kLoudFiles * settings.roll_bytes, settings.roll_age_ms > 0 ? settings.roll_age_ms : kHourMs});
  const SinkIdentity& sink = options.identity;
  Acquirer me{.names = StoreNames(sink.control, sink.sink),
              .cluster = sink.cluster,
              .sink = sink.sink,
              .incarnation = incarnation_name(IncarnationId{hub.now.wall_ms, hub.rng.next()}),
              .address = hub.settings.address,
              .state_uuid = hub.options.state_uuid,
              .takeover_after_ms = hub.options.takeover_after_ms};
  incarnation =
      std::make_unique<Incarnation>(std::move(of), std::move(me), options.layout, options.zone,
                                    Rng(hub.rng.next()), hub.now, not_before_ms);
  incarnation->presence(hub.presence, hub.now);
  for (auto& [id, link] : hub.links) {
    if (!link.greeted) continue;
    if (link.present) incarnation->connected(link.local_id, true);
    for (auto& [number, stream] : link.streams)
      if (!stream.ways[at].refused) static_cast<void>(wish(stream));  // it counted already
  }
}

void Hub::Sink::end(const std::string& reason) {
  hub.say(log::Level::warning,
          "this Center's session with its store is over: " + reason +
              "; a new one begins, Locals send again what was not committed",
          {{"sink", settings.name}});
  const IncarnationCounts& c = incarnation->counts();
  earlier += c;
  if (c.lines_committed > 0) fence_pause_ms = kFirstFencePauseMs;
  writers.clear();
  finish_troubles.clear();
  std::erase_if(hub.out.work, [this](const HubWork& work) { return work.sink == at; });
  release_all();
  begin(hub.now.mono_ms + fence_pause_ms);
  if (hub.stop_asked) {  // it stays as it is, and owns nothing
    end_trouble = reason;
    stopped = true;
    return;
  }
  fence_pause_ms = std::min(fence_pause_ms * 2, kLongestFencePauseMs);
}

// What is on its way from Locals may come when the next incarnation owns their lanes: it is no
// fault of theirs that it does not go on where that one stands.
void Hub::Sink::release_all() {
  for (auto& [id, link] : hub.links) {
    link.at[at].rewinds.clear();
    for (auto& [number, stream] : link.streams) stream.ways[at].ours = true;
    if (!link.greeted) continue;
    for (const auto& [category, subs] : link.categories) release(link, Lane{category, 1, 0});
  }
}

void Hub::Sink::pump() {
  if (pumping) return;
  pumping = true;
  while (!stopped) {
    std::vector<CenterAction> actions = incarnation->take_actions();
    if (actions.empty()) break;
    const uint64_t current = life;
    for (CenterAction& action : actions) {
      std::visit([this](auto& a) { act(a); }, action);
      if (current != life) break;  // fenced: the rest is the old one's
    }
  }
  send_committed();
  pumping = false;
}

void Hub::Sink::act(FinishFile& action) {
  auto writer = writers.extract(action.file);
  TAILRACE_CHECK(!writer.empty(), "a file to finish has no writer");
  auto finishing =
      std::make_shared<Finishing>(std::move(writer.mapped()), std::move(action.dropped));
  hub.out.work.push_back(
      {at, FinishWork{action.file, std::move(action.category), std::move(finishing)}});
}

void Hub::Sink::act(DropFile& action) { writers.erase(action.file); }
void Hub::Sink::act(CommitEntry& action) { hub.out.work.push_back({at, std::move(action)}); }
void Hub::Sink::act(PublishFile& action) { hub.out.work.push_back({at, std::move(action)}); }
void Hub::Sink::act(RunProcedure& action) { hub.out.work.push_back({at, std::move(action)}); }

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
    incarnation->begin_at(stream.category, stream.key, stream.ways[at].origin);
    tell_standing(*link, number);
    give_credit(*link, stream.category, stream.key);
  }
}

void Hub::Sink::act(TellReleased& action) {
  for (LocalLink* link : links_of_lane(action.lane)) release(*link, action.lane);
}

void Hub::Sink::act(TellSplit& action) {
  hub.say(log::Level::info,
          "lane " + lane_name(action.lane) +
              " was split: it is too loud for one Center, its parts are lanes now",
          {{"category", action.lane.category}, {"sink", settings.name}});
  TellReleased ended{action.lane};
  act(ended);
  for (const auto& [link, number] : of_lane(action.lane)) {
    const LocalLink::Stream& stream = link->streams.at(number);
    static_cast<void>(wish(stream));  // it counted already
    tell_elsewhere(*link, stream);
  }
}

void Hub::Sink::act(TellElsewhere& action) {
  for (LocalLink* link : links_of_lane(action.lane)) redirect(*link, action);
}

void Hub::Sink::act(Fenced& action) {
  committed.clear();
  end(action.reason);
}

void Hub::Sink::act(Stopped&) { stopped = true; }

void Hub::Sink::act(Trouble& action) {
  hub.say(log::Level::warning, std::move(action.text), {{"sink", settings.name}});
}

void Hub::Sink::act(LostFile& action) {
  const CommittedFile& file = action.file;
  hub.say(log::Level::error,
          "LOST " + show_count(file.lines) + " lines of '" + file.category +
              "': " + file.final_path +
              " was removed by somebody before it was published; its record names " + action.ranges,
          {{"path", file.final_path},
           {"category", file.category},
           {"sink", settings.name},
           {"lines", std::to_string(file.lines)}});
}

void Hub::Sink::act(GoneFile& action) {
  hub.say(log::Level::warning,
          "GONE: " + action.file.final_path +
              " is neither published nor staged: somebody took it after it was published, or "
              "removed it before, and its lines are lost; the log " +
              action.log + " names them",
          {{"path", action.file.final_path}, {"sink", settings.name}});
}

SinkStatus Hub::Sink::status() const {
  SinkStatus out;
  IncarnationCounts all = earlier;
  all += incarnation->counts();
  out.name = settings.name;
  out.lines_received = lines_received;
  out.lines_committed = all.lines_committed;
  out.lines_published = all.lines_published;
  out.raw_bytes_published = all.raw_bytes_published;
  out.file_bytes_published = all.file_bytes_published;
  out.files_published = all.files_published;
  out.files_open = incarnation->open_files();
  out.files_pending = incarnation->pending_files();
  out.lanes = incarnation->lanes();
  for (const auto& [name, lines] : received_of) out.categories[name].taken = lines;
  for (const auto& [name, lines] : refused_of) out.categories[name].refused = lines;
  for (const auto& [name, of] : all.categories) {
    out.categories[name].committed = of.committed;
    out.categories[name].published = of.published;
    out.categories[name].lost = of.lost;
    out.categories[name].files = of.files;
    out.categories[name].fewest_files = of.fewest_files;
  }
  for (const auto& [name, of] : incarnation->waiting()) {
    CenterFlow& flow = out.categories[name];
    flow.uncommitted = of.uncommitted;
    flow.unpublished = of.unpublished;
    flow.open_files = of.open_files;
    flow.lanes = of.lanes;
  }
  out.newest_published_ms = newest_published_ms;
  const std::string finish_trouble =
      finish_troubles.empty() ? std::string() : finish_troubles.begin()->second;
  for (const std::string& trouble :
       {write_trouble, finish_trouble, incarnation->trouble(), end_trouble})
    if (out.trouble.empty()) out.trouble = trouble;
  return out;
}

}  // namespace tailrace
