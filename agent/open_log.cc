#include "agent/open_log.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace tailrace {

namespace {
constexpr int kMaxLinks = 8;

Error gone() { return Error{Error::Kind::closed, "there is no such file"}; }

// Who could have made a link lead somewhere: owners of links and of folders that links stand in.
using Owners = std::vector<uint32_t>;

// Resolves `path` from name to name, as the kernel does; `from`: the length of the part that is
// taken as it is, since whoever wrote the glob meant it.
Result<std::string> resolve(std::string path, size_t from, Owners& owners) {
  int links = 0;
  size_t at = from;
  while (at < path.size()) {
    const size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string head = path.substr(0, end);
    const auto f = facts_at(head);
    if (!f) return f.error();
    if (!f->symlink()) {
      at = end;
      continue;
    }
    if (++links > kMaxLinks)
      return Error{Error::Kind::rejected, "it leads through more than 8 symlinks"};
    const std::string folder = parent_path(head);
    const auto d = facts_at(folder);
    if (!d) return d.error();
    owners.push_back(f->owner);
    owners.push_back(d->owner);
    char text[PATH_MAX];
    const ssize_t n = ::readlink(head.c_str(), text, sizeof text);
    if (n < 0)
      return errno == ENOENT ? gone() : errno_error(errno, "readlink", Error::Kind::retry_later);
    std::string to(text, static_cast<size_t>(n));
    if (to.empty() || to.size() == sizeof text)
      return Error{Error::Kind::rejected, "its symlink is empty or too long"};
    const std::string rest = path.substr(end);
    path = (to[0] == '/' ? to : path_in(folder, to)) + rest;
    at = 0;
  }
  return path;
}

bool owned_by(const Owners& owners, uint32_t owner) {
  for (const uint32_t o : owners)
    if (o != 0 && o != owner) return false;
  return true;
}
}  // namespace

Result<LogPlace> find_log(const std::string& path) {
  LogPlace place;
  const auto f = facts_at(path);
  if (!f) return f.error();
  place.target = path;
  place.facts = *f;
  if (f->symlink()) {
    Owners owners;
    auto target = resolve(path, parent_path(path).size(), owners);
    if (!target) return target.error();
    const auto t = facts_at(*target);
    if (!t) return t.error();
    if (!owned_by(owners, t->owner))
      return Error{
          Error::Kind::rejected,
          "it is a symlink that belongs, or whose folder belongs, neither to root nor to the "
          "owner of what it points to"};
    place.target = std::move(*target);
    place.facts = *t;
    place.linked = true;
  }
  if (!place.facts.regular())
    return Error{Error::Kind::rejected,
                 "it is " + std::string(kind_of_file(place.facts.mode)) + ", not a regular file"};
  return place;
}

bool may_hold_lines(const std::string& path) {
  struct stat to {};
  if (::stat(path.c_str(), &to) != 0) return errno != ENOENT;
  return S_ISREG(to.st_mode);
}

Result<Fd> open_log(const LogPlace& place) {
  const int fd = ::open(place.target.c_str(),
                        O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NOATIME);
  Fd file(fd);
  if (fd < 0 && errno == EPERM)  // O_NOATIME is for the owner and root only
    file =
        Fd(::open(place.target.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
  if (!file.valid())
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? gone()
                                                                 : errno_error(errno, "open");
  const auto f = facts_of(file.get());
  if (!f) return f.error();
  if (!f->same_inode(place.facts)) return gone();
  // The links were allowed for the owner that the target had then; a plain name needs no leave.
  if (place.linked && f->owner != place.facts.owner) return gone();
  return file;
}

}  // namespace tailrace
