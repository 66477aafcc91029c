#include "center/incarnation.h"

#include <algorithm>

#include "base/buggify.h"
#include "base/file.h"
#include "base/mutant.h"
#include "center/ranges.h"

namespace tailrace {

namespace {
// While a category is held up (too much waits for publishing), what still comes may grow its open
// file to so many rolls; then its Locals get no more credit.
constexpr uint64_t kHeldUpRolls = 2;
constexpr int64_t kPublishLongMs = 1'000;
constexpr size_t kDoubtfulAtOnce =
    2;  // of the calls at once (SinkStore::calls), where these are several
}  // namespace

Incarnation::Incarnation(IncarnationOptions options, Acquirer me, Layout layout, TimeZone zone,
                         Rng rng, Moment now, int64_t not_before_ms)
    : options_(std::move(options)),
      me_(std::move(me)),
      layout_(std::move(layout)),
      zone_(std::move(zone)),
      rng_(rng),
      log_(me_.names, options_.log, me_.cluster, me_.sink, options_.center, me_.incarnation),
      not_before_ms_(not_before_ms),
      now_(now),
      last_reclaim_ms_(now.mono_ms),
      next_collect_ms_(now.mono_ms),
      proved_ms_(now.mono_ms) {
  mine_.name = options_.center;
  mine_.address = me_.address;
  mine_.state_uuid = me_.state_uuid;
  mine_.version = options_.version;
  mine_.started_ms = now.wall_ms;
  start_ = std::make_shared<StartLog>(me_, mine_, rng_.next());
  run(start_);
}

void IncarnationCounts::add_published(const CommittedFile& file, uint64_t fewest_files_more) {
  ++files_published;
  OfCategory& of = categories[file.category];
  ++of.files;
  of.fewest_files += fewest_files_more;
  of.published += file.lines;
  lines_published += file.lines;
  raw_bytes_published += file.raw_bytes;
  file_bytes_published += file.bytes;
}

IncarnationCounts& IncarnationCounts::operator+=(const IncarnationCounts& more) {
  for (const auto& [name, of] : more.categories) {
    categories[name].committed += of.committed;
    categories[name].published += of.published;
    categories[name].lost += of.lost;
    categories[name].files += of.files;
    categories[name].fewest_files += of.fewest_files;
  }
  lines_committed += more.lines_committed;
  lines_published += more.lines_published;
  raw_bytes_published += more.raw_bytes_published;
  file_bytes_published += more.file_bytes_published;
  files_published += more.files_published;
  return *this;
}

Incarnation::~Incarnation() = default;

void Incarnation::count_published(const CommittedFile& file) {
  counts_.add_published(file, fewest_files_.add(file.category, parent_path(file.final_path),
                                                file.bytes, roll_bytes(file.category)));
}

std::vector<CenterAction> Incarnation::take_actions() { return std::exchange(actions_, {}); }

void Incarnation::run(std::shared_ptr<StoreProcedure> procedure) {
  actions_.push_back(RunProcedure{std::move(procedure)});
}

void Incarnation::trouble(const std::string& key, std::string text) {
  std::string& known = troubles_[key];
  if (known == text) return;
  known = text;
  actions_.push_back(Trouble{std::move(text)});
}

std::string Incarnation::trouble() const {
  return troubles_.empty() ? std::string() : troubles_.begin()->second;
}

void Incarnation::fail(std::string reason) {
  if (fenced_) return;
  fenced_ = true;
  actions_.push_back(Fenced{std::move(reason)});
}

// --- lanes and data -----------------------------------------------------------------------------

const Incarnation::OwnedLane* Incarnation::owner_of(const std::string& category,
                                                    const StreamKey& stream, Lane* lane) const {
  if (unsure_) return nullptr;
  const auto found = lanes_.find(lane_now(category, stream));
  if (found == lanes_.end() || found->second.leaving != Leaving::no) return nullptr;
  if (lane) *lane = found->first;
  return &found->second;
}

Lane Incarnation::lane_now(const std::string& category, const StreamKey& stream) const {
  Lane lane = lane_of(category, stream, 1);
  while (split_.contains(lane)) lane = lane_of(category, stream, lane.parts * kSplitParts);
  return lane;
}

Incarnation::OwnedLane* Incarnation::owner_of(const std::string& category, const StreamKey& stream,
                                              Lane* lane) {
  return const_cast<OwnedLane*>(std::as_const(*this).owner_of(category, stream, lane));
}

Category& Incarnation::category(const std::string& name) {
  return categories_.try_emplace(name, name).first->second;
}

std::optional<Incarnation::Standing> Incarnation::standing(const std::string& category,
                                                           const StreamKey& stream) const {
  const OwnedLane* lane = owner_of(category, stream, nullptr);
  if (!lane) return std::nullopt;
  const bool doubted =
      doubts_.contains({category, stream}) || proving_.contains({category, stream});
  const auto row = lane->rows.find(stream);
  if (row == lane->rows.end()) return Standing{{}, {}, doubted, doubted};
  return Standing{row->second.committed, row->second.received, doubted, doubted};
}

bool Incarnation::held_up(const std::string& name) const {
  const auto found = categories_.find(name);
  return found != categories_.end() && log_.blocked(name) &&
         found->second.largest_bytes() >= kHeldUpRolls * roll_bytes(name);
}

bool Incarnation::takes(const std::string& category, const StreamKey& stream) const {
  return !fenced_ && stopping_ == Stopping::no && owner_of(category, stream, nullptr) &&
         !held_up(category);
}

Incarnation::Verdict Incarnation::place(OwnedLane* owned, const StreamKey& stream, uint64_t from,
                                        uint64_t to) {
  using Kind = Verdict::Kind;
  if (!owned || fenced_) return Verdict{.kind = Kind::not_owned, .position = {}};
  const auto known = owned->rows.find(stream);
  if (known == owned->rows.end() && owned->rows.size() >= options_.most_streams)
    return Verdict{.kind = Kind::too_many, .position = {}};
  const Row row = known == owned->rows.end() ? Row{} : known->second;
  return Verdict{.kind = row.judge(from, to), .position = row.received};
}

Incarnation::Verdict Incarnation::judge(const std::string& name, const StreamKey& stream,
                                        const BatchFields& fields, Moment now) {
  using Kind = Verdict::Kind;
  Lane lane;
  OwnedLane* owned = owner_of(name, stream, &lane);
  Verdict verdict = place(owned, stream, fields.first_seq, fields.end_seq());
  if (verdict.kind != Kind::take) return verdict;
  Row& row = owned->rows[stream];
  const bool follows = fields.first_seq == row.received.seq;
  if (!row.goes_on(fields) && !(follows && mutant(Mutant::no_chain_check))) {
    verdict.kind = Kind::chain;
  } else if (stopping_ != Stopping::no || held_up(name) || buggify(Rare::not_now)) {
    verdict.kind = Kind::later;
  } else {
    verdict.kind = Kind::take;
    verdict.lane_tag = owned->tag;
    // Within a stream the bucket never goes back: whatever a host's clock does, what is closed by a
    // directory's end is a prefix of each stream.
    const Bucket sane = sane_bucket(fields.bucket, now.wall_ms);
    verdict.clock_skewed = sane != fields.bucket;
    const Bucket bucket = std::max(row.last_bucket, sane);
    const FileKey key{layout_.directory_end_ms(bucket, zone_), fields.file_codec,
                      options_.formats(name)};
    Category& files = category(name);
    if (files.out_of_order(key, row.last_file) && !mutant(Mutant::codec_comes_back)) {
      if (log_.blocked(name)) {
        verdict.kind = Kind::later;
        return verdict;
      }
      close(files, key.directory_end_ms);
    }
    verdict.file = files.find(key);
    if (!verdict.file) verdict.file = &open_file(files, key, bucket, now);
  }
  return verdict;
}

OpenFile& Incarnation::open_file(Category& files, const FileKey& key, Bucket bucket, Moment now) {
  OpenFile file;
  file.id = next_file_++;
  file.key = key;
  file.staged = stage_path(files.name(), me_.incarnation,
                           mutant(Mutant::stage_path_reused) ? 1 : rng_.next());
  file.directory = layout_.render(files.name(), bucket, zone_);
  file.bucket = bucket;
  file.opened_ms = file.last_ms = now.mono_ms;
  file.jitter_ms = static_cast<int64_t>(
      rng_.below(static_cast<uint64_t>(std::max<int64_t>(options_.roll.jitter_ms, 0)) + 1));
  return files.open(std::move(file));
}

void Incarnation::took(const std::string& name, const StreamKey& stream, const BatchFields& fields,
                       const Verdict& verdict, uint64_t file_bytes, Moment now) {
  Lane lane;
  OwnedLane* owned = owner_of(name, stream, &lane);
  TAILRACE_CHECK(owned, "a lane went away between a verdict and its batch");
  Row& row = owned->rows[stream];
  row.received = Position{fields.end_seq(), fields.chain_after};
  row.last_bucket = std::max(row.last_bucket, verdict.file->bucket);
  row.last_file = verdict.file->id;
  Category& files = category(name);
  owned->loudness.add(stream, files.add(*verdict.file, verdict.lane_tag, lane, stream, fields,
                                        file_bytes, now.mono_ms));
  if (verdict.file->bytes < roll_bytes(name) || log_.blocked(name)) return;
  close(files, verdict.file->key.directory_end_ms);
  split_loud(name, now);
}

void Incarnation::not_taken(const std::string& name, const Verdict& verdict) {
  category(name).forget_empty(verdict.file->key);
}

Judgement Incarnation::on_gap(const std::string& name, const StreamKey& stream, GapRange gap,
                              uint64_t chain_after, Moment now) {
  Lane lane;
  OwnedLane* owned = owner_of(name, stream, &lane);
  const uint64_t end = gap.first_seq + gap.count;
  const Judgement judgement = place(owned, stream, gap.first_seq, end).kind;
  if (judgement != Judgement::take) return judgement;
  Row& row = owned->rows[stream];
  if (stopping_ != Stopping::no) return Judgement::later;
  gap.first_seq = row.received.seq;
  gap.count = end - gap.first_seq;
  row.received = Position{end, chain_after};
  // Committed at once, behind all that was received of the stream: with last_bucket 0 that is
  // committed already.
  const int64_t directory_end_ms =
      row.last_bucket == 0 ? 0 : layout_.directory_end_ms(row.last_bucket, zone_);
  Category& files = category(name);
  files.add_gap(directory_end_ms, lane, stream, std::move(gap), chain_after);
  close(files, directory_end_ms);
  queue_ready(files, now);
  return Judgement::take;
}

void Incarnation::begin_at(const std::string& name, const StreamKey& stream,
                           const Position& origin) {
  OwnedLane* owned = owner_of(name, stream, nullptr);
  if (!owned || (!owned->rows.contains(stream) && owned->rows.size() >= options_.most_streams))
    return;
  Row& row = owned->rows[stream];
  if (row.received.seq == 0 && !(row.flags & kFinal) && !row.retiring)
    row.committed = row.received = origin;
}

// The mark goes with the last lines that are held of the stream, or alone behind them.
std::optional<Position> Incarnation::retire(const std::string& name, const StreamKey& stream,
                                            Moment now) {
  Lane lane;
  OwnedLane* owned = owner_of(name, stream, &lane);
  if (!owned || fenced_) return std::nullopt;
  if (!owned->rows.contains(stream) && owned->rows.size() >= options_.most_streams)
    return std::nullopt;
  Row& row = owned->rows[stream];
  if (row.flags & kFinal) return row.committed;
  if (mutant(Mutant::retire_in_memory) && row.retiring && row.committed.seq == row.received.seq)
    return row.committed;
  if (row.retiring || stopping_ != Stopping::no || log_.blocked(name)) return std::nullopt;
  row.retiring = true;
  const int64_t directory_end_ms =
      row.last_bucket == 0 ? 0 : layout_.directory_end_ms(row.last_bucket, zone_);
  const Position committed = row.committed, received = row.received;
  Category& files = category(name);
  files.add_final(directory_end_ms, lane, stream, received);
  close(files, directory_end_ms);
  queue_ready(files, now);
  if (mutant(Mutant::retire_received)) return received;
  if (mutant(Mutant::retire_early)) return committed;
  return std::nullopt;
}

// --- closing and committing

void Incarnation::close(Category& files, int64_t directory_end_ms) {
  for (FileToFinish& file : files.close(directory_end_ms)) {
    file_category_[file.id] = files.name();
    actions_.push_back(
        FinishFile{file.id, files.name(), std::move(file.staged), std::move(file.dropped)});
  }
}

void Incarnation::drop(const std::vector<FileToDrop>& files) {
  for (const FileToDrop& file : files) {
    actions_.push_back(DropFile{file.id});
    run(std::make_shared<RemoveStaged>(std::vector{file.staged}));
  }
}

void Incarnation::roll(Moment now) {
  for (auto& [name, files] : categories_) {
    if (!files.anything_open() || log_.blocked(name)) continue;
    if (const auto end = files.due(options_.roll, now)) close(files, *end);
  }
}

void Incarnation::flush(uint64_t local_id) {
  for (auto& [name, files] : categories_)
    if (files.holds_host(local_id) && !log_.blocked(name)) close(files, INT64_MAX);
}

void Incarnation::connected(uint64_t local_id, bool is_connected) {
  if (is_connected)
    connected_.insert(local_id);
  else
    connected_.erase(local_id);
}

void Incarnation::file_finished(OpenFileId id, uint64_t bytes, uint64_t xxh3,
                                const std::string& staged) {
  const auto found = file_category_.find(id);
  if (found == file_category_.end()) return;
  Category& files = category(found->second);
  file_category_.erase(found);
  const std::string useless = files.finished(id, bytes, xxh3, staged);
  if (!useless.empty()) run(std::make_shared<RemoveStaged>(std::vector{useless}));
  queue_ready(files, now_);
}

void Incarnation::queue_ready(Category& files, Moment now) {
  while (auto closing = files.take_ready()) {
    if (mutant(Mutant::closing_in_parts) && closing->files.size() > 1) {
      Closing first{closing->category, {closing->files.front()}, std::move(closing->lanes)};
      log_.queue(std::move(first));
      closing->files.erase(closing->files.begin());
      closing->lanes.clear();
    }
    log_.queue(std::move(*closing));
  }
  commit_next(now);
}

void Incarnation::commit_next(Moment now) {
  if (fenced_ || (unsure_ && stopping_ == Stopping::no)) return;
  auto attempt = log_.begin(rng_.next(), now.wall_ms);
  if (!attempt) return;
  // A record whose ranges do not continue what is committed is never sent.
  for (const LaneRanges& lane : log_.attempt().lanes) {
    const auto owned = lanes_.find(lane.lane);
    TAILRACE_CHECK(owned != lanes_.end(), "a commit of a lane that is not owned");
    for (const StreamRange& range : lane.ranges)
      TAILRACE_CHECK(owned->second.rows[range.key].committed.seq == range.from_seq,
                     "a commit would leave a hole or repeat lines");
  }
  if (mutant(Mutant::publish_first))
    for (const CommittedFile& file : log_.attempt().files) actions_.push_back(PublishFile{file});
  actions_.push_back(CommitEntry{std::move(attempt->name), std::move(attempt->record)});
}

void Incarnation::commit_done(Result<Cas> outcome, Moment now) {
  if (fenced_) return;
  if (!outcome && mutant(Mutant::timeout_is_success)) outcome = Cas::won;
#ifdef TAILRACE_MUTANTS
  if (!outcome && mutant(Mutant::timeout_is_failure)) {
    CommitLog::Attempt again = log_.begin_again(rng_.next());
    actions_.push_back(CommitEntry{std::move(again.name), std::move(again.record)});
    return;
  }
#endif
  if (!outcome) return fail("the store refused a commit record: " + outcome.error().text);
  if (*outcome == Cas::no_directory) return fail("the commit log's directory is gone");
  if (*outcome == Cas::lost) return fail("another Center has sealed this one's commit log");
  if (stopping_ == Stopping::sealing) {  // it was the FENCE
    stopping_ = Stopping::sweeping;
    give_up_lanes();
    // What it finds nowhere was published by me, unless that is still to be done.
    Janitor::Told told;
    if (!publishing_.empty()) told.emplace();
    janitor_ = std::make_shared<Janitor>(me_, sealed_, me_.incarnation, rng_.next(), now.wall_ms,
                                         std::move(told));
    return run(janitor_);
  }
  if (!unsure_) proved_ms_ = now.mono_ms;
  const auto record = std::make_shared<const CommitRecord>(log_.won());
  for (const LaneRanges& lane : record->lanes) {
    OwnedLane& owned = lanes_.at(lane.lane);
    for (const StreamRange& range : lane.ranges) {
      Row& row = owned.rows[range.key];
      uint64_t lines = range.to_seq - row.committed.seq;
      for (const GapRange& gap : range.gaps) lines -= gap.count;
      counts_.lines_committed += lines;
      counts_.categories[lane.lane.category].committed += lines;
      row.committed = Position{range.to_seq, range.chain_to};
      row.flags |= range.flags;
      // Won, but maybe long ago.
      const std::pair doubted(lane.lane.category, range.key);
      if (!unsure_ && !doubts_.contains(doubted) && !proving_.contains(doubted))
        actions_.push_back(TellCommitted{lane.lane.category, range.key, row.committed});
    }
  }
  for (const CommittedFile& file : record->files)
    publishing_[file.stage] = {.file = file, .record = record, .again_ms = now.mono_ms};
  start_publishing(now);
  commit_next(now);
}

// --- publishing

// A file that can't be published waits alone; its category's later ones are tried beside it. But of
// categories where it fails, or takes long, few are tried at once, whoever waits longest first: the
// store makes few calls at a time, and some that are never answered must not be all of them.
void Incarnation::start_publishing(Moment now) {
  std::set<std::string> doubtful;
  for (const auto& [stage, p] : publishing_)
    if (p.pause_ms > 0 || (p.under_way && now.mono_ms - p.since_ms >= kPublishLongMs))
      doubtful.insert(p.file.category);
  size_t tried = 0;
  std::vector<Publishing*> waiting;
  const auto start = [&](Publishing& p) {
    p.under_way = true;
    p.since_ms = now.mono_ms;
    actions_.push_back(PublishFile{p.file});
  };
  for (auto& [stage, p] : publishing_) {
    const bool doubt = doubtful.contains(p.file.category);
    tried += doubt && p.under_way;
    if (p.under_way || now.mono_ms < p.again_ms || buggify(Rare::publish_late)) continue;
    if (doubt)
      waiting.push_back(&p);
    else
      start(p);
  }
  std::stable_sort(waiting.begin(), waiting.end(), [](const Publishing* a, const Publishing* b) {
    return a->again_ms < b->again_ms;
  });
  for (Publishing* p : waiting)
    if (tried++ < kDoubtfulAtOnce) start(*p);
}

void Incarnation::publish_done(const std::string& stage, const Result<Published>& outcome,
                               Moment now) {
  const auto found = publishing_.find(stage);
  if (found == publishing_.end()) return;
  Publishing& p = found->second;
  p.under_way = false;
  if (!outcome) {
    p.pause_ms = std::min<int64_t>(std::max<int64_t>(p.pause_ms * 2, 200), 30'000);
    p.again_ms = now.mono_ms + p.pause_ms;
    trouble("publish " + stage, "cannot publish " + p.file.final_path + ": " +
                                    outcome.error().text +
                                    "; it is committed and tried again until it works");
    return start_publishing(now);
  }
  troubles_.erase("publish " + stage);
  if (*outcome == Published::before) {
    counts_.categories[p.file.category].lost += p.file.lines;
    actions_.push_back(LostFile{p.file, show_ranges(p.record->lanes, p.file.category)});
  } else {
    count_published(p.file);
  }
  log_.published(stage);
  publishing_.erase(found);
  start_publishing(now);
}

std::map<std::string, Incarnation::Waiting> Incarnation::waiting() const {
  std::map<std::string, Waiting> out;
  for (const auto& [lane, owned] : lanes_) {
    Waiting& of = out[lane.category];
    ++of.lanes;
    for (const auto& [key, row] : owned.rows)
      of.uncommitted += row.received.seq - row.committed.seq;
  }
  for (const auto& [stage, p] : publishing_) out[p.file.category].unpublished += p.file.lines;
  for (const auto& [name, files] : categories_) out[name].open_files += files.open_files();
  return out;
}

int64_t Incarnation::oldest_open_ms() const {
  int64_t oldest = INT64_MAX;
  for (const auto& [name, files] : categories_) oldest = std::min(oldest, files.oldest_ms());
  return oldest;
}

size_t Incarnation::open_files() const {
  size_t n = 0;
  for (const auto& [name, files] : categories_) n += files.open_files();
  return n;
}

}  // namespace tailrace
