// What waits to be read, and whose descriptors are given back.
#include <algorithm>
#include <utility>

#include "agent/file_table.h"

namespace tailrace {

namespace {
constexpr size_t kCloseAtOnce = 64;
constexpr int64_t kIdleMs = 5 * 60'000;
}  // namespace

// --- the queues

void FileTable::failed(TailedFile& file, const Error& error, Clock now) {
  if (error.kind == Error::Kind::closed) {
    absent(std::string(file.path()), now);
    if (file.notes.in_glob) displaced(file, now);
    return;
  }
  note_unreadable(file.path(), error.text);
  if (error.kind != Error::Kind::retry_later) return;
  close_some();
  if (!std::exchange(file.notes.again, true)) again_.push_back(&file);
}

void FileTable::drained(TailedFile& file) {
  if (!unreadable_.empty()) unreadable_.erase(file.path());
  note_open(file);
  if (!file.stopped()) return;
  file.notes.queued = true;
  categories_[category_of_[file.source()]].stopped.push_back(&file);
}

void FileTable::note_open(TailedFile& file) {
  if (!std::exchange(file.notes.listed, true)) open_.push_back(&file);
  if (open_.size() > options_.most_open) close_some();
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

// --- descriptors

// Idle files give their descriptors back, oldest first, a few at a time.
void FileTable::close_idle(Clock now) {
  for (size_t i = 0; i < kCloseAtOnce && !open_.empty(); ++i) {
    TailedFile* file = open_.front();
    open_.pop_front();
    const bool idle = now.mono_ms - file->notes.grew_ms >= kIdleMs;
    if (idle && may_close(*file)) {
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
    if (may_close(*file)) {
      file->close();
      file->notes.listed = false;
    } else {
      open_.push_back(file);
    }
  }
}

// What loses its name may not be found again; what is held under a name of the sources is, and
// would keep its descriptor for as long as its writer likes.
bool FileTable::may_close(const TailedFile& file) const {
  const TailedFile::Notes& notes = file.notes;
  const bool has_name = !notes.restless || (notes.in_glob && notes.held_ms >= 0);
  return has_name && !notes.queued && acked(file);
}

// --- what the reader asks

bool FileTable::all_read() const {
  if (!placed_ || scans_ == 0 || !again_.empty()) return false;
  for (const Category& c : categories_)
    if (!c.queue.empty() || !c.stopped.empty()) return false;
  if (!options_.once && !draining_) return true;
  for (const TailedFile* file : restless_)
    if (file->unread() > 0 && !file->notes.partial && file->notes.missed == 0) return false;
  return true;
}

uint64_t FileTable::readable(size_t i, uint64_t enough) const {
  uint64_t n = 0;
  for (const auto* files : {&categories_[i].queue, &categories_[i].stopped})
    for (const TailedFile* file : *files)
      if ((n += file->unread()) >= enough) return n;
  return n;
}

uint64_t FileTable::unread(size_t i) const {
  uint64_t n = readable(i);
  for (const TailedFile* file : again_)
    if (!file->notes.queued && category_of_[file->source()] == i) n += file->unread();
  return n;
}

int64_t FileTable::oldest_unread_ms() const {
  int64_t oldest = -1;
  const auto look = [&oldest](const auto& files) {
    for (const TailedFile* file : files)
      if (file->notes.unread_ms >= 0 && (oldest < 0 || file->notes.unread_ms < oldest))
        oldest = file->notes.unread_ms;
  };
  for (const Category& c : categories_) {
    look(c.queue);
    look(c.stopped);
  }
  look(again_);
  return oldest;
}

}  // namespace tailrace
