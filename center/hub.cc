#include "center/hub.h"

#include <algorithm>

#include "base/mutant.h"
#include "center/hub_state.h"

namespace tailrace {

namespace {
// A Local says something every 5 s. Whoever is silent for longer than this may have died: what is
// held of him may be the last copy.
constexpr int64_t kPresentMs = 7'000;
}  // namespace

Hub::State::State(HubOptions options_in, Rng rng_in, Moment now_in)
    : options(std::move(options_in)), rng(rng_in), now(now_in), door(options.door) {
  TAILRACE_CHECK(!options.sinks.empty() && options.sinks.size() <= kMostSinks &&
                     options.sinks.size() == settings.sinks.size(),
                 "a Center's sinks");
  for (HubSinkOptions& sink : options.sinks)
    sinks.push_back(sink.kafka ? std::unique_ptr<Sink>(std::make_unique<KafkaSink>(
                                     *this, sinks.size(), std::move(sink)))
                               : std::make_unique<FileSink>(*this, sinks.size(), std::move(sink)));
}

Hub::FileSink& Hub::State::files_at(size_t at) {
  auto* const files = dynamic_cast<FileSink*>(sinks.at(at).get());
  TAILRACE_CHECK(files, "work of files for a sink that has none");
  return *files;
}

Hub::KafkaSink& Hub::State::kafka_at(size_t at) {
  auto* const kafka = dynamic_cast<KafkaSink*>(sinks.at(at).get());
  TAILRACE_CHECK(kafka, "an answer of Kafka for a sink of files");
  return *kafka;
}

// --- outwards ------------------------------------------------------------------------------------

void Hub::State::close(LocalLink& link) {
  if (link.closing) return;
  link.closing = true;
  out.closes.push_back(link.id);
}

void Hub::State::say(log::Level level, std::string text, Fields fields) {
  out.sayings.push_back({level, std::move(text), std::move(fields)});
}

bool Hub::State::stopped() const {
  return std::all_of(sinks.begin(), sinks.end(), [](const auto& sink) { return sink->stopped; });
}

void Hub::State::pump() {
  for (const auto& sink : sinks) sink->pump();
}

// --- the door ------------------------------------------------------------------------------------

Hub::Hub(HubOptions options, Rng rng, Moment now)
    : state_(std::make_unique<State>(std::move(options), rng, now)) {
  for (const auto& sink : state_->sinks) sink->begin(0);
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
  s.links.try_emplace(id, id, from, s.sinks.size(), now.mono_ms);
  return {};
}

void Hub::frame(LinkId id, Frame& frame, uint64_t queued_bytes, Moment now) {
  State& s = *state_;
  s.now = now;
  LocalLink& link = s.links.at(id);
  // Once stopped it still tells an operator that it is.
  if (link.closing || (s.stopped() && link.greeted)) return s.close(link);
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
  s.index.gone(link.mapped());
  s.owing.erase(id);
  if (link.mapped().greeted) {
    s.note_presence(link.mapped().local_id, false);
    s.heard_ms[link.mapped().local_id] = s.now.mono_ms;
  }
  for (const auto& sink : s.sinks) sink->committed.erase(id);
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
    return now.mono_ms - heard.second >= s.options.takeover_after_ms;
  });
  for (const auto& sink : s.sinks) {
    sink->lines_rate.seen(sink->lines_received, now.mono_ms);
    sink->bytes_rate.seen(sink->bytes_received, now.mono_ms);
    if (sink->stopped) continue;
    sink->look_around();
    sink->session->tick(now);
    if (s.stop_asked) sink->session->stop(s.stop_everything);
  }
  s.pump();
  s.top_up_all();
}

void Hub::presence(const Presence& presence, Moment now) {
  State& s = *state_;
  s.now = now;
  s.presence = presence;
  for (const auto& sink : s.sinks)
    if (!sink->stopped) sink->session->presence(presence, now);
  s.pump();
}

Member Hub::member() const {
  const State& s = *state_;
  Member out;
  out.name = s.settings.name;
  out.address = s.settings.address;
  out.version = TAILRACE_VERSION;
  out.state = s.stop_asked ? Member::State::draining : Member::State::running;
  out.state_uuid = s.options.state_uuid;
  out.started_ms = s.started_ms;
  for (const auto& sink : s.sinks)
    if (!sink->stopped) out.incarnations[sink->identity.sink] = sink->session->name();
  return out;
}

