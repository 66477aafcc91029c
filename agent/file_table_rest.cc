// Positions, and how a file ends: renamed, out of the globs, deleted.
#include <algorithm>
#include <utility>

#include "agent/file_search.h"
#include "agent/file_table.h"
#include "base/log.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr int64_t kAskAgainMs = 5 * 60'000;  // who writes to a file that is closed
}  // namespace

// --- positions

void FileTable::place_all(Clock now) {
  placed_ = true;
  for (const auto& [identity, file] : files_) {
    if (options_.first_start) start_late(*file, now);
    place(*file, now);
  }
  std::vector<FileId> known;
  for (const auto& [id, record] : session_.state().files) known.push_back(id);
  std::sort(known.begin(), known.end());
  for (const FileId id : known)
    if (const FileRecord* record = session_.state().file(id))
      find_missing(FileRecord(*record), now);
}

// What stood in a file before the agent ever came is not wanted: it is known as read, up to its
// last whole line.
void FileTable::start_late(TailedFile& file, Clock now) {
  // The Local has been told of it: the agent did come, it was its journal that went.
  if (session_.state().file_of(file.identity())) return;
  const AgentSource& source = sources_[file.source()];
  if (source.start_within_ms < 0 || file.size() == 0 || options_.once) return;
  if (now.wall_ms - file.facts().written_ms <= source.start_within_ms) return;
  FilePosition at;
  const auto end = file.end_of_lines();
  at.offset = end ? *end : file.size();  // not to be read yet: old all the same
  file.close();                          // there may be more old files than descriptors
  if (at.offset == 0) return;
  (void)session_.define_file(file.identity(), file.path(), file.generation(), source.category, at);
}

void FileTable::place(TailedFile& file, Clock now) {
  const FileRecord* record = session_.state().file_of(file.identity());
  if (record && session_.leaving(record->id)) {
    file.place({}, 0, record->generation + 1);
  } else if (record) {
    const FileRecord r = *record;
    file.place(r.acked, r.id, r.generation);
    const StreamRecord* stream = session_.state().stream(r.stream);
    const std::string& category = categories_[category_of_[file.source()]].name;
    if (stream && stream->category != category) session_.wait_with(category);
    if (r.parked) parked_.erase(r.path);
    session_.moved(r.id, file.path(), false);
    if (r.path != file.path()) make_restless(file, now);
  }
  // What is known is checked at once: a first read proves that the bytes before it still stand
  // there.
  if (file.size() > 0 || file.position().offset > 0) enqueue(file, now);
}

void FileTable::place_again(FileId id, Clock now) {
  const FileRecord* record = session_.state().file(id);
  if (!placed_ || !record) return;
  const FileRecord r = *record;
  std::erase_if(parked_, [id](const auto& parked) { return parked.second.id == id; });
  const auto known = files_.find(r.identity);
  if (known == files_.end()) return find_missing(r, now);
  TailedFile& file = *known->second;
  if (file.id() != id) return;  // another generation stands there: these bytes are no more
  file.place(r.acked, r.id, r.generation);
  enqueue(file, now);
}

// A file that the journal knows and no glob found.
void FileTable::find_missing(const FileRecord& record, Clock now) {
  if (files_.contains(record.identity) || session_.leaving(record.id)) return;
  if (session_.state().file_of(record.identity)->id != record.id) {
    session_.gone(record.id, record.acked.offset);  // an older generation: its bytes are no more
    return;
  }
  const StreamRecord* stream = session_.state().stream(record.stream);
  size_t source = 0;
  while (source < category_of_.size() &&
         !(stream && categories_[category_of_[source]].name == stream->category))
    ++source;
  if (source == category_of_.size()) return;  // its category is not collected any more
  const auto here = identity_at(record.path);
  if (!here && here.error().kind == Error::Kind::retry_later) return;
  const bool stands = here && *here == record.identity;
  if (record.parked && stands) {
    parked_[record.path] = {.id = record.id};
    return;
  }
  if (!record.parked && !record.rewound && (stands || !rules_.source_of(record.path)))
    return;  // nor is it meant any more
  std::string path = record.path;
  auto fd = search_file(record.identity, path);
  if (!fd && fd.error().kind == Error::Kind::retry_later) {
    missing_.insert(record.id);
    if (!record.parked) note_unreadable(record.path, fd.error().text);
    return;
  }
  if (!fd) {
    if (!record.parked) {
      log::warning(escape(record.path) +
                       " was deleted or moved while the agent did not run; what it got "
                       "after byte " +
                       std::to_string(record.acked.offset) + ", if anything, is lost",
                   {{"path", record.path}});
      session_.gap(record.id, record.acked.offset, UINT64_MAX, "deleted");
    }
    session_.gone(record.id, record.acked.offset);
    return;
  }
  if (record.parked) {
    parked_[path] = {.id = record.id};
    session_.moved(record.id, path, true);
    return;
  }
  LogPlace place;
  place.target = path;
  if (const auto facts = facts_of(fd->get())) place.facts = *facts;
  auto made = std::make_unique<TailedFile>(path, record.identity, place, source);
  TailedFile& file = *made;
  files_.emplace(record.identity, std::move(made));
  by_path_[path] = &file;
  ++seen_;
  file.adopt(std::move(*fd));
  file.place(record.acked, record.id, record.generation);
  file.notes.in_glob = false;
  if (options_.once) {
    file.limit_to(file.size());
    file.notes.ends = true;
  }
  make_restless(file, now);
  enqueue(file, now);
}

