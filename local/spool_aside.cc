#include "local/spool_aside.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"

namespace tailrace {

namespace {
constexpr size_t kMostBytes = 1u << 20;

std::string path_of(const std::string& directory) { return directory + "/replaces"; }

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

std::string free_name(const std::string& directory) {
  const std::string name = directory + ".aside-" + std::to_string(wall_ms() / 1000);
  std::string free = name;
  for (int i = 1; exists(free); ++i) free = name + "-" + std::to_string(i);
  return free;
}

Result<void> rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(errno, "renaming " + from);
  return {};
}
}  // namespace

Result<std::string> set_spool_aside(const std::string& directory,
                                    const std::vector<uint64_t>& replaces) {
  const std::string next = directory + ".next";
  if (auto made = make_directories(next); !made) return made.error();
  std::string text;
  for (const uint64_t id : replaces) text += hex16(id) + "\n";
  if (auto kept = replace_file(path_of(next), text); !kept) return kept.error();
  const std::string aside = free_name(directory);
  if (auto renamed = rename(directory, aside); !renamed) return renamed.error();
  if (auto renamed = rename(next, directory); !renamed) return renamed.error();
  if (auto synced = sync_directory(parent_path(directory)); !synced) return synced.error();
  return aside;
}

Result<std::vector<uint64_t>> spool_replaces(const std::string& directory) {
  std::vector<uint64_t> ids;
  if (!exists(path_of(directory))) return ids;
  const auto text = read_file(path_of(directory), kMostBytes);
  if (!text) return text.error();
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    ids.push_back(parse_hex16(line));
    if (ids.back() == 0)
      return Error{Error::Kind::corrupt,
                   path_of(directory) + " is not what `tailrace spool reset` wrote; remove it"};
  }
  return ids;
}

}  // namespace tailrace
