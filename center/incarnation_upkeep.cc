// The part of Incarnation that works on its own account: lanes wished for, other logs' rests,
// reclaiming, collecting, stopping.
#include <algorithm>

#include "base/buggify.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "base/units.h"
#include "center/incarnation.h"

namespace tailrace {

namespace {
constexpr int64_t kLostAgainMs = 500;
constexpr int64_t kBusyAgainMs = 2'000;
constexpr int64_t kFailedAgainMs = 10'000;
constexpr int64_t kProofMs = 30'000;  // without a commit
constexpr int64_t kProofAgainMs = 500;
constexpr int64_t kUnsureMs = 3'000;  // of whoever need not be
}  // namespace

void Incarnation::tick(Moment now) {
  now_ = now;
  if (fenced_ || !started_) return;
  start_roll_call(now);
  if (stopping_ != Stopping::no) return step_stop(now);
  roll(now);
  move_lanes(now);
  start_wishes(now);
  start_janitor(now);
  start_upkeep(now);
  look_whether_unsure(now);
  start_proof(now);
  start_publishing(now);
}

bool Incarnation::wish(const std::string& category, const StreamKey& stream, Moment now) {
  if (owner_of(category, stream, nullptr)) return true;
  if (!wished_.contains(category) && wished_.size() >= options_.most_categories) return false;
  wished_.insert(category);
  const Lane lane = lane_now(category, stream);
  if (lanes_.contains(lane)) return true;  // it leaves
  if (place_of(lane) && !buggify(Rare::wish_misplaced)) {
    look_at(lane, now);
    return true;
  }
  wishes_.add(lane, stream.local_id, std::max(now.mono_ms, not_before_ms_));
  if (started_) start_wishes(now);
  return true;
}

void Incarnation::start_wishes(Moment now) {
  if (fenced_ || stopping_ != Stopping::no || !counted_) return;
  while (acquiring_.size() < options_.acquires) {
    const auto lane =
        wishes_.next(now.mono_ms, [this](const Lane& l) { return acquiring_.contains(l); });
    if (!lane) return;
    acquire(*lane, now, false);
  }
}

void Incarnation::acquire(const Lane& lane, Moment now, bool only_look) {
  auto acquire = std::make_shared<Acquire>(
      me_, sealed_, lane, [this] { return log_.next_entry(); }, rng_.next(), now.wall_ms,
      only_look);
  acquiring_[lane] = acquire;
  run(std::move(acquire));
}

void Incarnation::procedure_done(const StoreProcedure& procedure, Moment now) {
  now_ = now;
  if (fenced_) return;
  if (&procedure == start_.get()) {
    if (!start_->started())
      return fail(start_->error() ? start_->error()->text : "its name was used before");
    started_ = true;
    start_.reset();
    tick(now);
  } else if (&procedure == janitor_.get()) {
    const auto janitor = std::exchange(janitor_, nullptr);
    janitor_done(*janitor, now);
  } else if (&procedure == reclaim_.get()) {
    const auto reclaim = std::exchange(reclaim_, nullptr);
    reclaimed(*reclaim, now);
  } else if (&procedure == collect_.get()) {
    collect_.reset();
  } else if (&procedure == roll_call_.get()) {
    const auto roll_call = std::exchange(roll_call_, nullptr);
    roll_called(*roll_call, now);
  } else if (&procedure == proof_.get()) {
    const auto proof = std::exchange(proof_, nullptr);
    proved(*proof, now);
  } else if (const auto* release = dynamic_cast<const Release*>(&procedure)) {
    --releasing_;
    released(*release);
  } else if (const auto* acquire = dynamic_cast<const Acquire*>(&procedure)) {
    const auto held = acquiring_.extract(acquire->lane());
    if (!held.empty()) acquired(*acquire, now);
  }
}

// --- whether it is over ------------------------------------------------------------------------

void Incarnation::doubt(const std::string& category, const StreamKey& stream) {
  if (fenced_ || !owner_of(category, stream, nullptr)) return;
  doubts_.emplace(category, stream);
}

// Also while it stops: whoever asks is told that it is not over yet.
void Incarnation::start_roll_call(Moment now) {
  if (roll_call_ || now.mono_ms < next_roll_call_ms_) return;
  next_roll_call_ms_ = now.mono_ms + me_.takeover_after_ms / 3;
  if (buggify(Rare::roll_call_late)) next_roll_call_ms_ += me_.takeover_after_ms;
  const bool announce = missing_ == Missing::unexplained && stopping_ == Stopping::no;
  roll_call_ =
      std::make_shared<RollCall>(me_, announced_, announce ? std::optional(mine_) : std::nullopt);
  run(roll_call_);
}

// Not while a record is under way: that one proves it, and what is read may be that one.
void Incarnation::start_proof(Moment now) {
  if (proof_ || log_.under_way() || now.mono_ms < next_proof_ms_) return;
  const bool old = !lanes_.empty() && (unsure_ || now.mono_ms - proved_ms_ >= kProofMs);
  if (!old && doubts_.empty() && missing_ != Missing::found) return;
  proof_ = std::make_shared<Proof>(me_.names.entry(me_.incarnation, log_.next_entry()),
                                   log_.next_entry());
  proving_ = std::exchange(doubts_, {});
  run(proof_);
}

// It may have been sealed meanwhile, and its Locals would wait for it in vain.
void Incarnation::look_whether_unsure(Moment now) {
  if (unsure_ || lanes_.empty() || mutant(Mutant::always_sure)) return;
  const bool late = now.mono_ms - proved_ms_ >= kProofMs + me_.takeover_after_ms;
  const bool early = !late && buggify(Rare::unsure_early);
  if (!late && !early) return;
  if (early) next_proof_ms_ = now.mono_ms + kUnsureMs;
  unsure_ = true;
  for (const auto& [lane, owned] : lanes_) actions_.push_back(TellReleased{lane});
  trouble("unsure", "the store has not answered for " + show_duration(now.mono_ms - proved_ms_) +
                        ": whether other Centers have taken the lanes of this one is not known, "
                        "its Locals are told to look elsewhere");
}

void Incarnation::proved(const Proof& proof, Moment now) {
  next_proof_ms_ = now.mono_ms + kProofAgainMs;
  const bool unclear = proof.unknown() ||
                       // What stands may be one's own, written meanwhile.
                       (proof.stands() && (log_.under_way() || proof.entry() != log_.next_entry()));
  if (unclear) return doubts_.merge(proving_);
  if (proof.stands()) return fail("another Center has sealed this one's commit log");
  proved_ms_ = now.mono_ms;
  if (missing_ == Missing::found) missing_ = Missing::unexplained;
  if (std::exchange(unsure_, false)) {
    troubles_.erase("unsure");
    for (const auto& [lane, owned] : lanes_) actions_.push_back(TellLane{lane});
    commit_next(now);
  }
  for (const auto& [category, stream] : std::exchange(proving_, {})) {
    if (doubts_.contains({category, stream})) continue;
    const auto known = standing(category, stream);
    if (known) actions_.push_back(TellCommitted{category, stream, known->committed});
  }
}

void Incarnation::acquired(const Acquire& acquire, Moment now) {
  const Lane& lane = acquire.lane();
  const std::string key = "lane " + lane_name(lane);
  const bool found = acquire.outcome() == Acquire::Outcome::split ||
                     acquire.outcome() == Acquire::Outcome::acquired;
  if (acquire.only_looks() && !found) return;
  if (acquire.outcome() != Acquire::Outcome::busy && !acquire.sealed_log().empty() &&
      !mutant(Mutant::janitor_passes_sealed))
    unfinished_logs_.try_emplace(acquire.sealed_log(), UnfinishedLog{now.mono_ms});
  switch (acquire.outcome()) {
    case Acquire::Outcome::acquired: break;
    case Acquire::Outcome::lost: wishes_.again(lane, now.mono_ms + kLostAgainMs); return;
    case Acquire::Outcome::busy:
      wishes_.again(lane, now.mono_ms + kBusyAgainMs);
      // It lives and has not given the lane away (yet), whatever I think of whose it should be.
      if (!acquire.owner_address().empty())
        actions_.push_back(TellElsewhere{lane, acquire.owner_address()});
      else
        trouble(key, "lane " + lane_name(lane) + " is held by " + acquire.sealed_log() +
                         ", which is alive and cannot be reached by Locals");
      return;
    case Acquire::Outcome::looked: return;
    case Acquire::Outcome::split: return was_split(lane);
    case Acquire::Outcome::failed:
      wishes_.again(lane, now.mono_ms + kFailedAgainMs);
      return trouble(key, "lane " + lane_name(lane) + " cannot be taken: " + acquire.error().text +
                              "; its lines wait in the spools");
  }
  troubles_.erase(key);
  wishes_.erase(lane);
  if (lanes_.empty()) proved_ms_ = std::max(proved_ms_, now.mono_ms - kProofMs);
  OwnedLane owned;
  owned.epoch = acquire.epoch();
  owned.tag = mutant(Mutant::extents_cut_by_lane) ? xxh3(lane_name(lane)) : next_tag_++;
  owned.loudness = Loudness(now.mono_ms);
  for (const auto& [stream, table] : acquire.table()) {
    const Position position{table.seq, table.chain};
    owned.rows[stream] = Row{position, position, table.flags};
  }
  lanes_[lane] = std::move(owned);
  actions_.push_back(TellLane{lane});
}

// --- the rests of others ------------------------------------------------------------------------

void Incarnation::start_janitor(Moment now) {
  if (janitor_) return;
  for (auto& [log, unfinished] : unfinished_logs_) {
    if (now.mono_ms < unfinished.again_ms) continue;
    if (stopping_ != Stopping::no && unfinished.neighbour) continue;
    unfinished.tried = true;
    janitor_ =
        std::make_shared<Janitor>(me_, sealed_, log, rng_.next(), now.wall_ms, unfinished.told);
    return run(janitor_);
  }
}

void Incarnation::janitor_done(const Janitor& janitor, Moment now) {
  const bool own = janitor.log() == me_.incarnation;  // counted when it was published
  for (const CommittedFile& file : janitor.published()) {
    if (own) break;
    count_published(file);
  }
  const bool tell = janitor.outcome() == Janitor::Outcome::gone;
  std::set<std::string> said;
  for (const FileRef& file : janitor.gone())
    if (tell && (!own || publishing_.contains(file.stage))) {
      actions_.push_back(GoneFile{file, janitor.log()});
      said.insert(file.stage);
    }
  if (tell && own) {  // said, so that it may be DONE
    janitor_ = std::make_shared<Janitor>(me_, sealed_, me_.incarnation, rng_.next(), now.wall_ms,
                                         std::nullopt);
    return run(janitor_);
  }
  const std::string key = "log " + janitor.log();
  if (janitor.outcome() == Janitor::Outcome::alive) {
    troubles_.erase(key);
    unfinished_logs_.erase(janitor.log());
  } else if (janitor.outcome() == Janitor::Outcome::done) {
    troubles_.erase(key);
    unfinished_logs_.erase(janitor.log());
  } else if (tell) {
    UnfinishedLog& log = unfinished_logs_[janitor.log()];
    log.again_ms = now.mono_ms;
    log.told.merge(said);
  } else {
    const bool failed = janitor.outcome() == Janitor::Outcome::failed;
    UnfinishedLog& log = unfinished_logs_[janitor.log()];
    log.again_ms = now.mono_ms + (failed ? 6 : 1) * kFailedAgainMs / 2;
    log.tried = true;
    log.neighbour = false;
    trouble(key, "the log " + janitor.log() + " is not finished: " + janitor.error().text);
  }
  if (stopping_ == Stopping::sweeping) {
    stopping_ = Stopping::ended;
    actions_.push_back(Stopped{});
  }
}

// --- upkeep of the own log

LaneClaim Incarnation::committed_of(const Lane& lane, uint64_t epoch) {
  const OwnedLane& owned = lanes_.at(lane);
  LaneClaim claim = me_.claim(LaneClaim::Kind::own, epoch, rng_.next());
  claim.lane = lane;
  // A commit under way is entry next_entry(): not in the table yet, so it starts there.
  claim.claim_entry = log_.next_entry();
  if (mutant(Mutant::claim_while_undecided) && log_.under_way()) ++claim.claim_entry;
  for (const auto& [stream, row] : owned.rows) {
    const Position at = mutant(Mutant::reclaim_received) ? row.received : row.committed;
    claim.table.push_back(TableRow{stream, at.seq, at.chain, row.flags});
  }
  return claim;
}

void Incarnation::start_upkeep(Moment now) {
  if (reclaim_ || collect_ || janitor_) return;
  const bool many = log_.next_entry() >= first_entry_ + options_.reclaim_entries;
  const bool old =
      now.mono_ms - last_reclaim_ms_ >= options_.reclaim_ms && log_.next_entry() > first_entry_;
  const bool moving = std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
    return lane.second.leaving != Leaving::no;
  });
  const bool early = log_.next_entry() > first_entry_ && buggify(Rare::reclaim_early);
  if ((many || old || early) && acquiring_.empty() && !moving) {
    Reclaim::Plan plan;
    for (const auto& [lane, owned] : lanes_) plan.lanes.emplace_back(lane, owned.table);
    plan.log_epoch = log_epoch_;
    plan.first_entry = first_entry_;
    reclaim_ = std::make_shared<Reclaim>(
        me_, std::move(plan),
        [this](const Lane& lane) { return committed_of(lane, lanes_.at(lane).epoch); },
        log_.next_entry() - 1, rng_.next());
    return run(reclaim_);
  }
  const bool due = std::any_of(unfinished_logs_.begin(), unfinished_logs_.end(),
                               [&](const auto& log) { return now.mono_ms >= log.second.again_ms; });
  if (now.mono_ms >= next_collect_ms_ && !due) {
    next_collect_ms_ = now.mono_ms + options_.collect_ms;
    collect_ = std::make_shared<Collect>(me_.names, rng_.next());
    run(collect_);
  }
}

