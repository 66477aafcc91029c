#include "tests/sim/judge.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "base/file.h"
#include "base/hash.h"
#include "center/names.h"
#include "sinks/format/sequence_file.h"

namespace tailrace::sim {

namespace {
// Its source, and which of its lines it is.
std::pair<std::string, uint64_t> place_of(const std::string& line) {
  const size_t space = line.rfind(' ');
  if (space == std::string::npos) return {line, UINT64_MAX};
  return {line.substr(0, space), std::strtoull(line.c_str() + space, nullptr, 10)};
}
}  // namespace

std::string Judge::write(const std::string& source) {
  Source& s = sources_[source];
  ++written_;
  s.file_of.emplace_back();
  s.excused.push_back(false);
  return source + " " + std::to_string(s.written++) + "\n";
}

namespace {
// What readers get of a published file.
Result<std::string> inflated(const std::string& path, const std::string& bytes) {
  const auto name = parse_final_path(path);
  if (!name) return Error{Error::Kind::corrupt, "no name of ours"};
  std::string lines;
  const auto inflater = make_file_reader(path, name->codec);
  if (auto r = inflater->feed(bytes, lines); !r) return r.error();
  if (auto r = inflater->finish(); !r) return r.error();
  return lines;
}
}  // namespace

void Judge::look(const testing::MemoryStore& store, const std::string& path) {
  if (files_.contains(path)) return;
  const auto bytes = store.bytes_of(path);
  if (!bytes) return;
  Seen& seen = files_[path];
  hashes_[path] = xxh3(*bytes);
  world_.say("reader", "sees " + path);
  if (const auto before = gone_.find(path);
      before != gone_.end() && before->second != hashes_[path])
    world_.violated(path + " is another file than the one that was seen before a power cut");
  const auto lines = inflated(path, *bytes);
  if (!lines) return world_.violated(path + ": " + lines.error().text);
  for (size_t at = 0; at < lines->size();) {
    const size_t end = lines->find('\n', at);
    if (end == std::string::npos) return world_.violated(path + " does not end with a line's end");
    see(lines->substr(at, end - at), path, seen);
    at = end + 1;
  }
}

void Judge::read(const std::string& partition, const std::string& lines) {
  Seen& seen = topics_[partition];
  for (size_t at = 0; at < lines.size();) {
    const size_t end = lines.find('\n', at);
    see(lines.substr(at, end - at), partition, seen);
    at = end + 1;
  }
}

void Judge::see(const std::string& line, const std::string& path, Seen& seen) {
  const auto [name, n] = place_of(line);
  const auto source = sources_.find(name);
  if (source == sources_.end() || n >= source->second.written)
    return world_.violated("ALIEN '" + line + "' in " + path);
  Lines& lines = seen.try_emplace(source->first, Lines{n, 0}).first->second;
  if (n < lines.end) world_.violated("ORDER: '" + line + "' stands behind a later line in " + path);
  lines.end = n + 1;
  std::string& where = source->second.file_of[n];
  if (!where.empty())
    return world_.violated("DOUBLE '" + line + "': in " + where + " and in " + path);
  where = path;
  ++seen_;
  if (source->second.excused[n]) --excused_;
}

void Judge::look_again(const testing::MemoryStore& store) {
  for (auto file = files_.begin(); file != files_.end();) {
    const auto& [path, seen] = *file;
    if (store.bytes_of(path) || taken_.contains(path)) {
      ++file;
      continue;
    }
    world_.say("reader", "lost sight of " + path);
    for (const auto& [name, lines] : seen) {
      Source& source = sources_.at(name);
      for (uint64_t n = lines.first; n < lines.end; ++n) {
        if (source.file_of[n] != path) continue;
        source.file_of[n].clear();
        --seen_;
        if (source.excused[n]) ++excused_;
      }
    }
    gone_[path] = hashes_[path];
    file = files_.erase(file);
  }
}

// --- what need not be seen, and what must --------------------------------------------------------

void Judge::excuse(Source& source, uint64_t line) {
  if (source.excused[line]) return;
  source.excused[line] = true;
  if (source.file_of[line].empty()) ++excused_;
}

void Judge::excuse_line(const std::string& line) {
  const auto [name, n] = place_of(line);
  excuse(sources_.at(name), n);
}

void Judge::lost(const std::string& path, const std::string& bytes) {
  const auto lines = inflated(path, bytes);
  if (!lines) return world_.violated(path + ", taken away: " + lines.error().text);
  for (size_t at = 0; at < lines->size();) {
    const size_t end = lines->find('\n', at);
    const std::string line = lines->substr(at, end - at);
    at = end + 1;
    if (!lost_.insert(line).second) continue;
    excuse_line(line);
  }
}

void Judge::excuse_host(const std::string& host) {
  for (auto& [name, source] : sources_)
    if (name.starts_with(host + "/"))
      for (uint64_t n = 0; n < source.written; ++n) excuse(source, n);
}

void Judge::received(Session by, const std::string& lines) {
  auto& of = received_[by];
  for (size_t at = 0; at < lines.size();) {
    const size_t end = lines.find('\n', at);
    const std::string line = lines.substr(at, end - at);
    of[line.substr(0, line.rfind('/'))].push_back(line);
    at = end + 1;
  }
}

void Judge::over(Session session) {
  received_.erase(session);
  debts_.erase(session);
}

void Judge::owes(Session by, const std::string& host, const std::string& category, uint64_t n) {
  const std::vector<std::string>& lines = received_[by][host + "/" + category];
  if (lines.size() < n)
    return world_.violated("a Center holds more of " + host + " than it was sent");
  std::vector<std::string>& debt = debts_[by];
  debt.insert(debt.end(), lines.end() - static_cast<std::ptrdiff_t>(n), lines.end());
}

void Judge::look_at_debts() {
  for (const auto& [session, debt] : debts_)
    for (const std::string& line : debt) {
      const auto [name, n] = place_of(line);
      if (sources_.at(name).file_of[n].empty() && !lost_.contains(line))
        world_.violated("I15: '" + line + "' of a host that died was received and not committed");
    }
}

// Of one directory's files by one incarnation, by entry and number.
void Judge::look_at_order() {
  using Place = std::tuple<std::string, std::string, uint64_t, uint32_t>;
  std::map<Place, const Seen*> in_order;
  for (const auto& [path, seen] : files_)
    if (const auto name = parse_final_path(path))
      in_order[{parent_path(path), name->incarnation, name->entry, name->k}] = &seen;
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> last;
  for (const auto& [place, seen] : in_order)
    for (const auto& [source, lines] : *seen) {
      uint64_t& end = last[{std::get<0>(place), std::get<1>(place), source}];
      if (lines.first < end)
        world_.violated("ORDER: lines of " + source + " stand in a later file of " +
                        std::get<0>(place) + " than those that follow them");
      end = lines.end;
    }
}

void Judge::look_at_all(const testing::MemoryStore& store) {
  // A publishing that came late, when nobody waited for it any more.
  for (const auto& [path, bytes] : store.content())
    if (parse_final_path(path)) look(store, path);
  look_at_order();
  look_at_debts();
  if (!complete())
    world_.violated("MISSING " + missing() + ", " + std::to_string(written_ - seen_ - excused_) +
                    " lines in all");
}

std::string Judge::missing() const {
  for (const auto& [name, source] : sources_)
    for (uint64_t n = 0; n < source.written; ++n)
      if (source.file_of[n].empty() && !source.excused[n])
        return "'" + name + " " + std::to_string(n) + "'";
  return "";
}

uint64_t Judge::missing(const std::string& host, const std::string& category) const {
  uint64_t lines = 0;
  for (const auto& [name, source] : sources_) {
    if (!name.starts_with(host + "/" + category + "/")) continue;
    for (uint64_t n = 0; n < source.written; ++n)
      lines += source.file_of[n].empty() && !lost_.contains(name + " " + std::to_string(n));
  }
  return lines;
}

}  // namespace tailrace::sim
