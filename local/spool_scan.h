// Reads a segment as a crash, or a failing disk, may have left it: which of its records count?
// A pure reader over segment images. Thread: any, one owner. Used once, at the start.
#pragma once

#include <cstdint>
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
    uint64_t stop_lsn = UINT64_MAX;  // the next segment that is known begins with it
    bool reaches_stop = false;  // and it is the very next: records stood here up to there, synced
  };
  SegmentScan(SpoolImages& images, SpoolFile file, Bounds bounds);

  // Finds the records. A bad one ends the segment (a torn tail, or simply its end) unless a later
  // one proves that it was synced: then it is damage, and the scan goes on behind it. Payloads are
  // read only above what is proven to be synced; the decision depends on this segment's bytes
  // alone, so that it is the same at every later start. An error is the disk's.
  Result<void> run();

  [[nodiscard]] const std::vector<ScannedRecord>& records() const { return records_; }
  [[nodiscard]] const std::vector<ScanDamage>& damage() const { return damage_; }
  // What is proven to have been synced.
  [[nodiscard]] uint64_t synced_lsn() const { return synced_lsn_; }
  // Behind the last record.
  [[nodiscard]] uint64_t end_lsn() const { return end_lsn_; }
  [[nodiscard]] uint64_t end_offset() const { return end_offset_; }
  // Something was cut off that had been begun to be written.
  [[nodiscard]] bool torn() const { return torn_; }

  // A record's body: valid until the next call.
  [[nodiscard]] Result<std::string_view> body(const ScannedRecord& record);
  [[nodiscard]] Result<void> payload(const ScannedRecord& record, std::string& out);

 private:
  bool record_at(uint64_t offset, uint64_t least, uint64_t most, ScannedRecord& into);
  std::string_view bytes(uint64_t offset, size_t n);
  bool next_record(uint64_t offset, uint64_t least, ScannedRecord& into);
  bool last_record(uint64_t offset, uint64_t least, ScannedRecord& into);
  void find_records();
  Result<void> check_payloads();

  SpoolImages& images_;
  const SpoolFile file_;
  const Bounds bounds_;
  std::string window_;
  uint64_t window_at_ = 0;
  std::string_view body_;  // of the last record_at() that was true
  Result<void> disk_;

  std::vector<ScannedRecord> records_;
  std::vector<ScanDamage> damage_;
  uint64_t synced_lsn_;
  uint64_t end_lsn_;
  uint64_t end_offset_ = kSegmentHeaderBytes;
  bool torn_ = false;
};

}  // namespace tailrace
