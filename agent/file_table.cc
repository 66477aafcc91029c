// Names: who stands under them, and what that means for the files that are followed.
#include "agent/file_table.h"

#include <algorithm>

#include "base/log.h"
#include "base/own_directory.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr size_t kMostUnreadable = 1000;
constexpr size_t kMostSaid = 10'000;

// Whether `file` still stands under `path`.
bool stands_at(const TailedFile& file, const std::string& path) {
  const auto place = find_log(path);
  return place && place->facts.same_inode(file.facts());
}
}  // namespace

FileTable::FileTable(const SourceRules& rules, const std::vector<AgentSource>& sources,
                     Session& session, FileTableOptions options)
    : rules_(rules), sources_(sources), session_(session), options_(options) {
  for (const AgentSource& source : sources) {
    const auto same = [&](const Category& c) { return c.name == source.category; };
    auto it = std::find_if(categories_.begin(), categories_.end(), same);
    category_of_.push_back(static_cast<size_t>(it - categories_.begin()));
    if (it == categories_.end()) categories_.push_back({source.category, source.codec, {}, {}});
  }
}

void FileTable::scanned(const TreeWalk& walk, Clock now) {
  ++scans_;
  unreadable_.clear();
  unreadable_more_ = 0;
  note_skipped(walk.skipped);
  for (const FoundFile& f : walk.files) found(f.path, f.source, f.place, true, now);
  // What the scan did not see may have come or gone while it went on: its name is looked at.
  std::vector<std::string> unseen;
  for (const auto& [identity, file] : files_)
    if (file->notes.in_glob && file->notes.scan != scans_) unseen.push_back(file->path());
  for (auto& [path, parked] : parked_)
    if (!still_parked(path, parked)) unseen.push_back(path);
  for (const std::string& path : unseen) look(path, now);
  find_missing_again(now);
}

// There may be very many, and each scan comes to all of them: here, too, a scan believes inode and
// birth time.
bool FileTable::still_parked(const std::string& path, Parked& parked) {
  if (parked.facts.inode == 0) return false;
  const auto place = find_log(path);
  if (!place || !place->facts.same_inode(parked.facts)) return false;
  parked.lost_ms = -1;
  return true;
}

void FileTable::look(const std::string& path, Clock now) {
  const auto place = find_log(path);
  if (!place) {
    // That we could not look says nothing about who stands there.
    if (place.error().kind != Error::Kind::retry_later) absent(path, now);
    if (place.error().kind != Error::Kind::closed && rules_.source_of(path) && may_hold_lines(path))
      note_unreadable(path, place.error().text);
    return;
  }
  if (place->linked && rules_.never(place->target)) return;
  if (const auto source = rules_.source_of(path))
    found(path, *source, *place, false, now);
  else
    follow_elsewhere(path, *place, now);
}

void FileTable::found(const std::string& path, size_t source, const LogPlace& place, bool from_scan,
                      Clock now) {
  const auto known = by_path_.find(path);
  TailedFile* old = known == by_path_.end() ? nullptr : known->second;
  // A scan believes inode and birth time; when something happened to a name, the handle is asked.
  if (old && from_scan && place.facts.same_inode(old->facts()))
    return seen_again(*old, path, place, now);
  auto identity = identity_at(place.target);
  if (!identity) return;
  const auto it = files_.find(*identity);
  TailedFile* file = it == files_.end() ? nullptr : it->second.get();
  if (old && old != file) {
    known->second = nullptr;
    by_path_.erase(known);
    if (old->path() == path)
      displaced(*old, now);
    else
      std::erase(old->notes.aliases, path);
  }
  if (!file) return add(path, std::move(*identity), place, source, now);
  if (file->path() == path || (old == file && stands_at(*file, file->path()))) {
    by_path_[path] = file;  // the name may have been gone in between
    return seen_again(*file, path, place, now);
  }
  if (file->notes.in_glob && stands_at(*file, file->path())) {
    // Another name of a file that is followed already: read once, for the source that found it
    // first.
    file->notes.aliases.push_back(path);
    by_path_[path] = file;
    return seen_again(*file, path, place, now);
  }
  rename(*file, path, place, now);
}

void FileTable::add(const std::string& path, std::string identity, const LogPlace& place,
                    size_t source, Clock now) {
  if (draining_ || (options_.once && scans_ > 1)) return;
  // What was watched before it got its mark.
  if (leads_into_own_directory(place.target)) return;
  auto made = std::make_unique<TailedFile>(path, identity, place, source);
  TailedFile& file = *made;
  files_.emplace(std::move(identity), std::move(made));
  by_path_[path] = &file;
  ++seen_;
  file.notes.scan = scans_;
  file.notes.grew_ms = now.mono_ms;
  if (options_.once) {
    file.limit_to(file.size());
    file.notes.ends = true;
  }
  if (place.linked) new_targets_.push_back({place.target, path});
  if (placed_) this->place(file, now);
}

