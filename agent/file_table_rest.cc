// Positions, and how a file ends: renamed, out of the globs, deleted.
#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/file_table.h"
#include "base/log.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr size_t kCloseAtOnce = 64;
constexpr int64_t kIdleMs = 5 * 60'000;

// The name under which an open file stands now; `otherwise` if it has none.
std::string name_of_open(int fd, const std::string& otherwise) {
  char text[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t n = ::readlink(link.c_str(), text, sizeof text);
  if (n <= 1 || text[0] != '/') return otherwise;
  return {text, static_cast<size_t>(n)};
}

// Finds a file by its identity: by handle, else among its neighbours. Its name goes to `path`.
// closed: it exists no more, or is not to be found; retry_later: we could not look.
Result<Fd> search(const std::string& identity, std::string& path) {
  const std::string folder = parent_path(path);
  auto fd = open_by_identity(identity, folder);
  if (fd) {
    path = name_of_open(fd->get(), path);
    return fd;
  }
  if (fd.error().kind == Error::Kind::closed) return fd;
  DIR* dir = ::opendir(folder.c_str());
  if (!dir && errno != ENOENT)
    return Error{Error::Kind::retry_later, "its folder cannot be listed"};
  if (!dir) return Error{Error::Kind::closed, "its folder is gone"};
  std::vector<std::string> names;
  while (const dirent* e = ::readdir(dir))
    if (e->d_type == DT_REG || e->d_type == DT_UNKNOWN) names.emplace_back(e->d_name);
  ::closedir(dir);
  for (const std::string& name : names) {
    const std::string at = folder == "/" ? "/" + name : folder + "/" + name;
    const auto who = identity_at(at);
    if (!who || *who != identity) continue;
    const auto place = find_log(at);
    if (!place) return Error{Error::Kind::closed, place.error().text};
    auto opened = open_log(*place);
    if (opened) path = at;
    return opened;
  }
  return Error{Error::Kind::closed, "it is not in its folder any more"};
}
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
  const AgentSource& source = sources_[file.source()];
  if (source.start_within_ms < 0 || file.size() == 0 || options_.once) return;
  if (now.wall_ms - file.facts().written_ms <= source.start_within_ms) return;
  FilePosition at;
  at.offset = file.end_of_lines();
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
  auto fd = search(record.identity, path);
  if (!fd && fd.error().kind == Error::Kind::retry_later) return;
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

void FileTable::failed(TailedFile& file, const Error& error, Clock now) {
  if (error.kind == Error::Kind::closed) {
    absent(std::string(file.path()), now);
    if (file.notes.in_glob) displaced(file, now);
  } else if (error.kind == Error::Kind::retry_later) {
    close_some();
    again_.push_back(&file);
  } else {
    note_unreadable(file.path(), error.text);
  }
}

void FileTable::drained(TailedFile& file) {
  if (!unreadable_.empty()) unreadable_.erase(file.path());
  if (!file.notes.listed) {
    file.notes.listed = true;
    open_.push_back(&file);
  }
  if (open_.size() > options_.most_open) close_some();
  if (!file.stopped()) return;
  file.notes.queued = true;
  categories_[category_of_[file.source()]].stopped.push_back(&file);
}

void FileTable::look_at_size(TailedFile& file) {
  if (file.is_open())
    (void)file.observe();
  else if (const auto place = find_log(file.path()); place && place->facts.same_inode(file.facts()))
    file.saw_size(place->facts.size);
}

void FileTable::enqueue(TailedFile& file, Clock now) {
  if (file.notes.queued) return;
  look_at_size(file);
  file.notes.queued = true;
  file.stop_at(UINT64_MAX);  // sort_out() knows
  file.notes.partial = false;
  file.notes.grew_ms = now.mono_ms;
  file.note_unread(now.wall_ms);
  categories_[category_of_[file.source()]].queue.push_back(&file);
}

void FileTable::sort_out(size_t i) {
  Category& c = categories_[i];
  const bool whole = session_.read_to(c.name, 0) == UINT64_MAX;
  if (whole && c.stopped.empty() && !c.partly) return;
  c.partly = !whole;
  c.queue.insert(c.queue.end(), c.stopped.begin(), c.stopped.end());
  c.stopped.clear();
  for (TailedFile* file : c.queue) file->stop_at(session_.read_to(c.name, file->id()));
  const auto rest = std::stable_partition(c.queue.begin(), c.queue.end(),
                                          [](const TailedFile* file) { return !file->stopped(); });
  c.stopped.assign(rest, c.queue.end());
  c.queue.erase(rest, c.queue.end());
}

// --- how files end

void FileTable::make_restless(TailedFile& file, Clock now) {
  file.notes.grew_ms = now.mono_ms;
  if (file.notes.restless) return;
  file.notes.restless = true;
  restless_.push_back(&file);
}

void FileTable::tick(Clock now) {
  std::vector<TailedFile*> again;
  again.swap(again_);
  for (TailedFile* file : again) enqueue(*file, now);
  if (placed_) {
    const std::vector<TailedFile*> restless = restless_;
    for (TailedFile* file : restless)
      if (settle(*file, now)) std::erase(restless_, file);
  }
  // Idle files give their descriptors back, oldest first, a few at a time.
  for (size_t i = 0; i < kCloseAtOnce && !open_.empty(); ++i) {
    TailedFile* file = open_.front();
    open_.pop_front();
    const bool idle = now.mono_ms - file->notes.grew_ms >= kIdleMs;
    if (idle && !file->notes.queued && !file->notes.restless && acked(*file)) {
      file->close();
      file->notes.listed = false;
    } else {
      open_.push_back(file);
    }
  }
}

void FileTable::close_some() {
  for (size_t i = 0; i < kCloseAtOnce && open_.size() > options_.most_open / 2; ++i) {
    TailedFile* file = open_.front();
    open_.pop_front();
    if (file->notes.queued || file->notes.restless || !acked(*file)) {
      open_.push_back(file);
    } else {
      file->close();
      file->notes.listed = false;
    }
  }
}

FileTable::Reach FileTable::reach(TailedFile& file, Clock now) {
  if (file.is_open()) return Reach::open;
  if (file.notes.in_glob) {
    const auto opened = file.open();
    if (opened) return Reach::open;
    if (opened.error().kind != Error::Kind::closed) return Reach::waiting;
    file.notes.in_glob = false;
  }
  std::string path = file.path();
  auto fd = search(file.identity(), path);
  if (fd) {
    file.adopt(std::move(*fd));
    return file.observe() ? Reach::open : Reach::waiting;
  }
  if (fd.error().kind == Error::Kind::retry_later) return Reach::waiting;
  // Its new name may just not have been looked at yet.
  const bool patient =
      !options_.once && !draining_ && now.mono_ms - file.notes.grew_ms < options_.lost_ms;
  return patient ? Reach::waiting : Reach::gone;
}

bool FileTable::settle(TailedFile& file, Clock now) {
  TailedFile::Notes& notes = file.notes;
  if (notes.queued) return false;
  switch (reach(file, now)) {
    case Reach::open: break;
    case Reach::waiting: return false;
    case Reach::gone: lose(file); return true;
  }
  const uint64_t before = file.size();
  (void)file.observe();
  if (file.size() != before || (file.unread() > 0 && !notes.partial)) {
    enqueue(file, now);
    return false;
  }
  const bool ending = draining_ && file.deleted();
  if (!ending && now.mono_ms - notes.grew_ms < options_.settle_ms && !file.nobody_writes())
    return false;
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
  const auto fd = search(record->identity, at);
  const auto facts = fd ? facts_of(fd->get()) : Result<FileFacts>(fd.error());
  if (facts && facts->links > 0 && at != path) {
    const FileId id = parked.id;
    parked_.erase(path);
    parked_[at] = {.id = id};
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
    parked_[path] = {.id = file.id()};
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

bool FileTable::all_read() const {
  if (!placed_ || scans_ == 0 || !again_.empty()) return false;
  for (const Category& c : categories_)
    if (!c.queue.empty() || !c.stopped.empty()) return false;
  if (!options_.once && !draining_) return true;
  for (const TailedFile* file : restless_)
    if (file->unread() > 0 && !file->notes.partial) return false;
  return true;
}

uint64_t FileTable::unread(size_t i, uint64_t enough) const {
  uint64_t n = 0;
  for (const auto* files : {&categories_[i].queue, &categories_[i].stopped})
    for (const TailedFile* file : *files)
      if ((n += file->unread()) >= enough) return n;
  return n;
}

int64_t FileTable::oldest_unread_ms() const {
  int64_t oldest = -1;
  for (const Category& c : categories_)
    for (const auto* files : {&c.queue, &c.stopped})
      for (const TailedFile* file : *files)
        if (file->notes.unread_ms >= 0 && (oldest < 0 || file->notes.unread_ms < oldest))
          oldest = file->notes.unread_ms;
  return oldest;
}

}  // namespace tailrace
