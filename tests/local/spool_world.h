// A Local's life around a spool, for its crash tests: an agent that sends, sinks that commit, and a
// model of what the spool has promised. Every state that a crash may leave is judged against the
// model. Thread: one owner. Repeatable from its seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "local/spool.h"
#include "local/spool_recovery.h"
#include "tests/local/virtual_disk.h"

namespace tailrace::test {

struct WorldOptions {
  SpoolOptions spool;
  uint64_t most_payload = 700;
  double large = 0.02;  // how often a batch is larger than a segment
  WorldOptions() {
    spool.segment_bytes = 4096;
    spool.quota_bytes = 96 << 10;
    spool.cache_bytes = 2048;
    spool.group_bytes = 2048;
    spool.category_share_percent = 90;
  }
};

class SpoolWorld {
 public:
  SpoolWorld(uint64_t seed, WorldOptions options);
  ~SpoolWorld();

  VirtualDisk disk;
  // Called after each operation on the disk, and after each promise that became true.
  std::function<void()> after_op;

  // A process starts on what the disk shows. false: failure() says why not.
  bool start();
  // The process is gone; nothing was written. It may have failed before.
  void kill();
  // One random event, and the groups that are due.
  bool step();
  // Runs groups until none is due; `all`: as if time passed. False: a group failed for good.
  bool run_groups(bool all);
  bool shut_down();

  // Whether what recovery says of `image` keeps the promises: an empty text, or what is wrong.
  std::string judge(SpoolImage& image);
  // The same, and goes on from there: serves, reads every batch back, recovers a second time.
  std::string judge_and_serve(const SpoolImage& image);
  // judge_and_serve() with further power cuts at each operation of the new start.
  std::string judge_second_cut(const SpoolImage& image, Rng& rng);
  // The world goes on from a crash state: its agent sends again what the state does not have.
  bool restart_from(const SpoolImage& image);

  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] uint64_t groups() const { return groups_; }
  [[nodiscard]] const std::set<std::string>& seen() const { return seen_; }  // what happened
  [[nodiscard]] Spool* spool() { return spool_.get(); }

 private:
  struct Taken {
    uint64_t end_seq = 0;
    uint64_t chain_before = 0;
    uint64_t chain_after = 0;
    uint64_t hash = 0;  // of head and payload
  };
  // What the spool must say after a prefix of its records: streams, files, gaps.
  struct Version {
    std::map<StreamId, StreamInfo> streams;
    std::map<FileId, FileInfo> files;
    bool operator==(const Version&) const = default;
  };
  using CursorKey = std::pair<uint64_t, StreamId>;

  static Version version_of(const SpoolTables& tables);
  void record();
  bool fail(std::string why);
  std::string judge_recovered(const RecoveredSpool& recovered) const;
  std::string judge_ranges(const RecoveredSpool& recovered) const;
  std::string judge_cursors(const RecoveredSpool& recovered) const;
  std::string read_back(Spool& spool, SpoolImage& image) const;
  static uint64_t passed(const SpoolTables& tables, StreamId stream);
  Result<void> serve(Spool& spool, VirtualDisk& on, const std::function<void()>& after) const;

  std::shared_ptr<Batch> make_batch(StreamId stream);
  void event();
  void append();
  void define();
  void commit();

  Rng rng_;
  WorldOptions options_;
  std::unique_ptr<Spool> spool_;
  bool served_ = false;
  int64_t now_ms_ = 1000;
  uint64_t next_random_ = 1;
  FileId next_file_ = 1;
  uint64_t local_id_ = 0;
  std::string failure_;
  uint64_t groups_ = 0;
  std::set<std::string> seen_;

  // --- the model ---
  std::map<StreamId, std::map<uint64_t, Taken>> taken_;
  std::vector<Version> versions_;
  size_t acked_ = 0;    // index into versions_: durable for certain
  size_t written_ = 0;  // the newest that may be on the disk
  std::map<CursorKey, Position> cursors_acked_;
  std::map<CursorKey, Position> cursors_written_;
  std::map<CursorKey, Position> cursors_issued_;
  std::set<uint64_t> starts_;  // each may be the newest START
};

}  // namespace tailrace::test
