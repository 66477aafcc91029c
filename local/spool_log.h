// The spool as files: where the next record goes, what a group of operations is, which files are
// spare. A pure machine below Spool; it knows segments and records, not what they mean.
// Thread: the road.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "local/spool.h"
#include "local/spool_record.h"

namespace tailrace {

struct SpoolFile {
  std::string name;
  uint64_t bytes = 0;
  bool operator==(const SpoolFile&) const = default;
};

struct SpoolSegment {
  // What it holds of one stream.
  struct Held {
    uint64_t end_seq = 0;
    uint64_t bytes = 0;
  };
  uint64_t era = 0;
  SpoolFile file;     // as it is called now; no name: it has yet to be made
  uint64_t used = 0;  // where the next record would go
  uint64_t first_lsn = 0;
  std::map<StreamId, Held> held;
};

// What recovery found on the disk, with no meaning attached.
struct RecoveredLog {
  uint64_t next_lsn = 1;
  uint64_t next_era = 1;
  uint64_t next_file = 1;              // number of the next spare's name
  std::vector<SpoolSegment> segments;  // by era
  std::vector<SpoolFile> spares;
  std::vector<SpoolFile> useless;  // to be removed: what a crash left half made
};

class SpoolLog {
 public:
  SpoolLog(const SpoolOptions& options, uint64_t local_id, RecoveredLog recovered);

  // --- records --------------------------------------------------------------------------------
  struct Place {
    uint64_t era = 0;
    uint64_t offset = 0;
    uint64_t bytes = 0;
    uint64_t lsn = 0;
  };
  // The first segment of this start, with room for all of the first group. It appears in the
  // directory complete or not at all, so that it may stand in for what is older.
  void open_first(uint64_t record_bytes);
  Place append(RecordType type, std::string_view body);
  // BATCH: the batch's own head and payload are written; `batch` must not change any more.
  Place append(BatchPtr batch);
  [[nodiscard]] bool room_for(uint64_t record_bytes) const;
  [[nodiscard]] uint64_t pending_bytes() const { return pending_bytes_; }
  [[nodiscard]] bool pending() const { return !pending_.empty(); }
  [[nodiscard]] uint64_t durable_lsn() const { return durable_lsn_; }

  // --- groups ---------------------------------------------------------------------------------
  [[nodiscard]] bool under_way() const { return under_way_ != UnderWay::nothing; }
  // Milliseconds until files are to be made or removed, before records can be written or so that
  // there is a spare one: 0 = now, more while it is waited for room on the disk, -1 = nothing to
  // do.
  [[nodiscard]] int64_t files_due_ms(int64_t now_ms) const;
  // Pending records lack a file: nothing can be written.
  [[nodiscard]] bool blocked() const;
  // There is a segment to go on in, or the quota has room for one.
  [[nodiscard]] bool may_grow() const {
    return !spares_.empty() || used_bytes_ + segment_bytes_ <= quota_bytes_;
  }
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  SpoolGroup begin(int64_t now_ms);
  void done();
  void failed(const Error& error, int64_t now_ms);
  void reuse(SpoolGroup group);

  // --- segments -------------------------------------------------------------------------------
  // Nothing in the segment is needed any more, and that is durable. Not the newest one.
  void release(uint64_t era);
  [[nodiscard]] const std::map<uint64_t, SpoolSegment>& segments() const { return segments_; }
  void hold(uint64_t era, StreamId stream, uint64_t end_seq, uint64_t bytes);
  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] uint64_t quota_bytes() const { return quota_bytes_; }

 private:
  enum class UnderWay { nothing, removing, making, writing };
  struct Pending {
    RecordHeader header;
    size_t at = 0;  // of the header in records_
    uint64_t era = 0;
    uint64_t offset = 0;
    const Batch* batch = nullptr;
    bool first = false;  // the segment's header stands before it
  };
  void open(uint64_t record_bytes);
  Place place(RecordType type, uint64_t body_len, uint64_t payload_len, const Batch* batch);
  [[nodiscard]] const SpoolSegment* fileless() const;
  [[nodiscard]] bool spare_wanted() const;
  void remove_files(SpoolGroup& group);
  void make_file(SpoolGroup& group);
  void write_records(SpoolGroup& group);
  void write_segment(SpoolGroup& group, size_t& next);

  const uint64_t segment_bytes_;
  const uint64_t quota_bytes_;
  const uint64_t local_id_;
  std::map<uint64_t, SpoolSegment> segments_;
  std::vector<SpoolFile> spares_;
  std::vector<SpoolFile> doomed_;  // to be removed
  uint64_t used_bytes_ = 0;
  uint64_t next_lsn_;
  uint64_t next_era_;
  uint64_t next_file_;
  uint64_t first_era_ = 0;  // of open_first()'s segment, until it is durable
  uint64_t durable_lsn_ = 0;

  std::vector<Pending> pending_;
  std::string records_;
  std::vector<BatchPtr> batches_;
  uint64_t pending_bytes_ = 0;

  UnderWay under_way_ = UnderWay::nothing;
  bool broken_ = false;
  size_t removing_ = 0;  // of doomed_, from the front
  SpoolFile making_;
  uint64_t writing_to_ = 0;  // last lsn
  int64_t retry_at_ms_ = 0;
  std::string trouble_;
  SpoolGroup memory_;
};

}  // namespace tailrace
