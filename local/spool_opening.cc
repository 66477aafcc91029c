#include "local/spool_opening.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/log.h"
#include "base/random.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr uint64_t kDiskPercent = 10;
constexpr uint64_t kLeastSegmentBytes = 1u << 20;
constexpr uint64_t kNoMatter = 1;  // an id for a spool that is new, which is never written
}  // namespace

Result<SpoolOptions> spool_options_on(const std::string& directory, uint64_t quota_bytes,
                                      uint64_t segment_bytes) {
  struct statvfs disk {};
  if (::statvfs(directory.c_str(), &disk) != 0)
    return errno_error(errno, "asking for the size of the disk of " + directory);
  const uint64_t total = uint64_t{disk.f_blocks} * disk.f_frsize;
  const uint64_t quota = std::min(quota_bytes, total / 100 * kDiskPercent);
  const uint64_t eighth = quota / 8 / kLeastSegmentBytes * kLeastSegmentBytes;
  SpoolOptions options;
  options.segment_bytes = std::min(segment_bytes, std::max(eighth, kLeastSegmentBytes));
  options.quota_bytes = std::max(quota, 4 * options.segment_bytes);
  return options;
}

Result<RecoveredSpool> recover_existing(SpoolDisk& disk, const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
    return Error{Error::Kind::closed, "there is no spool in " + directory};
  auto spool = recover_spool(disk, kNoMatter);
  if (!spool) return spool.error().within("the spool " + directory);
  return spool;
}

Result<void> forget_other_sinks(SpoolTables& tables, const std::vector<uint64_t>& sinks) {
  if (sinks.empty()) return {};
  std::map<uint64_t, uint64_t> owed;
  for (const auto& [key, at] : tables.cursors) {
    if (std::find(sinks.begin(), sinks.end(), key.first) != sinks.end()) continue;
    const auto stream = tables.streams.find(key.second);
    owed[key.first] += stream == tables.streams.end() ? 0 : stream->second.next.seq - at.seq;
  }
  for (const auto& [sink, stream] : tables.waits)
    if (std::find(sinks.begin(), sinks.end(), sink) == sinks.end()) owed.try_emplace(sink, 0);
  for (const auto& [sink, lines] : owed) {
    if (lines > 0)
      return Error{Error::Kind::rejected, "it holds lines for another output (sink " + hex16(sink) +
                                              ") which has not got them yet, " + show_count(lines) +
                                              " in all. Collect into that one once more, or use "
                                              "another state"};
    log::info("the spool's former output (sink " + hex16(sink) + ") has got all; it is forgotten");
  }
  for (const auto& [sink, lines] : owed) erase_sink(tables, sink);
  return {};
}

std::map<std::string, uint64_t> forget_sink(SpoolTables& tables, uint64_t sink) {
  std::map<std::string, uint64_t> owed;
  for (const auto& [key, at] : tables.cursors) {
    const auto stream = tables.streams.find(key.second);
    if (key.first != sink || stream == tables.streams.end()) continue;
    owed[stream->second.category] += stream->second.next.seq - at.seq;
  }
  erase_sink(tables, sink);
  return owed;
}

}  // namespace tailrace