// A disk may have been mounted since.
void FileTable::find_missing_again(Clock now) {
  if (!placed_ || draining_ || options_.once) return;
  std::set<FileId> missing;
  missing.swap(missing_);
  for (const FileId id : missing)
    if (const FileRecord* record = session_.state().file(id))
      find_missing(FileRecord(*record), now);
}

FileId FileTable::id_of(TailedFile& file) {
  if (file.id() == 0)
    file.set_id(session_.define_file(file.identity(), file.path(), file.generation(),
                                     categories_[category_of_[file.source()]].name));
  return file.id();
}

void FileTable::changed(TailedFile& file, Clock now) {
  const uint64_t at = file.position().offset;
  const FileId id = id_of(file);
  log::warning(escape(file.path()) + " was truncated or written anew: what it had after byte " +
                   std::to_string(at) +
                   " and was not read, if anything, is lost; reading on from its start",
               {{"path", file.path()}});
  session_.gap(id, at, UINT64_MAX, "copytruncate");
  session_.gone(id, at);
  file.start_over();
  enqueue(file, now);
}

// --- how files end

void FileTable::make_restless(TailedFile& file, Clock now) {
  file.notes.grew_ms = now.mono_ms;
  if (file.notes.restless) return;
  file.notes.restless = true;
  file.notes.held_ms = -1;
  restless_.push_back(&file);
}

void FileTable::tick(Clock now) {
  std::vector<TailedFile*> again;
  again.swap(again_);
  for (TailedFile* file : again) {
    file->notes.again = false;
    enqueue(*file, now);
  }
  if (placed_) {
    const std::vector<TailedFile*> restless = restless_;
    for (TailedFile* file : restless)
      if (settle(*file, now)) std::erase(restless_, file);
  }
  close_idle(now);
}

FileTable::Reach FileTable::reach(TailedFile& file, Clock now) {
  const uint64_t missed = std::exchange(file.notes.missed, 0);
  if (file.is_open()) return Reach::open;
  if (file.notes.in_glob) {
    const auto opened = file.open();
    if (opened) return Reach::open;
    if (opened.error().kind != Error::Kind::closed) return Reach::waiting;
    file.notes.in_glob = false;
  }
  std::string path = file.path();
  auto fd = search_file(file.identity(), path, file.target());
  if (fd) {
    file.adopt(std::move(*fd));
    return file.observe() ? Reach::open : Reach::waiting;
  }
  if (fd.error().kind == Error::Kind::retry_later) {
    if (missed != scans_) note_unreadable(file.path(), fd.error().text);
    file.notes.missed = scans_;
    return Reach::waiting;
  }
  // Its new name may just not have been looked at yet.
  const bool patient =
      !options_.once && !draining_ && now.mono_ms - file.notes.grew_ms < options_.lost_ms;
  return patient ? Reach::waiting : Reach::gone;
}

bool FileTable::settle(TailedFile& file, Clock now) {
  TailedFile::Notes& notes = file.notes;
  if (notes.queued) return false;
  const uint64_t before = file.size();
  // It was closed although somebody has it open: who writes is asked again only now and then.
  bool stays = !file.is_open() && notes.in_glob && notes.held_ms >= 0 &&
               now.mono_ms - notes.held_ms < kAskAgainMs;
  if (!stays) {
    switch (reach(file, now)) {
      case Reach::open: break;
      case Reach::waiting: return false;
      case Reach::gone: lose(file); return true;
    }
    stays = may_grow(file, now);
    note_open(file);
  }
  look_at_size(file);  // after its writers: the last of them may have written just before it left
  if (file.size() != before || (file.unread() > 0 && !notes.partial)) {
    enqueue(file, now);
    return false;
  }
  if (stays) return false;
  if (notes.partial && !notes.ends) {
    end_now(file, now);
    return false;
  }
  if (notes.in_glob) {
    notes.restless = false;
    notes.ends = options_.once;
    return true;
  }
  if (!acked(file)) return false;
  finish(file);
  return true;
}

