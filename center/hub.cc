#include "center/hub.h"

#include <algorithm>

#include "base/mutant.h"
#include "base/units.h"
#include "center/hub_state.h"

namespace tailrace {

namespace {
constexpr int64_t kFirstFencePauseMs = 1'000;
constexpr int64_t kLongestFencePauseMs = 300'000;
// A Local says something every 5 s. Whoever is silent for longer than this may have died: what is
// held of him may be the last copy.
constexpr int64_t kPresentMs = 7'000;
constexpr uint64_t kLoudFiles = 4;  // in a roll, or in an hour
constexpr int64_t kHourMs = 3'600'000;

bool is_in(const LocalLink::Stream& stream, const Lane& lane) {
  return stream.category == lane.category && lane_part(stream.key, lane.parts) == lane.part;
}
}  // namespace

Hub::State::State(HubOptions options_in, Files& files_in, Rng rng_in, Moment now_in)
    : options(std::move(options_in)),
      files(files_in),
      rng(rng_in),
      now(now_in),
      door(options.door) {}

// --- life ----------------------------------------------------------------------------------------

void Hub::State::begin(int64_t not_before_ms) {
  ++life;
  IncarnationOptions of;
  of.center = settings.name;
  of.version = TAILRACE_VERSION;
  of.reclaim_entries = options.reclaim_entries;
  of.collect_ms = options.collect_ms;
  of.most_categories = settings.limits.categories;
  of.roll = RollPolicy{settings.roll_bytes, settings.roll_age_ms, settings.roll_idle_ms,
                       settings.bucket_grace_ms, settings.bucket_jitter_ms};
  of.split = options.split.value_or(SplitPolicy{
      kLoudFiles * settings.roll_bytes, settings.roll_age_ms > 0 ? settings.roll_age_ms : kHourMs});
  Acquirer me{.names = StoreNames(sink.control, sink.sink),
              .cluster = sink.cluster,
              .sink = sink.sink,
              .incarnation = incarnation_name(IncarnationId{now.wall_ms, rng.next()}),
              .address = settings.address,
              .state_uuid = options.state_uuid,
              .takeover_after_ms = options.takeover_after_ms};
  incarnation = std::make_unique<Incarnation>(std::move(of), std::move(me), options.layout,
                                              options.zone, Rng(rng.next()), now, not_before_ms);
}

void Hub::State::end(const std::string& reason) {
  say(log::Level::warning, "this Center's session with its store is over: " + reason +
                               "; a new one begins, Locals send again what was not committed");
  const IncarnationCounts& c = incarnation->counts();
  earlier += c;
  if (c.lines_committed > 0) fence_pause_ms = kFirstFencePauseMs;
  writers.clear();
  out.work.clear();
  close_all();
  if (stop_asked) {
    end_trouble = reason;
    stopped = true;
    ++life;  // nothing of the old one is current any more
    return;
  }
  begin(now.mono_ms + fence_pause_ms);
  fence_pause_ms = std::min(fence_pause_ms * 2, kLongestFencePauseMs);
}

void Hub::State::pump() {
  if (pumping) return;
  pumping = true;
  for (;;) {
    std::vector<CenterAction> actions = incarnation->take_actions();
    if (actions.empty()) break;
    const uint64_t current = life;
    for (CenterAction& action : actions) {
      std::visit([this](auto& a) { act(a); }, action);
      if (current != life) break;  // fenced: the rest is the old one's
    }
    if (stopped) break;
  }
  send_committed();
  pumping = false;
}

void Hub::State::act(FinishFile& action) {
  auto writer = writers.extract(action.file);
  TAILRACE_CHECK(!writer.empty(), "a file to finish has no writer");
  auto finishing =
      std::make_shared<Finishing>(std::move(writer.mapped()), std::move(action.dropped));
  out.work.emplace_back(FinishWork{action.file, std::move(action.category), std::move(finishing)});
}

void Hub::State::act(DropFile& action) { writers.erase(action.file); }
void Hub::State::act(CommitEntry& action) { out.work.emplace_back(std::move(action)); }
void Hub::State::act(PublishFile& action) { out.work.emplace_back(std::move(action)); }
void Hub::State::act(RunProcedure& action) { out.work.emplace_back(std::move(action)); }

void Hub::State::act(TellCommitted& action) {
  for (const auto& [id, link] : links) {
    uint32_t number = 0;
    if (!link.greeted || link.local_id != action.stream.local_id) continue;
    if (!link.number_of(action.category, action.stream, &number)) continue;
    *committed[id].add_positions() = position_message(number, action.position);
  }
}

void Hub::State::send_committed() {
  for (auto& [id, message] : committed)
    if (const auto link = links.find(id); link != links.end())
      send(link->second, FrameType::committed, std::move(message));
  committed.clear();
}

void Hub::State::act(TellLane& action) {
  for (auto& [id, link] : links)
    for (const auto& [number, stream] : link.streams)
      if (link.greeted && is_in(stream, action.lane)) {
        incarnation->begin_at(stream.category, stream.key, stream.origin);
        tell_standing(link, number);
        give_credit(link, stream.category, stream.key);
      }
}

void Hub::State::act(TellReleased& action) {
  proto::Released message;
  message.set_sink(hex16(sink.sink));
  message.set_category(action.lane.category);
  message.set_parts(action.lane.parts);
  message.set_part(action.lane.part);
  for (LocalLink* link : of_lane(action.lane)) send(*link, FrameType::released, message);
}

void Hub::State::act(TellSplit& action) {
  say(log::Level::info,
      "lane " + lane_name(action.lane) +
          " was split: it is too loud for one Center, its parts are lanes now",
      {{"category", action.lane.category}});
  TellReleased ended{action.lane};
  act(ended);
  for (auto& [id, link] : links)
    for (const auto& [number, stream] : link.streams) {
      if (!link.greeted || !is_in(stream, action.lane)) continue;
      static_cast<void>(incarnation->wish(stream.category, stream.key, now));  // it counted already
      tell_elsewhere(link, stream);
    }
}

void Hub::State::act(TellElsewhere& action) {
  for (LocalLink* link : of_lane(action.lane)) redirect(*link, action);
}

// Locals with a stream of it.
std::vector<LocalLink*> Hub::State::of_lane(const Lane& lane) {
  std::vector<LocalLink*> out;
  for (auto& [id, link] : links) {
    const bool has = std::any_of(link.streams.begin(), link.streams.end(),
                                 [&](const auto& s) { return is_in(s.second, lane); });
    if (link.greeted && has) out.push_back(&link);
  }
  return out;
}

void Hub::State::act(Fenced& action) {
  committed.clear();
  end(action.reason);
}

void Hub::State::act(Stopped&) { stopped = true; }
void Hub::State::act(Trouble& action) { say(log::Level::warning, std::move(action.text)); }

void Hub::State::act(LostFile& action) {
  const CommittedFile& file = action.file;
  say(log::Level::error,
      "LOST " + show_count(file.lines) + " lines of '" + file.category + "': " + file.final_path +
          " was removed by somebody before it was published; its record names " + action.ranges,
      {{"path", file.final_path},
       {"category", file.category},
       {"lines", std::to_string(file.lines)}});
}

// --- outwards ------------------------------------------------------------------------------------

void Hub::State::close(LocalLink& link) {
  if (link.closing) return;
  link.closing = true;
  out.closes.push_back(link.id);
}

void Hub::State::close_all() {
  for (auto& [id, link] : links) close(link);
}

void Hub::State::say(log::Level level, std::string text, Fields fields) {
  out.sayings.push_back({level, std::move(text), std::move(fields)});
}

// --- the door ------------------------------------------------------------------------------------

Hub::Hub(HubOptions options, Files& files, Rng rng, Moment now)
    : state_(std::make_unique<State>(std::move(options), files, rng, now)) {
  state_->begin(0);
  state_->pump();
}
Hub::~Hub() = default;

std::string_view Hub::knock(LinkId id, const PeerAddress& from, Moment now) {
  State& s = *state_;
  s.now = now;
  const bool boxed = !from.host.empty() && s.box.left_ms(from.host, now.mono_ms) > 0;
  const std::string_view why =
      boxed ? "it was refused lately" : s.door.knock(from.host, now.mono_ms);
  if (!why.empty()) {
    ++s.refused;
    s.say_refused("at the door", from.name, why);
    return why;
  }
  s.links.try_emplace(id, id, from, now.mono_ms);
  return {};
}

void Hub::frame(LinkId id, Frame& frame, uint64_t queued_bytes, Moment now) {
  State& s = *state_;
  s.now = now;
  LocalLink& link = s.links.at(id);
  if (link.closing || s.stopped) return s.close(link);
  if (!s.on_frame(link, frame) || !s.drains(link, queued_bytes)) s.close(link);
}

void Hub::unreadable(LinkId id, const Error& why, bool other_version, Moment now) {
  State& s = *state_;
  s.now = now;
  LocalLink& link = s.links.at(id);
  if (link.closing) return;
  s.reject(link,
           other_version                      ? proto::Reject::VERSION
           : why.kind == Error::Kind::corrupt ? proto::Reject::CORRUPT
                                              : proto::Reject::PROTOCOL,
           why.text);
  s.close(link);
}

void Hub::gone(LinkId id) {
  State& s = *state_;
  const auto link = s.links.extract(id);
  if (link.mapped().greeted) {
    s.note_presence(link.mapped().local_id, false);
    s.heard_ms[link.mapped().local_id] = s.now.mono_ms;
  }
  s.committed.erase(id);
  s.door.left(link.mapped().address, link.mapped().counted);
}

void Hub::tick(std::span<const LinkView> views, Moment now) {
  State& s = *state_;
  s.now = now;
  for (const LinkView& view : views) {
    LocalLink& link = s.links.at(view.link);
    if (link.closing) continue;
    s.drop_silent(link, view);
    const bool present =
        now.mono_ms - view.last_heard_ms < kPresentMs || mutant(Mutant::silent_is_present);
    if (link.greeted && std::exchange(link.present, present) != present)
      s.note_presence(link.local_id, present);
  }
  s.shed(views);
  std::erase_if(s.heard_ms, [&](const auto& heard) {
    return now.mono_ms - heard.second >= s.incarnation->me().takeover_after_ms;
  });
  s.incarnation->tick(now);
  if (s.stop_asked) s.incarnation->stop(s.stop_everything);
  s.pump();
  s.top_up();
}

// Of a Local that came again there may be two connections for a while.
void Hub::State::note_presence(uint64_t local_id, bool present) {
  const auto is_here = [local_id](const auto& known) {
    const LocalLink& link = known.second;
    return link.greeted && !link.closing && link.present && link.local_id == local_id;
  };
  incarnation->connected(local_id, present || std::any_of(links.begin(), links.end(), is_here));
}

// --- the work ------------------------------------------------------------------------------------

void Hub::file_finished(const FinishWork& work, Moment now) {
  State& s = *state_;
  s.now = now;
  s.finish_trouble.clear();
  const LineFile& file = work.finishing->file();
  if (!work.finishing->staged().empty())
    s.say(log::Level::info,
          "lines of '" + work.category + "' that were handed over were cut out of an open file",
          {{"category", work.category}});
  s.incarnation->file_finished(work.file, file.size(), file.xxh3(), work.finishing->staged());
  s.pump();
}

void Hub::finish_waits(const std::string& why) {
  state_->finish_trouble = "finishing a file: " + why;
}

void Hub::commit_done(const Result<Cas>& outcome, Moment now) {
  State& s = *state_;
  s.now = now;
  s.incarnation->commit_done(outcome, now);
  s.pump();
}

void Hub::publish_done(const std::string& stage, const Result<Published>& outcome, Moment now) {
  State& s = *state_;
  s.now = now;
  if (outcome) s.newest_published_ms = now.wall_ms;
  s.incarnation->publish_done(stage, outcome, now);
  s.pump();
}

void Hub::procedure_done(const StoreProcedure& procedure, Moment now) {
  State& s = *state_;
  s.now = now;
  s.incarnation->procedure_done(procedure, now);
  s.pump();
}

void Hub::fail(std::string reason, Moment now) {
  State& s = *state_;
  s.now = now;
  s.incarnation->fail(std::move(reason));
  s.pump();
}

void Hub::stop(bool everything) {
  state_->stop_asked = true;
  state_->stop_everything = everything;
}

// --- what others ask -----------------------------------------------------------------------------

HubActions& Hub::actions() { return state_->out; }
uint64_t Hub::life() const { return state_->life; }
bool Hub::stopped() const { return state_->stopped; }
const Acquirer& Hub::me() const { return state_->incarnation->me(); }
std::string Hub::tmp_name() { return me().names.tmp(me().incarnation, state_->rng.next()); }

std::string Hub::stage_name(const std::string& category) {
  return stage_path(category, me().incarnation, state_->rng.next());
}

bool Hub::busy() const {
  const State& s = *state_;
  return s.incarnation->open_files() + s.incarnation->pending_files() > 0 || s.stop_asked ||
         std::any_of(s.links.begin(), s.links.end(),
                     [](const auto& link) { return !link.second.rewinds.empty(); });
}

CenterStatus Hub::status() const {
  const State& s = *state_;
  CenterStatus out;
  IncarnationCounts all = s.earlier;
  all += s.incarnation->counts();
  out.lines_received = s.lines_received;
  out.lines_committed = all.lines_committed;
  out.lines_published = all.lines_published;
  out.raw_bytes_published = all.raw_bytes_published;
  out.file_bytes_published = all.file_bytes_published;
  out.files_published = all.files_published;
  out.files_open = s.incarnation->open_files();
  out.files_pending = s.incarnation->pending_files();
  out.lanes = s.incarnation->lanes();
  out.refused = s.refused;
  for (const auto& [name, lines] : s.received_of) out.categories[name].taken = lines;
  for (const auto& [name, lines] : s.refused_of) out.categories[name].refused = lines;
  for (const auto& [name, of] : all.categories) {
    out.categories[name].committed = of.committed;
    out.categories[name].published = of.published;
    out.categories[name].lost = of.lost;
    out.categories[name].files = of.files;
  }
  for (const auto& [name, of] : s.incarnation->waiting()) {
    CenterFlow& flow = out.categories[name];
    flow.uncommitted = of.uncommitted;
    flow.unpublished = of.unpublished;
    flow.open_files = of.open_files;
    flow.lanes = of.lanes;
  }
  for (const auto& [id, link] : s.links)
    if (link.greeted) ++out.locals;
  out.newest_published_ms = s.newest_published_ms;
  out.lines_clock_skewed = s.lines_clock_skewed;
  for (const std::string& trouble :
       {s.write_trouble, s.finish_trouble, s.incarnation->trouble(), s.end_trouble})
    if (out.trouble.empty()) out.trouble = trouble;
  return out;
}

uint64_t Hub::held(const std::string& category, const StreamKey& stream) const {
  const auto standing = state_->incarnation->standing(category, stream);
  return standing && !state_->stop_asked ? standing->received.seq - standing->committed.seq : 0;
}

}  // namespace tailrace