void Incarnation::reclaimed(const Reclaim& reclaim, Moment now) {
  last_reclaim_ms_ = now.mono_ms;
  for (const auto& [lane, table] : reclaim.lanes())
    if (const auto owned = lanes_.find(lane); owned != lanes_.end()) owned->second.table = table;
  log_epoch_ = reclaim.log_epoch();
  first_entry_ = reclaim.first_entry();
  switch (reclaim.outcome()) {
    case Reclaim::Outcome::done: return;
    case Reclaim::Outcome::fenced: return fail("another Center has finished this one's log");
    case Reclaim::Outcome::failed:
      // A claim may stand whose answer was an error: which epoch is next is not known any more.
      return fail("reclaiming failed: " + reclaim.error().text);
  }
}

// Its own files only: what it stands for in the store the janitor of its log looks after.
std::shared_ptr<RemoveStaged> Incarnation::clear_up() const {
  std::vector<std::string> unnamed;
  for (const auto& [name, files] : categories_) files.list_unnamed(unnamed);
  log_.list_unnamed(unnamed);
  RemoveStaged::Undecided undecided;
  if (log_.under_way()) {
    undecided.entry = log_.next_entry();
    undecided.incarnation = me_.incarnation;
    undecided.name = me_.names.entry(me_.incarnation, undecided.entry);
    for (const CommittedFile& file : log_.attempt().files) undecided.staged.push_back(file.stage);
  }
  return std::make_shared<RemoveStaged>(unnamed, std::move(undecided));
}

