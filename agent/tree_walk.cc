#include "agent/tree_walk.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <unordered_set>

#include "base/file.h"
#include "base/own_directory.h"

namespace tailrace {

namespace {
struct CloseDir {
  void operator()(DIR* d) const { ::closedir(d); }
};

class Walker {
 public:
  explicit Walker(const SourceRules& rules) : rules_(rules) {
    for (const std::string& dir : rules.never_below()) {
      struct stat st {};
      if (::stat(dir.c_str(), &st) == 0) never_.push_back({st.st_dev, st.st_ino});
    }
  }

  TreeWalk run() {
    for (const SourceRules::Pattern& p : rules_.patterns()) {
      pattern_ = &p;
      visit("/", p.glob.first(), 0);
    }
    std::sort(out_.directories.begin(), out_.directories.end());
    out_.directories.erase(std::unique(out_.directories.begin(), out_.directories.end()),
                           out_.directories.end());
    return std::move(out_);
  }

 private:
  static constexpr int kDeepest = 64;
  static constexpr const char* kLeadsHome =
      "it leads into a directory of Tailrace's own, which is never watched";

  // The same folder under another name (a bind mount, a link) is not watched either.
  bool never(const std::string& dir) const {
    if (rules_.never(dir)) return true;
    if (never_.empty()) return false;
    struct stat st {};
    if (::stat(dir.c_str(), &st) != 0) return false;
    for (const auto& [device, inode] : never_)
      if (device == st.st_dev && inode == st.st_ino) return true;
    return false;
  }

  void visit(const std::string& dir, Glob::Parts parts, int depth) {
    if (depth > kDeepest) return;
    if (never(dir) || is_own_directory(dir))
      return skip(dir, "it is a directory of Tailrace's own, which is never watched", false);
    std::vector<std::string> names;
    if (pattern_->glob.literal(parts, names)) {
      for (const std::string& name : names) entry(dir, name, parts, depth, true);
      return;
    }
    out_.directories.push_back(dir);
    const std::unique_ptr<DIR, CloseDir> d(::opendir(dir.c_str()));
    if (!d) {
      if (errno == ENOENT || errno == ENOTDIR) return;
      out_.complete = false;
      skip(dir, errno_error(errno, "listing the folder").text, true);
      return;
    }
    std::vector<std::string> listed;
    while (const dirent* e = ::readdir(d.get())) {
      const std::string_view name = e->d_name;
      if (name == "." || name == "..") continue;
      const Glob::Step step = pattern_->glob.step(parts, name);
      const bool maybe_folder =
          e->d_type == DT_DIR || e->d_type == DT_LNK || e->d_type == DT_UNKNOWN;
      if (step.matched || (step.next && maybe_folder)) listed.emplace_back(name);
    }
    for (const std::string& name : listed) entry(dir, name, parts, depth, false);
  }

  // `by_name`: the folder was not listed, so the name may not be there.
  void entry(const std::string& dir, const std::string& name, Glob::Parts parts, int depth,
             bool by_name) {
    const std::string path = path_in(dir, name);
    const Glob::Step step = pattern_->glob.step(parts, name);
    auto f = facts_at(path);
    if (by_name && (!f || step.matched)) out_.directories.push_back(dir);
    if (!f) return;
    bool folder = f->directory();
    if (f->symlink() && step.next && step.plain) folder = follow(dir, path, *f, by_name);
    if (folder && step.next) visit(path, step.next, depth + 1);
    if (step.matched && !f->directory() && !(f->symlink() && leads_to_folder(path))) file(path);
  }

  static bool leads_to_folder(const std::string& path) {
    struct stat to {};
    return ::stat(path.c_str(), &to) == 0 && S_ISDIR(to.st_mode);
  }

  // Whether a symlink leads to a folder that may be entered. Names that stand in the glob are
  // meant.
  bool follow(const std::string& dir, const std::string& path, const FileFacts& link,
              bool by_name) {
    struct stat to {};
    if (::stat(path.c_str(), &to) != 0 || !S_ISDIR(to.st_mode)) return false;
    char real[PATH_MAX];
    if (!::realpath(path.c_str(), real)) return false;
    if (rules_.never(real) || leads_into_own_directory(real)) {
      skip(path, kLeadsHome, false);
      return false;
    }
    if (by_name) return true;
    struct stat in {};
    if (::stat(dir.c_str(), &in) != 0) return false;
    const auto good = [&](uint32_t owner) { return owner == 0 || owner == to.st_uid; };
    if (good(link.owner) && good(in.st_uid)) return true;
    skip(path, "it is a symlink to a folder of another owner", true);
    return false;
  }

  void file(const std::string& path) {
    const auto source = rules_.source_of(path);
    if (source != pattern_->source || !seen_.insert(path).second) return;
    auto place = find_log(path);
    if (!place) {
      if (place.error().kind == Error::Kind::closed) return;
      skip(path, place.error().text, may_hold_lines(path));
      return;
    }
    if (place->linked && (rules_.never(place->target) || leads_into_own_directory(place->target)))
      return skip(path, kLeadsHome, false);
    out_.files.push_back({path, *source, std::move(*place)});
  }

  void skip(const std::string& path, std::string reason, bool unreadable) {
    out_.skipped.push_back({path, std::move(reason), unreadable});
  }

  const SourceRules& rules_;
  const SourceRules::Pattern* pattern_ = nullptr;
  std::vector<std::pair<dev_t, ino_t>> never_;
  std::unordered_set<std::string> seen_;
  TreeWalk out_;
};
}  // namespace

TreeWalk walk_sources(const SourceRules& rules) { return Walker(rules).run(); }

}  // namespace tailrace
