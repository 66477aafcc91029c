#include "local/spool_holes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "base/units.h"
#include "local/spool.h"
#include "local/spool_disk.h"
#include "local/spool_opening.h"
#include "local/spool_recovery.h"

namespace tailrace {

namespace {
constexpr const char* kHeading = "tailrace holes 1: sink, stream, where the store stands, chain\n";
constexpr size_t kMostBytes = 16u << 20;

std::string path_of(const std::string& directory) { return directory + "/holes"; }

Result<void> carry_out(Spool& spool, SpoolDisk& disk, const SpoolGroup& group) {
  auto done = disk.apply(group);
  if (done) spool.group_done(mono_ms());
  return done;
}
}  // namespace

Result<void> keep_spool_holes(const std::string& directory, const std::vector<SpoolHole>& holes) {
  const std::string path = path_of(directory);
  if (holes.empty()) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      return errno_error(errno, "removing " + path);
    return {};
  }
  std::string text = kHeading;
  for (const SpoolHole& hole : holes)
    text += hex16(hole.sink) + " " + std::to_string(hole.stream) + " " +
            std::to_string(hole.store.seq) + " " + hex16(hole.store.chain) + "\n";
  return replace_file(path, text);
}

Result<std::vector<SpoolHole>> spool_holes(const std::string& directory) {
  const std::string path = path_of(directory);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 && errno == ENOENT) return std::vector<SpoolHole>{};
  const auto text = read_file(path, kMostBytes);
  if (!text) return text.error();
  const Error damaged{Error::Kind::corrupt,
                      path +
                          " is not what a Local wrote. Remove it and start the Local: it "
                          "writes it anew"};
  std::istringstream lines(*text);
  std::string line;
  if (!std::getline(lines, line) || line + "\n" != kHeading) return damaged;
  std::vector<SpoolHole> holes;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string sink;
    std::string chain;
    SpoolHole hole;
    if (!(words >> sink >> hole.stream >> hole.store.seq >> chain)) return damaged;
    hole.sink = parse_hex16(sink);
    hole.store.chain = parse_hex16(chain);
    if (hole.sink == 0) return damaged;
    holes.push_back(hole);
  }
  return holes;
}

HoleVerdict adopt_hole(const SpoolHole& hole, RecoveredSpool& spool) {
  HoleVerdict out;
  SpoolTables& tables = spool.tables;
  const auto stream = tables.streams.find(hole.stream);
  const auto cursor = tables.cursors.find({hole.sink, hole.stream});
  if (stream == tables.streams.end() || cursor == tables.cursors.end()) {
    out.why_not = "this spool does not know that stream or sink any more";
    return out;
  }
  out.category = stream->second.category;
  const Position here = cursor->second;
  if (here.seq <= hole.store.seq) {
    out.why_not = "it is mended: the store stands where it should";
    return out;
  }
  out.lines = here.seq - hole.store.seq;
  for (const auto& [key, at] : tables.cursors)
    if (key.second == hole.stream && key.first != hole.sink && at.seq < here.seq) {
      out.why_not = "another sink still waits for those lines (" + show_count(here.seq - at.seq) +
                    "): start the Local, let it get them, then adopt";
      return out;
    }
  GapInfo gap;
  gap.stream = hole.stream;
  gap.first_seq = hole.store.seq;
  gap.count = out.lines;
  gap.chain_after = here.chain;
  gap.reason = "adopted";
  gap.sinks = {hole.sink};
  cursor->second = hole.store;
  stream->second.oldest = hole.store;
  std::erase_if(tables.gaps, [&](const auto& g) {
    return g.first.first == hole.stream && g.first.second >= hole.store.seq &&
           g.second.end_seq() <= here.seq;
  });
  tables.gaps.insert_or_assign(std::pair(hole.stream, hole.store.seq), std::move(gap));
  spool.tables_changed = true;
  return out;
}

Result<void> rewrite_spool(const std::string& directory, uint64_t quota_bytes,
                           RecoveredSpool recovered) {
  const auto options = spool_options_on(directory, quota_bytes, SpoolOptions().segment_bytes);
  if (!options) return options.error();
  SpoolDisk disk(directory);
  if (auto opened = disk.open(); !opened) return opened;
  // A Center with a half-open connection of the last life must know the next one by that number.
  const uint64_t start = recovered.tables.start;
  Spool spool(*options, std::move(recovered), start);
  while (!spool.all_durable())
    if (auto done = carry_out(spool, disk, spool.begin_group(mono_ms())); !done) return done;
  for (bool ended = false; !ended;) {
    const SpoolGroup group = spool.begin_shutdown(mono_ms());
    ended = group.last_lsn != 0;
    if (auto done = carry_out(spool, disk, group); !done) return done;
  }
  return {};
}

}  // namespace tailrace