// Whether its end has to wait. That somebody has it open for writing is never outwaited.
bool FileTable::may_grow(TailedFile& file, Clock now) {
  if (draining_ && file.deleted()) return false;
  using Writers = TailedFile::Writers;
  TailedFile::Notes& notes = file.notes;
  const Writers writers = file.writers();
  notes.held_ms = writers == Writers::some ? now.mono_ms : -1;
  if (writers == Writers::not_told) return now.mono_ms - notes.grew_ms < options_.settle_ms;
  // It had ended, and was opened once more.
  if (writers == Writers::some && !options_.once && !draining_) notes.ends = false;
  return writers == Writers::some;
}

// Nobody will complete its last line.
void FileTable::end_now(TailedFile& file, Clock now) {
  const int64_t grew = file.notes.grew_ms;
  file.notes.ends = true;
  enqueue(file, now);
  file.notes.grew_ms = grew;
}

// It cannot be found any more, and was not open.
void FileTable::lose(TailedFile& file) {
  const uint64_t at = file.position().offset;
  if (file.size() > at) {
    log::warning(escape(file.path()) + " was deleted before it was read to its end: " +
                     show_size(file.size() - at) + " are lost",
                 {{"path", file.path()}});
    session_.gap(id_of(file), at, UINT64_MAX, "deleted");
  }
  if (file.id() != 0) session_.gone(file.id(), at);
  remove(file);
}

// Nothing stands under its name any more. It is forgotten only once it cannot come back: a file
// that returns to the globs after that would be read a second time.
void FileTable::lost_parked(const std::string& path, Clock now) {
  Parked& parked = parked_[path];
  const FileRecord* record = session_.state().file(parked.id);
  if (!record) {
    parked_.erase(path);
    return;
  }
  std::string at = path;
  const auto fd = search_file(record->identity, at);
  const auto facts = fd ? facts_of(fd->get()) : Result<FileFacts>(fd.error());
  if (facts && facts->links > 0 && at != path) {
    const FileId id = parked.id;
    parked_.erase(path);
    parked_[at] = {.id = id, .facts = *facts};
    session_.moved(id, at, true);
    return;
  }
  if (facts ? facts->links > 0 : facts.error().kind == Error::Kind::retry_later) return;
  if (parked.lost_ms < 0) parked.lost_ms = now.mono_ms;
  if (now.mono_ms - parked.lost_ms < options_.lost_ms) return;
  session_.gone(record->id, record->acked.offset);
  parked_.erase(path);
}

// Read to its end, acked, and out of the globs.
void FileTable::finish(TailedFile& file) {
  if (file.id() != 0 && file.deleted()) {
    session_.gone(file.id(), file.position().offset);
  } else if (file.id() != 0) {
    const std::string path = name_of_open(file.descriptor(), file.path());
    session_.moved(file.id(), path, true);
    parked_[path] = {.id = file.id(), .facts = file.facts()};
  }
  remove(file);
}

void FileTable::remove(TailedFile& file) {
  const auto forget = [&](const std::string& path) {
    const auto it = by_path_.find(path);
    if (it != by_path_.end() && it->second == &file) by_path_.erase(it);
  };
  forget(file.path());
  for (const std::string& alias : file.notes.aliases) forget(alias);
  std::erase(open_, &file);
  std::erase(again_, &file);
  files_.erase(std::string(file.identity()));
}

bool FileTable::acked(const TailedFile& file) const {
  const FileRecord* record = session_.state().file(file.id());
  return !record || record->acked.offset >= file.position().offset;
}

// --- ends of all

void FileTable::drain(Clock now, bool ends) {
  draining_ = true;
  for (const auto& [identity, file] : files_) {
    const uint64_t before = file->size();
    look_at_size(*file);
    if (file->size() != before) file->notes.partial = false;
    file->limit_to(std::max(file->size(), file->position().offset));
    file->notes.ends = file->notes.ends || ends;
    if (!placed_) continue;
    if (file->unread() > 0 && (ends || !file->notes.partial)) enqueue(*file, now);
    // What is deleted can be read for as long as it is open: now.
    if (file->notes.partial && file->deleted()) end_now(*file, now);
  }
}

}  // namespace tailrace
