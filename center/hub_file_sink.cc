// A sink of files: one incarnation after another, and what each wants done.
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

Hub::FileSink::FileSink(State& hub_in, size_t at_in, HubSinkOptions options_in)
    : Sink(hub_in, at_in, options_in.identity), options(std::move(options_in)) {}

void Hub::FileSink::begin(int64_t not_before_ms) {
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
      kLoudFiles * settings.roll_bytes, settings.roll_age_ms > 0 ? settings.roll_age_ms : kHourMs,
      kLoudFiles * settings.sequence_roll_bytes});
  const SinkIdentity& sink = identity;
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
  session = incarnation.get();
  introduce();
}

void Hub::FileSink::end(const std::string& reason) {
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
  auto clear_up = incarnation->clear_up();
  begin(hub.now.mono_ms + fence_pause_ms);
  hub.out.work.push_back({at, RunProcedure{std::move(clear_up)}});
  if (hub.stop_asked) {  // it stays as it is, and owns nothing
    end_trouble = reason;
    stopped = true;
    return;
  }
  fence_pause_ms = std::min(fence_pause_ms * 2, kLongestFencePauseMs);
}

void Hub::FileSink::pump() {
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

void Hub::FileSink::act(FinishFile& action) {
  auto writer = writers.extract(action.file);
  TAILRACE_CHECK(!writer.empty(), "a file to finish has no writer");
  auto finishing = std::make_shared<Finishing>(std::move(writer.mapped()), std::move(action.staged),
                                               std::move(action.dropped));
  hub.out.work.push_back(
      {at, FinishWork{action.file, std::move(action.category), std::move(finishing)}});
}

void Hub::FileSink::act(DropFile& action) { writers.erase(action.file); }

void Hub::FileSink::act(CommitEntry& action) { hub.out.work.push_back({at, std::move(action)}); }

void Hub::FileSink::act(PublishFile& action) { hub.out.work.push_back({at, std::move(action)}); }

void Hub::FileSink::act(RunProcedure& action) { hub.out.work.push_back({at, std::move(action)}); }

void Hub::FileSink::act(TellSplit& action) {
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

void Hub::FileSink::act(Fenced& action) {
  committed.clear();
  end(action.reason);
}

void Hub::FileSink::act(LostFile& action) {
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

void Hub::FileSink::act(GoneFile& action) {
  hub.say(log::Level::warning,
          "GONE: " + action.file.final_path +
              " is neither published nor staged: somebody took it after it was published, or "
              "removed it before, and its lines are lost; the log " +
              action.log + " names them",
          {{"path", action.file.final_path}, {"sink", settings.name}});
}
std::shared_ptr<LineFile> Hub::FileSink::new_file(std::unique_ptr<StagedFile> staged,
                                                  const FileKey& key) const {
  if (key.format == FileFormat::lines)
    return std::make_shared<LineFile>(std::move(staged), key.codec);
  return std::make_shared<LineFile>(std::move(staged), key.codec, key.format,
                                    make_sync_mark(hub.rng));
}

bool Hub::FileSink::append(const LocalLink::Stream& stream, const BatchFields& fields,
                           const std::string& payload, const Incarnation::Verdict& verdict) {
  auto& writer = writers[verdict.file->id];
  Result<void> written;
  if (!writer) {
    auto staged = options.files->stage(verdict.file->staged);
    if (staged)
      writer = new_file(std::move(*staged), verdict.file->key);
    else
      written = staged.error();
  }
  if (written.ok())
    written = writer->append(verdict.lane_tag, stream.key, fields,
                             writes_lines(stream.category) ? hub.verifier.lines() : payload);
  if (written) {
    write_trouble.clear();
    return true;
  }
  if (written.error().kind != Error::Kind::retry_later) {
    incarnation->fail("writing " + verdict.file->staged + ": " + written.error().text);
    return false;
  }
  // No room: nothing was taken, the Local sends it again. An alarm, not a loss.
  if (auto text =
          writes_waiting.text("", "writing waits: " + written.error().text, hub.now.mono_ms);
      !text.empty())
    hub.say(log::Level::warning, std::move(text), {{"sink", settings.name}});
  write_trouble = written.error().text;
  if (verdict.file->extents.empty()) writers.erase(verdict.file->id);
  incarnation->not_taken(stream.category, verdict);
  return false;
}

Judgement Hub::FileSink::take(const LocalLink&, const LocalLink::Stream& stream,
                              const BatchHead& head, const std::string& payload,
                              bool* clock_skewed) {
  const BatchFields& fields = head.fields();
  const Incarnation::Verdict verdict =
      incarnation->judge(stream.category, stream.key, fields, hub.now);
  if (verdict.kind != Judgement::take) return verdict.kind;
  if (!append(stream, fields, payload, verdict)) return Judgement::later;
  if (verdict.clock_skewed) *clock_skewed = true;
  incarnation->took(stream.category, stream.key, fields, verdict,
                    writers.at(verdict.file->id)->estimated_size(), hub.now);
  return Judgement::take;
}

IncarnationCounts Hub::FileSink::counted() const {
  IncarnationCounts all = earlier;
  all += incarnation->counts();
  return all;
}

SinkStatus Hub::FileSink::status() const {
  SinkStatus out = Sink::status();
  const std::string session_trouble = std::exchange(out.trouble, {});
  const std::string finish_trouble =
      finish_troubles.empty() ? std::string() : finish_troubles.begin()->second;
  for (const std::string& trouble : {write_trouble, finish_trouble, session_trouble, end_trouble})
    if (out.trouble.empty()) out.trouble = trouble;
  return out;
}

}  // namespace tailrace
