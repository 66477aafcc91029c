// Carries a spool's operations out on a real directory. All calls block: on the spool's worker, or
// before the road runs. Thread: one at a time; apply() and read() may run on different workers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "local/spool.h"
#include "local/spool_scan.h"

namespace tailrace {

class SpoolDisk final : public SpoolImages {
 public:
  // `leave_free_percent` and `leave_free_bytes`: what new segments leave free of the disk, the less
  // of the two; but two segments are always made if there is any room.
  explicit SpoolDisk(std::string directory, uint32_t leave_free_percent = 10,
                     uint64_t leave_free_bytes = 5ull << 30);

  // Makes the directory. rejected: it lies on a network's filesystem, or cannot be used.
  [[nodiscard]] Result<void> open();

  // All of the group's operations in order, up to the first error. retry_later: no room for a new
  // file, which is not there then. fatal: anything else; the process must end, and nothing of the
  // group may be taken as written.
  [[nodiscard]] Result<void> apply(const SpoolGroup& group);

  // A cold record, for Spool::decode_record. Opens the file anew: any thread.
  [[nodiscard]] Result<std::string> read_record(const Spool::Place& place) const;

  // Copies a batch, head and payload, to quarantine/<name>, durably. Returns the path.
  [[nodiscard]] Result<std::string> set_aside(const Spool::Place& place,
                                              const std::string& name) const;

  // SpoolImages
  Result<std::vector<SpoolFile>> files() override;
  Result<void> read(const std::string& name, uint64_t offset, size_t n, std::string& out) override;

 private:
  [[nodiscard]] Result<void> carry_out(const SpoolOp& op, const SpoolGroup& group);
  [[nodiscard]] Result<void> create(const SpoolOp& op);
  [[nodiscard]] Result<void> room_left(uint64_t bytes);
  [[nodiscard]] Result<void> write(const SpoolOp& op, const SpoolGroup& group);
  [[nodiscard]] Result<int> opened(const std::string& name);
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }

  const std::string directory_;
  const uint32_t leave_free_percent_;
  const uint64_t leave_free_bytes_;
  Fd open_;  // the file of the last operation, kept open: most groups go to the same one
  std::string open_name_;
};

}  // namespace tailrace
