// The half of Session that knows what to do when another spool answers than the one before.
// docs/protocol.md, "A spool that is gone".
#include <algorithm>

#include "agent/session.h"
#include "base/mutant.h"
#include "base/random.h"
#include "base/units.h"

namespace tailrace {

namespace {
uint64_t not_final(const StreamRecord& s) { return s.next_seq - s.final_seq; }

// Those that stand above the line, but for those of which that is known anyway.
Checkpoint::Further further_than(const StreamRecord& s, uint64_t seq,
                                 const Checkpoint::Further& all) {
  Checkpoint::Further out;
  for (const auto& [sink, to] : all)
    if (to > seq && std::none_of(s.ahead.begin(), s.ahead.end(),
                                 [&sink = sink](const auto& a) { return a.sink == sink; }))
      out.emplace(sink, to);
  return out;
}
}  // namespace

bool Session::judge_spool() {
  const uint64_t mine = state().local_id;
  const uint64_t theirs = greeting_.local_id;
  if (theirs == 0) {
    hold("the Local does not say which spool it has");
    return false;
  }
  if (state().former.contains(theirs) && !mutant(Mutant::retired_id_used_again)) {
    hold("the Local has the spool " + hex16(theirs) +
         ", which was given up when another one answered: its lines were read again, or are final. "
         "`tailrace spool reset` sets it aside");
    return false;
  }
  const auto& replaces = greeting_.replaces;
  const bool reset = std::find(replaces.begin(), replaces.end(), mine) != replaces.end();
  if (mine != theirs && mine != 0 && loss_ == SpoolLoss::hold && !reset && !state().all_final()) {
    uint64_t lines = 0;
    for (const auto& [id, s] : state().streams) lines += not_final(s);
    hold("the Local has another spool (" + hex16(theirs) + ") than the one (" + hex16(mine) +
         ") that was given " + show_count(lines) +
         " lines which are not known to be published. Put the old spool back, or choose what "
         "becomes of them: on_spool_loss");
    return false;
  }
  if (mine != theirs) leave_spool(theirs);
  return settle_lost();
}

void Session::leave_spool(uint64_t theirs) {
  if (state().local_id != 0) ++losses_;
  for (auto& [id, lane] : lanes_) {
    const StreamRecord* s = state().stream(id);
    if (!s || state().lost(*s)) continue;
    lane.earlier += s->final_seq - std::min(s->final_seq, lane.base_seq);
    lane.base_seq = s->all_final() ? 0 : s->final_seq;
    lane.window.clear();
    lane.window_bytes = 0;
    lane.finals.clear();
    lane.fresh = true;
  }
  journal_.set_spool(theirs);
}

// False: holding.
bool Session::settle_lost() {
  std::vector<std::pair<StreamId, uint64_t>> lost;
  for (const auto& [id, s] : state().streams)
    if (state().lost(s)) lost.emplace_back(id, s.spool);
  const auto& replaces = greeting_.replaces;
  for (const auto& [id, spool] : lost) {
    const StreamRecord& s = *state().stream(id);
    const std::string what = show_count(not_final(s)) + " lines of " + name(id) +
                             " that were given to the spool " + hex16(spool);
    if (std::find(replaces.begin(), replaces.end(), spool) != replaces.end()) {
      if (!restart(id, s.final_seq, further_than(s, s.final_seq, s.begins),
                   what + ", which was reset, are read again"))
        return false;
    } else if (loss_ == SpoolLoss::resend) {
      if (!restart(id, s.final_seq, further_than(s, s.final_seq, s.begins),
                   what + ", which is gone, are read again: some may be PUBLISHED TWICE "
                          "(on_spool_loss: resend)"))
        return false;
    } else if (loss_ == SpoolLoss::drop) {
      alarms_.push_back("LOST: " + what +
                        ", which is gone, are given up unless they were published "
                        "(on_spool_loss: drop)");
      give_up(id);
    } else if (loss_ == SpoolLoss::hold) {
      hold(what + ", which is gone, are not known to be published (on_spool_loss: hold)");
      return false;
    } else {
      alarms_.push_back(what +
                        ", which is gone, are not known to be published: the Centers are asked "
                        "which are, the rest is read again (on_spool_loss: resume)");
    }
  }
  return true;
}

// What is not final is read again from the log files. False: holding, since that cannot be exact.
bool Session::restart(StreamId stream, uint64_t seq, const Checkpoint::Further& further,
                      const std::string& said) {
  const StreamRecord& s = *state().stream(stream);
  const std::string why = state().cannot_restart(s, seq, further);
  if (!why.empty()) {
    hold("the spool " + hex16(s.spool) + " is gone, and of " + name(stream) + " the lines below " +
         std::to_string(seq) + " are final, but " + why +
         ": what to read again is not known. Put the old spool back, or choose on_spool_loss: "
         "resend or drop");
    return false;
  }
  alarms_.push_back(said);
  uint64_t gone_lines = 0;
  std::set<FileId> files;
  size_t range = 0;
  for (const StreamRecord::OpenBatch& b : s.open)
    for (uint32_t i = 0; i < b.ranges; ++i, ++range) {
      const SourceRange& source = s.ranges[range];
      files.insert(source.file);
      if (b.first_seq < seq) continue;
      if (!state().file(source.file) || gone_.contains(source.file)) gone_lines += source.lines;
    }
  journal_.restart(stream, seq, further);
  Lane& lane = lanes_[stream];
  if (placed_) lane.earlier += seq - std::min(seq, lane.base_seq);
  lane.base_seq = 0;
  lane.fresh = true;
  moved_.insert(files.begin(), files.end());
  if (gone_lines > 0) {
    ++gaps_;
    alarms_.push_back("LOST " + show_count(gone_lines) + " lines of " + name(stream) +
                      ": their files were deleted, and the spool that had them is gone");
  }
  std::vector<Notice> notices;
  for (const auto& [number, n] : state().notices) {
    const FileRecord* f = state().file(n.file);
    if (n.gone && files.contains(n.file) && f && f->acked.offset < n.start) notices.push_back(n);
  }
  for (Notice& n : notices) give_up_rest(std::move(n));
  return true;
}

// All that is not final counts as gone; the files stay where they are.
void Session::give_up(StreamId stream) {
  const StreamRecord& s = *state().stream(stream);
  std::map<FileId, std::pair<uint64_t, uint64_t>> bytes;
  for (const SourceRange& range : s.ranges) {
    const auto [it, first] = bytes.try_emplace(range.file, range.start, range.end);
    if (!first) it->second.second = range.end;
  }
  for (const auto& [file, part] : bytes) {
    if (!state().file(file)) continue;
    ++gaps_;
    add_notice({.file = file, .start = part.first, .end = part.second, .reason = "spool lost"});
    moved_.insert(file);
  }
  journal_.restart(stream, s.next_seq);
  Lane& lane = lanes_[stream];
  lane.base_seq = 0;
  lane.fresh = true;
}

// Of a file that is gone, what was not acked is lost.
void Session::give_up_rest(Notice notice) {
  ++gaps_;
  const uint64_t acked = state().file(notice.file)->acked.offset;
  journal_.erase_notice(notice.number);
  add_notice({.file = notice.file, .start = acked, .end = notice.start, .reason = "deleted"});
  notice.start = acked;
  add_notice(std::move(notice));
}

// A sink that began in the middle of the stream and has committed nothing since does not know that
// it has what came before; one that is still ahead has all of it.
void Session::retired(uint64_t local_id, const std::string& category, uint8_t sub,
                      const Finals& finals) {
  if (phase_ != Phase::live) return;
  const StreamRecord* s = state().lost_stream(local_id, category, sub);
  if (!s) return;
  Checkpoint::Further all = finals.of;
  for (const StreamRecord::Ahead& ahead : s->ahead) all.erase(ahead.sink);
  uint64_t least = finals.of.empty() ? finals.least : s->next_seq;
  if (mutant(Mutant::away_gets_it_again))
    std::erase_if(all, [](const auto& final) { return final.second == Finals::kUnknown; });
  for (auto& [sink, to] : all) {
    if (to == Finals::kUnknown) to = s->next_seq;
    if (const auto begins = s->begins.find(sink);
        begins != s->begins.end() && !mutant(Mutant::begins_forgotten))
      to = std::max(to, begins->second);
    least = std::min(least, to);
  }
  if (mutant(Mutant::retired_at_fastest))
    for (const auto& [sink, to] : all) least = std::max(least, to);
  const Checkpoint::Further further =
      mutant(Mutant::ahead_forgotten) ? Checkpoint::Further{} : further_than(*s, least, all);
  std::string said = "of " + name(s->id) + " the lines below " + std::to_string(least) +
                     " of the spool " + hex16(local_id) + " are published; the " +
                     show_count(s->next_seq - std::min(least, s->next_seq)) +
                     " behind them are read again";
  for (const auto& [sink, to] : further) {
    const auto final = finals.of.find(sink);
    const bool away = final != finals.of.end() && final->second == Finals::kUnknown;
    said += "; sink " + sink +
            (away ? ", which is not required and away, gets NONE of them"
                  : " has the first " + show_count(to - least) + " of these already");
  }
  greet_again_ = restart(s->id, least, further, said) || greet_again_;
}

void Session::losses_durable(uint64_t losses) {
  if (losses <= durable_losses_) return;
  durable_losses_ = losses;
  ask_retires();
}

void Session::ask_retires() {
  if (phase_ != Phase::live || durable_losses_ < losses_ || loss_ != SpoolLoss::resume) return;
  for (const auto& [id, s] : state().streams)
    if (state().lost(s)) actions_.push_back({.kind = SessionAction::Kind::retire, .stream = id});
}

// Not before what the Local has of the streams that start over was heard.
std::set<FileId> Session::take_moved() {
  if (phase_ != Phase::live || greet_again_) return {};
  return std::exchange(moved_, {});
}

std::set<FileId> Session::files_of_lost() const {
  std::set<FileId> files;
  for (const auto& [id, s] : state().streams)
    if (state().lost(s))
      for (const SourceRange& range : s.ranges) files.insert(range.file);
  return files;
}

std::string Session::retiring() const {
  uint64_t lines = 0;
  for (const auto& [id, s] : state().streams)
    if (state().lost(s)) lines += not_final(s);
  if (lines == 0) return {};
  return "a spool of this host is gone, and the Centers have not said yet which of " +
         show_count(lines) + " lines in it are published";
}

}  // namespace tailrace
