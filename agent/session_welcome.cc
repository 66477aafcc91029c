// The half of Session that judges a welcome: does what the Local says agree with what we remember?
#include <algorithm>

#include "agent/session.h"
#include "base/random.h"
#include "base/units.h"

namespace tailrace {

void Session::welcome(WelcomePart part) {
  if (phase_ != Phase::greeting) return;
  WelcomePart& all = greeting_;
  if (all.local_id != 0 && all.local_id != part.local_id)
    return hold("the Local changes its id within one welcome");
  all.local_id = part.local_id;
  std::move(part.streams.begin(), part.streams.end(), std::back_inserter(all.streams));
  std::move(part.files.begin(), part.files.end(), std::back_inserter(all.files));
  std::move(part.committed.begin(), part.committed.end(), std::back_inserter(all.committed));
  std::move(part.replaces.begin(), part.replaces.end(), std::back_inserter(all.replaces));
  if (!part.last) return;

  if (!judge_spool()) return;
  std::set<StreamId> known;
  for (const WelcomePart::Stream& s : all.streams) {
    if (!judge_stream(s)) return;
    known.insert(s.id);
  }
  for (const auto& [id, s] : state().streams)
    if (!known.contains(id) && !judge_stream({id, s.category, s.sub, 0})) return;
  for (auto& [id, lane] : lanes_)
    if (const StreamRecord* s = state().stream(id); s && !state().lost(*s)) lane.fresh = false;
  for (const WelcomePart::Stream& s : all.streams)
    if (!judge_sinks(s)) return;
  if (!judge_files()) return;
  judge_notices();
  begin();
  greeting_ = {};
}

// What the Local has of a stream against what the journal says it was given.
bool Session::judge_stream(const WelcomePart::Stream& theirs) {
  const StreamRecord* s = state().stream(theirs.id);
  if (theirs.category.empty()) {
    hold("the Local's spool is damaged: it has lost which category stream " +
         std::to_string(theirs.id) + " is" + (s ? " (" + s->category + ")" : "") + ", and keeps " +
         std::to_string(theirs.next_seq) +
         " lines of it. Read again some of them would be published twice: let the Local deliver "
         "what it can, then `tailrace spool reset` gives it a new spool");
    return false;
  }
  if (!s) {
    if (state().stream_of(theirs.category) && theirs.sub == 0) {
      hold("the Local knows category '" + escape(theirs.category) +
           "' under another number than this agent: its spool and the agent's state do not belong "
           "together");
      return false;
    }
    journal_.add_stream(theirs.category, theirs.sub, theirs.id);
    s = state().stream(theirs.id);
  }
  if (state().lost(*s)) {  // its numbers are another spool's
    if (!placed_) lanes_[theirs.id].base_seq = s->final_seq;
    return true;
  }
  const uint64_t next = theirs.next_seq;
  const auto refuse = [&](const std::string& why) {
    hold("the Local has the lines of " + name(theirs.id) + " below " + std::to_string(next) + ", " +
         why);
    return false;
  };
  if (s->category != theirs.category || s->sub != theirs.sub)
    return refuse("but calls it '" + escape(theirs.category) +
                  "': its spool and the agent's state do not belong together");
  if (next < s->acked_seq)
    return refuse("but had acked all below " + std::to_string(s->acked_seq) +
                  ": its spool was put back to an older state. Put the newer one back");
  Lane& lane = lanes_[theirs.id];
  const bool placed = placed_ && !lane.fresh;
  if (next > s->next_seq && placed)
    return refuse("but only those below " + std::to_string(s->next_seq) +
                  " were sent: another agent writes to this spool");
  bool at_end = next == s->acked_seq || next >= s->next_seq;
  for (const StreamRecord::OpenBatch& b : s->open) at_end = at_end || b.end_seq() == next;
  if (!at_end)
    return refuse("where no batch of the agent's journal ends: they do not belong together");

  if (next > s->acked_seq) {
    while (!lane.window.empty() && lane.window.front().batch->fields.end_seq() <= next) {
      lane.window_bytes -= lane.window.front().batch->bytes();
      lane.window.pop_front();
    }
    journal_.acked(theirs.id, next);
  }
  if (!placed && s->next_seq != next) journal_.strike(theirs.id, next);
  if (!placed) lane.base_seq = next;
  return true;
}

bool Session::judge_files() {
  const std::set<FileId> lost = files_of_lost();
  for (const WelcomePart::File& theirs : greeting_.files) {
    if (lost.contains(theirs.id)) continue;
    const FileRecord* mine = state().file(theirs.id);
    if (theirs.identity.empty()) {
      hold("the Local's spool is damaged: it has lost which log file number " +
           std::to_string(theirs.id) + (mine ? " is (" + escape(mine->path) + ")" : " is") +
           ". Read again its lines would be published twice: let the Local deliver what it has, "
           "then `tailrace spool reset` gives it a new spool");
      return false;
    }
    if (mine && (mine->identity != theirs.identity || mine->generation != theirs.generation)) {
      hold("the Local knows file " + std::to_string(theirs.id) + " as " + escape(theirs.path) +
           ", this agent as " + escape(mine->path) +
           ": its spool and the agent's state do not belong together");
      return false;
    }
    if (mine && theirs.next.offset < mine->acked.offset) {
      hold("the Local has " + escape(theirs.path) + " up to byte " +
           std::to_string(theirs.next.offset) + ", but had acked it up to " +
           std::to_string(mine->acked.offset) +
           ": its spool was put back to an older state. Put the newer one back");
      return false;
    }
    const bool same_place = mine && mine->acked.offset == theirs.next.offset;
    if (!same_place || (mine->acked != theirs.next && !theirs.next.unproven())) {
      FileRecord f = mine ? *mine : FileRecord{};
      f.id = theirs.id;
      f.identity = theirs.identity;
      f.generation = theirs.generation;
      f.acked = theirs.next;
      if (!mine) f.path = theirs.path;
      journal_.put_file(f);
    }
    journal_.set_told(theirs.id, true);
  }
  return true;
}

// Of a file that is gone, the last batches may have died with the process that had read them.
void Session::judge_notices() {
  std::vector<Notice> lost;
  std::vector<uint64_t> done;
  for (const auto& [number, n] : state().notices) {
    if (!n.gone) continue;
    const FileRecord* f = state().file(n.file);
    // It was never told, or the Local has forgotten it already.
    const bool over = !f || (!f->told && f->acked.offset >= n.start);
    if (over) done.push_back(number);
    if (!over && !placed_ && f->acked.offset < n.start) lost.push_back(n);
  }
  for (Notice& n : lost) give_up_rest(std::move(n));
  for (const uint64_t number : done) {
    const FileId file = state().notices.at(number).file;
    gone_.erase(file);
    journal_.erase_file(file);
    journal_.erase_notice(number);
  }
}

void Session::begin() {
  phase_ = Phase::live;
  placed_ = true;
  greet_again_ = false;
  held_.clear();
  for (const WelcomePart::Stream& s : greeting_.streams) {
    lanes_[s.id].told = !std::exchange(lanes_[s.id].untold, false);
    const StreamRecord& mine = *state().stream(s.id);
    for (const std::string& sink : s.waits)
      if (const auto at = mine.begins.find(sink); at != mine.begins.end())
        say_origin(s.id, sink, at->second);
  }
  for (auto& [id, lane] : lanes_)
    for (size_t i = 0; i < lane.window.size(); ++i)
      send(lane, lane.window[i], i + 1 == lane.window.size());
  // One may have been given up meanwhile, or the Local has forgotten one before that was on its
  // disk and will hear of it again; what others have is said again too.
  sinks_.clear();
  for (auto& [id, lane] : lanes_) lane.finals.clear();
  committed(greeting_.committed);
  send_notices();
  ask_retires();
  settle_ahead();
  if (flushing_ && phase_ == Phase::live) actions_.push_back({.kind = SessionAction::Kind::flush});
}

}  // namespace tailrace
