#include "agent/file_search.h"

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "agent/file_identity.h"
#include "agent/open_log.h"

namespace tailrace {

namespace {
constexpr int kMostLinks = 8;
constexpr int kMostSteps = 64;

// What a symlink says; empty for all else.
std::string link_text(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t n = ::readlink(path.c_str(), text, sizeof text);
  return n <= 0 ? std::string() : std::string(text, static_cast<size_t>(n));
}

// One symlink on; empty if it is none.
std::string led_on(const std::string& path) {
  const std::string text = link_text(path);
  return text.empty() || text[0] == '/' ? text : path_in(parent_path(path), text);
}

// Where `path` leads, also if nothing stands there: a target that was moved away leaves its link.
std::string led_to(std::string path) {
  for (int links = 0; links < kMostLinks; ++links) {
    std::string next = led_on(path);
    if (next.empty()) break;
    path = std::move(next);
  }
  return path;
}

// The folder or, where none stands, the nearest one above: by it one knows which disk is there.
std::string nearest(std::string folder) {
  for (int steps = 0; steps < kMostSteps && ::access(folder.c_str(), F_OK) != 0; ++steps) {
    std::string next = led_on(folder);
    folder = next.empty() ? parent_path(folder) : std::move(next);
  }
  return folder;
}

// A rotation renames within a folder, and behind a symlink that is the target's.
std::vector<std::string> folders_of(const std::string& path, const std::string& target) {
  std::vector<std::string> folders = {parent_path(path)};
  for (const std::string& at : {led_to(path), target}) {
    if (at.empty()) continue;
    const std::string folder = parent_path(at);
    if (std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  }
  return folders;
}

Result<Fd> search_in(const std::string& folder, const std::string& identity, std::string& path) {
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
    const std::string at = path_in(folder, name);
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

std::string name_of_open(int fd, const std::string& otherwise) {
  const std::string text = link_text("/proc/self/fd/" + std::to_string(fd));
  return text.size() > 1 && text[0] == '/' ? text : otherwise;
}

Result<Fd> search_file(const std::string& identity, std::string& path, const std::string& target) {
  Error none{Error::Kind::closed, "another filesystem stands there"};
  bool mounted = false;
  for (const std::string& folder : folders_of(path, target)) {
    const auto here = on_filesystem(identity, nearest(folder));
    if (!here || !*here) continue;
    mounted = true;
    auto fd = search_in(folder, identity, path);
    if (fd) return fd;
    // "Not here" counts only if it is said of all its folders.
    if (none.kind == Error::Kind::closed) none = fd.error();
  }
  // A disk that is not mounted says nothing about its files. But if the file stands under its name
  // and only its disk's number is new, the old number will not come back.
  if (mounted) return none;
  const auto now = identity_at(led_to(path));
  if (now && same_but_filesystem(*now, identity)) return none;
  return Error{Error::Kind::retry_later,
               "another filesystem stands where it was; is its disk mounted?"};
}

}  // namespace tailrace