// --- STOP ---------------------------------------------------------------------------------------

void Incarnation::stop(bool everything) {
  if (stopping_ != Stopping::no || fenced_) return;
  stopping_ = Stopping::draining;
  if (reclaim_) reclaim_->stop();
  if (collect_) collect_->stop();
  for (auto& [name, files] : categories_) {
    const bool worth = everything || files.largest_bytes() * 2 >= roll_bytes(name) ||
                       files.holds_other_than(connected_);
    if (worth) {
      close(files, INT64_MAX);
    } else {
      drop(files.abandon_open());
    }
  }
  step_stop(now_);
}

void Incarnation::step_stop(Moment now) {
  start_publishing(now);
  if (stopping_ == Stopping::draining) start_proof(now);  // a stop may take long
  if (stopping_ == Stopping::draining && !mutant(Mutant::unsure_never_stops)) commit_next(now);
  if (stopping_ == Stopping::draining && started_) start_janitor(now);
  if (stopping_ != Stopping::draining || !started_ || !counted_ || !log_.idle() ||
      !file_category_.empty())
    return;
  const bool publishing = std::any_of(publishing_.begin(), publishing_.end(),
                                      [](const auto& p) { return p.second.pause_ms == 0; });
  // What can't be published now stays listed in the last record: the next Center's janitor does it.
  const bool untried = std::any_of(unfinished_logs_.begin(), unfinished_logs_.end(),
                                   [](const auto& log) { return !log.second.tried; });
  const auto at_work = janitor_ ? unfinished_logs_.find(janitor_->log()) : unfinished_logs_.end();
  const bool finishing =
      janitor_ && (at_work == unfinished_logs_.end() || !at_work->second.neighbour);
  if (publishing || untried || !acquiring_.empty() || releasing_ > 0 || finishing || reclaim_ ||
      collect_)
    return;
  stopping_ = Stopping::sealing;
  CommitLog::Attempt fence = log_.seal(rng_.next(), now.wall_ms);
  actions_.push_back(CommitEntry{std::move(fence.name), std::move(fence.record)});
}

}  // namespace tailrace
