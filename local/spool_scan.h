// Reads a segment as a crash, or a failing disk, may have left it: which records are in it?
// A pure reader over segment images. Thread: any, one owner. Used once, at the start.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "local/spool_log.h"
#include "local/spool_record.h"

namespace tailrace {

// What recovery reads: a directory of segments (SpoolDisk), or images in a test's memory.
class SpoolImages {
 public:
  virtual ~SpoolImages() = default;
  // Every name in the directory, in any order.
  virtual Result<std::vector<SpoolFile>> files() = 0;
  // Replaces `out` by `n` bytes from `offset` on, fewer only at the file's end.
  virtual Result<void> read(const std::string& name, uint64_t offset, size_t n,
                            std::string& out) = 0;
};

struct ScannedRecord {
  RecordHeader header;
  uint64_t offset = 0;
};

// Bytes that are no records though they were synced as such.
struct ScanDamage {
  uint64_t offset = 0;
  uint64_t first_lsn = 0;  // of what stood there
  uint64_t end_lsn = 0;
};

class SegmentScan {
 public:
  struct Bounds {
    uint32_t seed = 0;               // record_seed()
    uint64_t first_lsn = 0;          // of the segment
    uint64_t synced_lsn = 0;         // what its header says was synced
    uint64_t stop_lsn = UINT64_MAX;  // the next segment begins with it
    bool reaches_stop = false;       // records stood here up to stop_lsn
  };
  SegmentScan(SpoolImages& images, SpoolFile file, Bounds bounds);

  // The intact records in order, by header and body; payloads are not looked at. A bad record ends
  // the segment (a torn tail, or simply its end) unless a later one proves that it was synced: then
  // it is damage, and the scan goes on behind it. An error is the disk's.
  Result<void> run(const std::function<void(const ScannedRecord&, std::string_view body)>& record);

  [[nodiscard]] const std::vector<ScanDamage>& damage() const { return damage_; }
  // The newest durable_lsn of the records.
  [[nodiscard]] uint64_t durable_lsn() const { return durable_lsn_; }
  // Behind the last record.
  [[nodiscard]] uint64_t end_lsn() const { return end_lsn_; }
  [[nodiscard]] uint64_t end_offset() const { return end_offset_; }
  // Intact records that were dropped behind a torn one.
  [[nodiscard]] bool dropped() const { return dropped_; }

  // The record at `offset` whose lsn lies in [least, most]; its body is in body().
  bool record_at(uint64_t offset, uint64_t least, uint64_t most, ScannedRecord& into);
  [[nodiscard]] std::string_view body() const { return body_; }
  [[nodiscard]] const Result<void>& disk() const { return disk_; }

 private:
  std::string_view bytes(uint64_t offset, size_t n);
  bool next_record(uint64_t offset, uint64_t least, ScannedRecord& into);
  bool last_record(uint64_t offset, uint64_t least, ScannedRecord& into);

  SpoolImages& images_;
  const SpoolFile file_;
  const Bounds bounds_;
  std::string window_;
  uint64_t window_at_ = 0;
  std::string_view body_;
  Result<void> disk_;

  std::vector<ScanDamage> damage_;
  uint64_t durable_lsn_ = 0;
  uint64_t end_lsn_ = 0;
  uint64_t end_offset_ = 0;
  bool dropped_ = false;
};

}  // namespace tailrace
