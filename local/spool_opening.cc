#include "local/spool_opening.h"

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
}  // namespace

Result<uint64_t> quota_on(const std::string& directory, uint64_t wanted) {
  struct statvfs disk {};
  if (::statvfs(directory.c_str(), &disk) != 0)
    return errno_error(errno, "asking for the size of the disk of " + directory);
  const uint64_t total = uint64_t{disk.f_blocks} * disk.f_frsize;
  return std::min(wanted, total / 100 * kDiskPercent);
}

uint64_t segment_bytes_for(uint64_t quota_bytes, uint64_t wanted) {
  const uint64_t eighth = quota_bytes / 8 / kLeastSegmentBytes * kLeastSegmentBytes;
  return std::min(wanted, std::max(eighth, kLeastSegmentBytes));
}

Result<void> forget_other_sinks(SpoolTables& tables, const std::vector<uint64_t>& sinks) {
  if (sinks.empty()) return {};
  std::map<uint64_t, uint64_t> owed;
  for (const auto& [key, at] : tables.cursors) {
    if (std::find(sinks.begin(), sinks.end(), key.first) != sinks.end()) continue;
    const auto stream = tables.streams.find(key.second);
    owed[key.first] += stream == tables.streams.end() ? 0 : stream->second.next.seq - at.seq;
  }
  for (const auto& [sink, lines] : owed) {
    if (lines > 0)
      return Error{Error::Kind::rejected, "it holds lines for another output (sink " + hex16(sink) +
                                              ") which has not got them yet, " + show_count(lines) +
                                              " in all. Collect into that one once more, or use "
                                              "another state"};
    log::info("the spool's former output (sink " + hex16(sink) + ") has got all; it is forgotten");
  }
  std::erase_if(tables.cursors, [&owed](const auto& c) { return owed.contains(c.first.first); });
  return {};
}

}  // namespace tailrace
