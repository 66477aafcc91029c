#include "agent/tailed_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "flow/batch.h"

namespace tailrace {

namespace {
// There a lease is refused with EAGAIN also when nobody writes: NFS without a delegation, SMB
// without an oplock.
bool on_network(int fd) {
  struct statfs fs {};
  if (::fstatfs(fd, &fs) != 0) return true;
  switch (static_cast<uint32_t>(fs.f_type)) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC: return true;
    default: return false;
  }
}
}  // namespace

TailedFile::TailedFile(std::string path, std::string identity, LogPlace place, size_t source)
    : path_(std::move(path)),
      identity_(std::move(identity)),
      place_(std::move(place)),
      source_(source) {}

void TailedFile::renamed(std::string path, LogPlace place) {
  path_ = std::move(path);
  const uint64_t size = std::max(place_.facts.size, place.facts.size);
  place_ = std::move(place);
  place_.facts.size = size;
}

void TailedFile::place(FilePosition at, FileId id, uint32_t generation) {
  position_ = at;
  id_ = id;
  generation_ = generation;
}

void TailedFile::start_over() {
  position_ = {};
  stop_ = UINT64_MAX;
  id_ = 0;
  ++generation_;
  notes.partial = false;
  notes.unread_ms = notes.unread_next_ms = -1;
  if (limited()) limit_ = size();
}

Result<void> TailedFile::open() {
  if (fd_.valid()) return {};
  auto fd = open_log(place_);
  if (!fd) return fd.error();
  const auto who = identity_of(fd->get());
  if (!who) return who.error();
  if (*who != identity_) return Error{Error::Kind::closed, "another file stands under its name"};
  fd_ = std::move(*fd);
  return observe();
}

Result<void> TailedFile::observe() {
  const auto f = facts_of(fd_.get());
  if (!f) return f.error();
  place_.facts.size = f->size;
  place_.facts.links = f->links;
  return {};
}

uint64_t TailedFile::unread() const {
  const uint64_t end = std::min(size(), limit_);
  return end > position_.offset ? end - position_.offset : 0;
}

Result<uint64_t> TailedFile::end_of_lines() {
  constexpr uint64_t kReach = 4u << 20;  // more than a line may have
  if (auto r = open(); !r) return r.error();
  std::string piece(64u << 10, '\0');
  const uint64_t stop = size() > kReach ? size() - kReach : 0;
  for (uint64_t end = size(); end > stop;) {
    const uint64_t begin = end > piece.size() ? end - piece.size() : 0;
    const auto got = read_at(fd_.get(), piece.data(), end - begin, begin);
    if (!got) return got.error();
    const size_t newline = std::string_view(piece.data(), *got).rfind('\n');
    if (newline != std::string_view::npos) return begin + newline + 1;
    end = begin;
  }
  return 0;
}

TailedFile::Writers TailedFile::writers() const {
  if (!fd_.valid()) return Writers::not_told;
  // A read lease is given only while no process has the file open for writing. It is given back at
  // once; should somebody open the file just then, the notice is a signal that is ignored by
  // default.
  if (::fcntl(fd_.get(), F_SETSIG, SIGURG) != 0) return Writers::not_told;
  if (::fcntl(fd_.get(), F_SETLEASE, F_RDLCK) != 0)
    return errno == EAGAIN && !on_network(fd_.get()) ? Writers::some : Writers::not_told;
  (void)::fcntl(fd_.get(), F_SETLEASE, F_UNLCK);
  return Writers::none;
}

// Whether the first bytes, up to 1 KiB, are still those that were read.
Result<TailedFile::Proof> TailedFile::head_intact() {
  char head[kHeadHashBytes];
  const size_t n = std::min<size_t>(position_.offset, sizeof head);
  const auto got = read_at(fd_.get(), head, n, 0);
  if (!got) return got.error();
  const bool same = *got == n && source_hash({head, n}) == position_.head_hash;
  return same ? Proof::intact : Proof::other;
}

Result<TailedFile::Proof> TailedFile::prove() {
  char bytes[kHeadHashBytes];
  const size_t head = std::min<size_t>(position_.offset, kHeadHashBytes);
  const auto first = read_at(fd_.get(), bytes, head, 0);
  if (!first) return first.error();
  if (*first != head) return Proof::other;
  const uint32_t head_hash = source_hash({bytes, head});
  const size_t tail = std::min<size_t>(position_.offset, kTailHashBytes);
  const auto last = read_at(fd_.get(), bytes, tail, position_.offset - tail);
  if (!last) return last.error();
  if (*last != tail) return Proof::other;
  position_.head_hash = head_hash;
  position_.tail_hash = source_hash({bytes, tail});
  return Proof::intact;
}