void FileTable::seen_again(TailedFile& file, const std::string& path, const LogPlace& place,
                           Clock now) {
  file.notes.scan = scans_;
  if (file.path() == path) file.stands_in(place);
  if (!file.notes.in_glob) {
    file.notes.in_glob = true;
    session_.moved(file.id(), file.path(), false);
  }
  if (file.notes.queued || !placed_) return;
  const uint64_t size = place.facts.size;
  if (size == file.size() && (size == file.position().offset || file.notes.partial)) return;
  enqueue(file, now);
}

void FileTable::rename(TailedFile& file, const std::string& path, const LogPlace& place,
                       Clock now) {
  const auto old = by_path_.find(file.path());
  if (old != by_path_.end() && old->second == &file) by_path_.erase(old);
  file.renamed(path, place);
  file.notes.in_glob = rules_.source_of(path).has_value();
  file.notes.scan = scans_;
  by_path_[path] = &file;
  // Out of the globs the journal keeps the name that is meant: a restart seeks what had it, and
  // knows what nobody means any more.
  if (file.notes.in_glob) session_.moved(file.id(), path, false);
  make_restless(file, now);
}

// A name that no glob means: a file that is being followed may have got it.
void FileTable::follow_elsewhere(const std::string& path, const LogPlace& place, Clock now) {
  if (restless_.empty() && parked_.empty()) {
    // Its old name is looked at in a moment; then it is restless, and the scan brings this again.
    bool may_be_ours = false;
    for (const TailedFile* f : open_)
      may_be_ours = may_be_ours || f->facts().same_inode(place.facts);
    if (!may_be_ours) return;
  }
  const auto identity = identity_at(place.target);
  if (!identity) return;
  const auto it = files_.find(*identity);
  if (it != files_.end()) {
    TailedFile& file = *it->second;
    if (file.path() != path && !stands_at(file, file.path())) rename(file, path, place, now);
    return;
  }
  const FileRecord* record = session_.state().file_of(*identity);
  if (!record || !record->parked || session_.leaving(record->id)) return;
  parked_.erase(record->path);
  parked_[path] = {.id = record->id, .facts = place.facts};
  session_.moved(record->id, path, true);
}

void FileTable::absent(const std::string& path, Clock now) {
  if (parked_.contains(path)) return lost_parked(std::string(path), now);
  const auto it = by_path_.find(path);
  if (it == by_path_.end()) return;
  TailedFile& file = *it->second;
  by_path_.erase(it);
  if (file.path() == path)
    displaced(file, now);
  else
    std::erase(file.notes.aliases, path);
}

// Its name is gone, or somebody else's now.
void FileTable::displaced(TailedFile& file, Clock now) {
  for (const std::string& alias : file.notes.aliases) {
    const auto place = find_log(alias);
    if (!place || !place->facts.same_inode(file.facts())) continue;
    const std::string path = alias;
    std::erase(file.notes.aliases, path);
    return rename(file, path, *place, now);
  }
  file.notes.in_glob = false;
  make_restless(file, now);
}

void FileTable::written(std::string_view path, Clock now) {
  const auto it = by_path_.find(path);
  if (it == by_path_.end() || it->second->notes.queued || !placed_) return;
  enqueue(*it->second, now);
}

void FileTable::written_somewhere(Clock now) {
  if (!placed_) return;
  for (TailedFile* file : open_)
    if (!file->notes.queued) enqueue(*file, now);
}

void FileTable::note_unreadable(const std::string& path, const std::string& reason) {
  const bool known = unreadable_.contains(path);
  if (!known && unreadable_.size() >= kMostUnreadable) {
    ++unreadable_more_;
    return;
  }
  unreadable_[path] = reason;
  if (said_.size() < kMostSaid && said_.emplace(path, true).second)
    log::warning("cannot read " + escape(path) + ": " + reason, {{"path", path}});
}

void FileTable::note_skipped(const std::vector<SkippedFile>& skipped) {
  for (const SkippedFile& s : skipped) {
    if (s.unreadable)
      note_unreadable(s.path, s.reason);
    else if (said_.size() < kMostSaid && said_.emplace(s.path, true).second)
      log::info("skipping " + escape(s.path) + ": " + s.reason, {{"path", s.path}});
  }
}

}  // namespace tailrace
