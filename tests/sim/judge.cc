#include "tests/sim/judge.h"

#include <cstdlib>

#include "center/names.h"

namespace tailrace::sim {

std::string Judge::write(const std::string& source) {
  Source& s = sources_[source];
  ++written_;
  s.file_of.emplace_back();
  return source + " " + std::to_string(s.written++) + "\n";
}

void Judge::look(const testing::MemoryStore& store, const std::string& path) {
  if (files_.contains(path)) return;
  const auto bytes = store.bytes_of(path);
  if (!bytes) return;
  files_.insert(path);
  world_.say("reader", "sees " + path);
  std::map<std::string, uint64_t> last;  // by source: the line after the last one in this file
  for (size_t at = 0; at < bytes->size();) {
    const size_t end = bytes->find('\n', at);
    if (end == std::string::npos) return world_.violated(path + " does not end with a line's end");
    see(bytes->substr(at, end - at), path, last);
    at = end + 1;
  }
}

void Judge::see(const std::string& line, const std::string& path,
                std::map<std::string, uint64_t>& last) {
  const size_t space = line.rfind(' ');
  const auto source = sources_.find(line.substr(0, space));
  char* end = nullptr;
  const uint64_t n = space == std::string::npos ? 0 : std::strtoull(line.c_str() + space, &end, 10);
  if (source == sources_.end() || n >= source->second.written)
    return world_.violated("ALIEN '" + line + "' in " + path);
  if (n < last[source->first])
    world_.violated("ORDER: '" + line + "' stands behind a later line in " + path);
  last[source->first] = n + 1;
  std::string& where = source->second.file_of[n];
  if (!where.empty())
    return world_.violated("DOUBLE '" + line + "': in " + where + " and in " + path);
  where = path;
  ++seen_;
}

void Judge::look_at_all(const testing::MemoryStore& store) {
  for (const auto& [path, bytes] : store.content())
    if (parse_final_path(path) && !files_.contains(path))
      world_.violated("a published file that no publishing made: " + path);
  if (!complete())
    world_.violated("MISSING " + missing() + ", " + std::to_string(written_ - seen_) +
                    " lines in all");
}

std::string Judge::missing() const {
  for (const auto& [name, source] : sources_)
    for (uint64_t n = 0; n < source.written; ++n)
      if (source.file_of[n].empty()) return "'" + name + " " + std::to_string(n) + "'";
  return "";
}

}  // namespace tailrace::sim