TailedFile::Read TailedFile::read(char* into, size_t room) {
  Read r;
  const auto failed = [&r](std::string why) {
    r.kind = Read::Kind::failed;
    r.why = std::move(why);
    return r;
  };
  const uint64_t at = position_.offset;
  const uint64_t limit = std::min(limit_, stop_);
  room = at < limit ? static_cast<size_t>(std::min<uint64_t>(room, limit - at)) : 0;

  char tail[kTailHashBytes];
  const size_t before = std::min<size_t>(at, sizeof tail);
  if (before > 0) {
    const auto proof = position_.unproven() ? prove() : head_intact();
    if (!proof) return failed(proof.error().text);
    if (*proof == Proof::other) {
      r.kind = Read::Kind::changed;
      if (const auto seen = observe(); !seen) return failed(seen.error().text);
      return r;
    }
  }
  iovec parts[2] = {{tail, before}, {into, room}};
  ssize_t got = 0;
  do got = ::preadv(fd_.get(), parts, 2, static_cast<off_t>(at - before));
  while (got < 0 && errno == EINTR);
  if (got < 0) return failed(errno_error(errno, "read").text);
  if (const auto seen = observe(); !seen) return failed(seen.error().text);

  const auto bytes = static_cast<size_t>(got);
  size_t n = bytes > before ? bytes - before : 0;
  if (bytes < before || size() < at + n ||
      (before > 0 && source_hash({tail, before}) != position_.tail_hash)) {
    r.kind = Read::Kind::changed;
    return r;
  }
  // It has grown since, and there is room: without the rest of it, what was read would look like
  // all that there is room for.
  if (const size_t more = std::min<uint64_t>(room - n, size() - at - n); more > 0) {
    const auto rest = read_at(fd_.get(), into + n, more, at + n);
    if (!rest) return failed(rest.error().text);
    n += *rest;
  }
  r.n = n;
  r.at_end = n < room || at + n >= std::min(size(), limit);
  r.at_stop = at + n == stop_;
  r.after_newline = before == 0 || tail[before - 1] == '\n';
  return r;
}

Result<TailedFile::Proof> TailedFile::take(const char* bytes, size_t n) {
  if (n == 0) return Proof::intact;
  const uint64_t at = position_.offset;
  const uint64_t end = at + n;
  FilePosition next{end, position_.head_hash, 0};

  if (at < kHeadHashBytes) {
    char head[kHeadHashBytes];
    const size_t want = std::min<size_t>(end, sizeof head);
    const size_t old = std::min<size_t>(at, want);
    if (old > 0) {
      const auto got = read_at(fd_.get(), head, old, 0);
      if (!got) return got.error();
      if (*got != old || source_hash({head, old}) != position_.head_hash) return Proof::other;
    }
    std::memcpy(head + old, bytes, want - old);
    next.head_hash = source_hash({head, want});
  }

  char tail[kTailHashBytes];
  size_t kept = 0;
  if (n < sizeof tail) {
    kept = std::min<size_t>(at, sizeof tail - n);
    if (kept > 0) {
      const auto got = read_at(fd_.get(), tail, kept, at - kept);
      if (!got) return got.error();
      if (*got != kept) return Proof::other;
    }
  }
  const size_t fresh = std::min(n, sizeof tail);
  std::memcpy(tail + kept, bytes + n - fresh, fresh);
  next.tail_hash = source_hash({tail, kept + fresh});
  position_ = next;
  return Proof::intact;
}

void TailedFile::note_unread(int64_t wall_ms) {
  const uint64_t at = position_.offset;
  if (unread() == 0 || notes.partial) {
    notes.unread_ms = notes.unread_next_ms = -1;
    return;
  }
  if (notes.unread_ms >= 0 && at >= notes.unread_to) {
    // Only what came later is left.
    notes.unread_ms = notes.unread_next_ms;
    notes.unread_next_ms = -1;
    notes.unread_to = size();
  }
  if (notes.unread_ms < 0) {
    notes.unread_ms = wall_ms;
    notes.unread_to = size();
  } else if (size() > notes.unread_to && notes.unread_next_ms < 0) {
    notes.unread_next_ms = wall_ms;
  }
}

}  // namespace tailrace