// Of a Local that came again there may be two connections for a while.
void Hub::State::note_presence(uint64_t local_id, bool present) {
  const auto is_here = [this](LinkId id) {
    const LocalLink& link = links.at(id);
    return link.greeted && !link.closing && link.present;
  };
  const std::set<LinkId>& of_local = index.of_local(local_id);
  const bool here = present || std::any_of(of_local.begin(), of_local.end(), is_here);
  for (const auto& sink : sinks) sink->session->connected(local_id, here);
}

// --- the work ------------------------------------------------------------------------------------

void Hub::file_finished(size_t at, const FinishWork& work, Moment now) {
  FileSink& sink = state_->files_at(at);
  state_->now = now;
  sink.finish_troubles.erase(work.category);
  const LineFile& file = work.finishing->file();
  if (!work.finishing->staged().empty())
    state_->say(
        log::Level::info,
        "lines of '" + work.category + "' that were handed over were cut out of an open file",
        {{"category", work.category}, {"sink", sink.settings.name}});
  sink.incarnation->file_finished(work.file, file.size(), file.xxh3(), work.finishing->staged());
  sink.pump();
}

void Hub::finish_waits(size_t at, const std::string& category, const std::string& why, Moment now) {
  state_->now = now;
  FileSink& sink = state_->files_at(at);
  const auto [trouble, fresh] = sink.finish_troubles.try_emplace(category);
  trouble->second = "a file of '" + category + "' cannot be finished: " + why;
  if (fresh)
    state_->say(log::Level::warning, trouble->second + "; it waits, the other categories go on",
                {{"category", category}, {"sink", sink.settings.name}});
}

void Hub::commit_done(size_t at, const Result<Cas>& outcome, Moment now) {
  FileSink& sink = state_->files_at(at);
  state_->now = now;
  sink.incarnation->commit_done(outcome, now);
  sink.pump();
}

void Hub::publish_done(size_t at, const std::string& stage, const Result<Published>& outcome,
                       Moment now) {
  FileSink& sink = state_->files_at(at);
  state_->now = now;
  if (outcome) sink.newest_published_ms = now.wall_ms;
  sink.incarnation->publish_done(stage, outcome, now);
  sink.pump();
}

void Hub::procedure_done(size_t at, const StoreProcedure& procedure, Moment now) {
  FileSink& sink = state_->files_at(at);
  state_->now = now;
  sink.incarnation->procedure_done(procedure, now);
  sink.pump();
}

void Hub::fail(size_t at, std::string reason, Moment now) {
  FileSink& sink = state_->files_at(at);
  state_->now = now;
  sink.incarnation->fail(std::move(reason));
  sink.pump();
}

void Hub::kafka_replied(size_t at, KafkaCall call, const KafkaReply& reply, Moment now) {
  KafkaSink& sink = state_->kafka_at(at);
  state_->now = now;
  if (sink.stopped) return;
  const uint64_t lines = sink.kafka->counts().lines_published;
  sink.kafka->replied(std::move(call), reply, now);
  if (sink.kafka->counts().lines_published > lines) sink.newest_published_ms = now.wall_ms;
  sink.pump();
}

void Hub::stop(bool everything) {
  state_->stop_asked = true;
  state_->stop_everything = everything;
}

// --- what others ask -----------------------------------------------------------------------------

HubActions& Hub::actions() { return state_->out; }
uint64_t Hub::life(size_t at) const { return state_->sinks.at(at)->life; }
bool Hub::stopped() const { return state_->stopped(); }
bool Hub::stopped(size_t at) const { return state_->sinks.at(at)->stopped; }
const Acquirer& Hub::me(size_t at) const { return state_->files_at(at).incarnation->me(); }
std::string Hub::tmp_name(size_t at) {
  return me(at).names.tmp(me(at).incarnation, state_->rng.next());
}

std::string Hub::stage_name(size_t at, const std::string& category) {
  return stage_path(category, me(at).incarnation, state_->rng.next());
}

bool Hub::busy() const {
  const State& s = *state_;
  if (s.stop_asked || !s.owing.empty()) return true;
  return std::any_of(s.sinks.begin(), s.sinks.end(), [](const auto& sink) {
    return sink->session->open_files() + sink->session->pending_files() > 0;
  });
}

uint64_t Hub::held(size_t at, const std::string& category, const StreamKey& stream) const {
  const auto standing = state_->sinks.at(at)->session->standing(category, stream);
  return standing && !state_->stop_asked ? standing->received.seq - standing->committed.seq : 0;
}

}  // namespace tailrace
