// The part of Incarnation that knows the other Centers: which lanes should be whose, and how one
// goes.
#include <algorithm>

#include "base/buggify.h"
#include "base/mutant.h"
#include "center/incarnation.h"

namespace tailrace {

namespace {
constexpr size_t kMostAddresses = 1'000;
constexpr int64_t kLookAgainMs = 5'000;
}  // namespace

// --- who is there --------------------------------------------------------------------------------

void Incarnation::roll_called(const RollCall& roll_call, Moment now) {
  if (roll_call.unknown()) return;
  counted_ = true;
  counted_ms_ = now.mono_ms;
  announced_ = roll_call.announced();
  over_ = roll_call.over();
  // Whoever finishes a log takes its announcement down: mine, if this incarnation is over.
  if (announced_.contains(me_.incarnation))
    missing_ = Missing::no;
  else if (missing_ == Missing::no)
    missing_ = Missing::found;
  for (const auto& [incarnation, said] : announced_)  // of a state directory the newest counts
    if (incarnation != me_.incarnation && said.state_uuid == me_.state_uuid)
      unfinished_logs_.try_emplace(incarnation, UnfinishedLog{now.mono_ms});
  place_centers();
  look_after_the_next(now);
  give_away_wishes();
}

// Each looks after the next one that is not over, and those between, so that who dies is noticed
// although nobody wants its lanes.
void Incarnation::look_after_the_next(Moment now) {
  if (mutant(Mutant::janitor_passes_sealed)) return;
  auto next = announced_.upper_bound(me_.incarnation);
  for (size_t n = announced_.size(); n > 0; --n, ++next) {
    if (next == announced_.end()) next = announced_.begin();
    if (next->first == me_.incarnation) return;
    unfinished_logs_.try_emplace(next->first, UnfinishedLog{now.mono_ms, true, true});
    if (!over_.contains(next->first)) return;
  }
}

// Among whom lanes are placed: those that are announced, but for who is over, and whom ZooKeeper
// knows to be gone or about to leave.
void Incarnation::place_centers() {
  center_says_.clear();
  for (const auto& [incarnation, said] : announced_) {
    if (said.state_uuid == me_.state_uuid || said.address.empty()) continue;
    if (over_.contains(incarnation)) continue;
    if (!me_.gone.contains(incarnation) && !leaving_.contains(said.state_uuid))
      center_says_[said.state_uuid] = &said;
  }
  centers_.assign(1, me_.state_uuid);
  addresses_.clear();
  if (!me_.address.empty()) addresses_.push_back(me_.address);
  for (const auto& [state_uuid, said] : center_says_) {
    centers_.push_back(state_uuid);
    if (addresses_.size() < kMostAddresses) addresses_.push_back(said->address);
  }
}

std::map<uint64_t, std::string> Incarnation::centers() const {
  if (!counted_ || now_.mono_ms - counted_ms_ >= 2 * me_.takeover_after_ms) return {};
  std::map<uint64_t, std::string> out{{me_.state_uuid, me_.address}};
  for (const auto& [state_uuid, said] : center_says_) out[state_uuid] = said->address;
  return out;
}

// Those that are another's by placement.
void Incarnation::give_away_wishes() {
  if (stopping_ != Stopping::no) return;
  wishes_.erase_if([this](const Lane& lane) {
    const Announcement* to = place_of(lane);
    if (!to || acquiring_.contains(lane)) return false;
    actions_.push_back(TellElsewhere{lane, to->address});
    troubles_.erase("lane " + lane_name(lane));
    return true;
  });
}

void Incarnation::presence(const Presence& presence, Moment now) {
  paused_ = presence.paused;
  std::set<uint64_t> leaving, staying;
  for (const Member& member : presence.members)
    (member.state == Member::State::draining ? leaving : staying).insert(member.state_uuid);
  for (const uint64_t state_uuid : staying) leaving.erase(state_uuid);
  next_roll_call_ms_ = std::min(next_roll_call_ms_, now.mono_ms);  // who came stands in the store
  if (leaving == leaving_ && presence.gone == me_.gone) return;
  leaving_ = std::move(leaving);
  me_.gone = presence.gone;
  place_centers();
  if (counted_) give_away_wishes();
}

// The Center that should own the lane; null: this one. One that nobody can reach owns what it is
// asked for.
const Announcement* Incarnation::place_of(const Lane& lane) const {
  if (!counted_ || me_.address.empty()) return nullptr;
  const auto other = center_says_.find(center_of(lane, centers_));
  return other == center_says_.end() ? nullptr : other->second;
}

std::optional<TellElsewhere> Incarnation::elsewhere(const std::string& category,
                                                    const StreamKey& stream) const {
  if (owner_of(category, stream, nullptr)) return std::nullopt;
  const Lane lane = lane_now(category, stream);
  const Announcement* to = place_of(lane);
  if (!to) return std::nullopt;
  return TellElsewhere{lane, to->address};
}

// --- how a lane goes -----------------------------------------------------------------------------

// Not at once: who came may go again, and who seems to be gone may come back.
void Incarnation::move_lanes(Moment now) {
  if (unsure_) return;
  for (auto& [lane, owned] : lanes_) {
    if (owned.leaving == Leaving::no) {
      const bool for_nothing = buggify(Rare::lane_given_back);
      if (!place_of(lane) && !for_nothing) {
        owned.misplaced_ms = -1;
        continue;
      }
      if (owned.misplaced_ms < 0) owned.misplaced_ms = now.mono_ms;
      const bool due = for_nothing || now.mono_ms - owned.misplaced_ms >= me_.takeover_after_ms;
      const bool tables = reclaim_ && !reclaim_->folds();
      if (due && !paused_ && !tables && !log_.blocked(lane.category)) begin_release(lane, owned);
    }
    if (owned.leaving != Leaving::emptying) continue;
    const Category& files = category(lane.category);
    const bool open = files.holds_open(lane) && !mutant(Mutant::released_extents_left);
    const bool empty = !open && !files.holds_closing(lane) && !log_.holds(lane);
    const auto hasty = owned.splits ? Mutant::split_undecided : Mutant::release_undecided;
    const bool unaware = owned.splits && mutant(Mutant::split_received);
    const bool overtakes = mutant(Mutant::release_overtakes_final) &&
                           std::any_of(owned.rows.begin(), owned.rows.end(), [](const auto& row) {
                             return row.second.retiring && !(row.second.flags & kFinal);
                           });
    if (empty || mutant(hasty) || unaware || overtakes) end_lane(lane, owned);
  }
}

// No record carries it any more.
void Incarnation::end_lane(const Lane& lane, OwnedLane& owned) {
  owned.leaving = Leaving::claiming;
  LaneClaim last = committed_of(lane, owned.epoch + 1);
  last.kind = owned.splits ? LaneClaim::Kind::split : LaneClaim::Kind::none;
  last.address.clear();
  if (mutant(owned.splits ? Mutant::split_received : Mutant::release_received))
    for (TableRow& row : last.table) {
      const Position at = owned.rows[row.key].received;
      row.seq = at.seq;
      row.chain = at.chain;
    }
  ++releasing_;
  run(std::make_shared<Release>(me_, std::move(last), owned.table));
}

// What is worth a file, or cannot be sent again, is committed first; the rest the Locals send to
// the new owner.
void Incarnation::begin_release(const Lane& lane, OwnedLane& owned) {
  owned.leaving = Leaving::emptying;
  Category& files = category(lane.category);
  const bool absent = files.holds_other_than(connected_, owned.tag);
  if (absent && mutant(Mutant::only_absent_members_kept)) files.forget(lane, connected_);
  if (files.largest_bytes() * 2 >= roll_bytes(lane.category) ||
      (absent && !mutant(Mutant::absent_extents_cut)))
    return close(files, INT64_MAX);
  if (!mutant(Mutant::released_extents_left)) drop(files.drop(lane, owned.tag));
}

// The category has just closed by size: of its lanes those that stay loud end here, and no file is
// made for it.
void Incarnation::split_loud(const std::string& name, Moment now) {
  if (paused_) return;
  const Category& files = category(name);
  const SplitPolicy policy = options_.split.of(options_.formats(name));
  for (auto it = lanes_.lower_bound(Lane{name, 0, 0});
       it != lanes_.end() && it->first.category == name; ++it) {
    auto& [lane, owned] = *it;
    if (owned.leaving != Leaving::no || lane.parts == kMostParts) continue;
    const bool spreads = centers_.size() > 1 && !me_.address.empty();
    if (!owned.loudness.loud(policy, now.mono_ms) || !spreads || reclaim_ || files.holds_open(lane))
      continue;
    owned.leaving = Leaving::emptying;
    owned.splits = true;
  }
}

void Incarnation::released(const Release& release) {
  if (!release.released()) return fail("whose a lane is that was given away is not known");
  lanes_.erase(release.lane());
  if (release.split()) return was_split(release.lane());
  // Nobody's: whoever was to have it may have gone meanwhile. What was sent since then was dropped.
  if (const Announcement* to = place_of(release.lane()))
    actions_.push_back(TellElsewhere{release.lane(), to->address});
  else
    actions_.push_back(TellReleased{release.lane()});
}

// Never owned again, by nobody.
void Incarnation::was_split(const Lane& lane) {
  wishes_.erase(lane);
  troubles_.erase("lane " + lane_name(lane));
  look_again_ms_.erase(lane);
  if (split_.insert(lane).second) actions_.push_back(TellSplit{lane});
}

// Another's by placement. If it was split and this Center has not heard of that, the Center whose
// it was and this one would send its Locals to each other for ever.
void Incarnation::look_at(const Lane& lane, Moment now) {
  if (lane.parts == kMostParts || acquiring_.contains(lane) || stopping_ != Stopping::no) return;
  int64_t& again_ms = look_again_ms_.try_emplace(lane, now.mono_ms).first->second;
  if (now.mono_ms < again_ms || acquiring_.size() >= options_.acquires) return;
  again_ms = now.mono_ms + kLookAgainMs;
  acquire(lane, now, true);
}

// The log is sealed: whoever wants them may have them at once.
void Incarnation::give_up_lanes() {
  std::vector<uint64_t> others = centers_;
  std::erase(others, me_.state_uuid);
  for (const auto& [lane, owned] : lanes_)
    if (!others.empty())
      actions_.push_back(TellElsewhere{lane, center_says_.at(center_of(lane, others))->address});
  lanes_.clear();
}

}  // namespace tailrace
