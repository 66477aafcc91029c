// The part of Incarnation that knows the other Centers: which lanes should be whose, and how one
// goes.
#include <algorithm>

#include "base/mutant.h"
#include "center/incarnation.h"

namespace tailrace {

namespace {
constexpr size_t kMostAddresses = 1'000;
}

// --- who is there --------------------------------------------------------------------------------

void Incarnation::roll_called(const RollCall& roll_call, Moment now) {
  if (roll_call.unknown()) return;
  counted_ = true;
  announced_ = roll_call.announced();
  // Whoever finishes a log takes its announcement down: mine, if this incarnation is over.
  if (announced_.contains(me_.incarnation))
    missing_ = Missing::no;
  else if (missing_ == Missing::no)
    missing_ = Missing::found;
  center_says_.clear();
  for (const auto& [incarnation, said] : announced_) {
    if (incarnation == me_.incarnation) continue;
    // Of a state directory the newest counts; one of my own is my dead predecessor.
    if (said.state_uuid == me_.state_uuid)
      unfinished_logs_.try_emplace(incarnation, UnfinishedLog{now.mono_ms});
    else if (!said.address.empty())
      center_says_[said.state_uuid] = &said;
  }
  centers_.assign(1, me_.state_uuid);
  addresses_.clear();
  if (!me_.address.empty()) addresses_.push_back(me_.address);
  for (const auto& [state_uuid, said] : center_says_) {
    centers_.push_back(state_uuid);
    if (addresses_.size() < kMostAddresses) addresses_.push_back(said->address);
  }
  // Each looks after the next one, so that who dies is noticed although nobody wants its lanes.
  auto next = announced_.upper_bound(me_.incarnation);
  if (next == announced_.end()) next = announced_.begin();
  if (next != announced_.end() && next->first != me_.incarnation &&
      !mutant(Mutant::janitor_passes_sealed))
    unfinished_logs_.try_emplace(next->first, UnfinishedLog{now.mono_ms, true, true});
  if (stopping_ != Stopping::no) return;
  for (auto wish = wishes_.begin(); wish != wishes_.end();) {
    const Announcement* to = place_of(wish->first);
    if (!to || acquiring_.contains(wish->first)) {
      ++wish;
      continue;
    }
    actions_.push_back(TellElsewhere{wish->first, to->address});
    wish = wishes_.erase(wish);
  }
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
  const Lane lane{category, 1, 0};
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
      if (!place_of(lane)) {
        owned.misplaced_ms = -1;
        continue;
      }
      if (owned.misplaced_ms < 0) owned.misplaced_ms = now.mono_ms;
      const bool due = now.mono_ms - owned.misplaced_ms >= me_.takeover_after_ms;
      if (due && !reclaim_ && !log_.blocked(lane.category)) begin_release(lane, owned);
    }
    if (owned.leaving != Leaving::emptying) continue;
    const Category& files = category(lane.category);
    const bool open = files.anything_open() && !mutant(Mutant::released_extents_left);
    const bool empty = !open && !files.anything_closing() && !log_.holds(lane);
    if (!empty && !mutant(Mutant::release_undecided)) continue;
    owned.leaving = Leaving::claiming;
    LaneClaim none = next_claim(lane);
    none.kind = LaneClaim::Kind::none;
    none.address.clear();
    if (mutant(Mutant::release_received))
      for (TableRow& row : none.table) {
        const Position at = owned.rows[row.key].received;
        row.seq = at.seq;
        row.chain = at.chain;
      }
    ++releasing_;
    run(std::make_shared<Release>(me_, std::move(none)));
  }
}

// What is worth a file, or cannot be sent again, is committed first; the rest the Locals send to
// the new owner.
void Incarnation::begin_release(const Lane& lane, OwnedLane& owned) {
  owned.leaving = Leaving::emptying;
  Category& files = category(lane.category);
  if (files.largest_bytes() * 2 >= options_.roll.bytes || files.holds_other_than(connected_))
    return close(files, INT64_MAX);
  if (mutant(Mutant::released_extents_left)) return;
  for (const OpenFileId id : files.abandon_open()) actions_.push_back(DropFile{id});
}

void Incarnation::released(const Release& release) {
  if (!release.released()) return fail("whose a lane is that was given away is not known");
  lanes_.erase(release.lane());
  // Nobody's: whoever was to have it may have gone meanwhile. What was sent since then was dropped.
  if (const Announcement* to = place_of(release.lane()))
    actions_.push_back(TellElsewhere{release.lane(), to->address});
  else
    actions_.push_back(TellReleased{release.lane()});
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
