// The Center: turns many small batches into few large files, each line once.
// Thread: the road, with workers for what blocks at the store. docs/architecture.md, "Center".
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "discovery/presence.h"
#include "flow/connection.h"
#include "sinks/format/file_format.h"
#include "sinks/kafka/kafka_settings.h"
#include "sinks/store/files.h"
#include "sinks/store/hdfs_access.h"
#include "sinks/store/records.h"
#include "sinks/store/webhdfs.h"

namespace tailrace {

// What Locals may ask of a Center together. docs/operating.md, "Limits".
struct CenterLimits {
  uint64_t connections = 12'000;
  uint64_t per_address = 64;  // connections; those of this machine are exempt
  uint64_t categories = 4'096;
  uint64_t memory_bytes = 2ull << 30;  // of frames that came in part, and answers not read
};

// One place where lines are published.
struct SinkSettings {
  std::string name = "files";  // for people
  bool required = true;  // else a Local's full spool gives up what only such sinks have not got
  std::string root;      // directory of the published files
  std::vector<HdfsUrl> hdfs;  // where HDFS is, in which that directory is; empty: it is here
  std::string hdfs_user;      // as whom
  HdfsAccess hdfs_access;
  HdfsWriting hdfs_writing;
  KafkaSettings kafka;                // no brokers: it is none
  std::string control = "_tailrace";  // control directory: below the store's root, or absolute
  std::string layout = "{category}/dt={date}/hr={hour}";
  std::string timezone = "UTC";
  FileFormats formats;
  uint64_t roll_bytes = 128ull << 20;           // of the compressed file
  uint64_t sequence_roll_bytes = 512ull << 20;  // of a SequenceFile
  int64_t roll_age_ms = -1;                     // -1: off
  int64_t roll_idle_ms = -1;                    // -1: off
  int64_t bucket_grace_ms = 120'000;            // after the end of a bucket's directory
  int64_t bucket_jitter_ms = 120'000;

  [[nodiscard]] bool is_kafka() const { return !kafka.brokers.empty(); }
  // "/logs", "webhdfs://nn1:9870/logs", "kafka://broker:9092/topic": for people.
  [[nodiscard]] std::string where() const {
    if (is_kafka()) return kafka.server() + "/" + kafka.positions_topic;
    return hdfs.empty() ? root : hdfs[0].server() + root;
  }
};

struct CenterSettings {
  std::string name = "center";
  std::string address;    // where Locals reach it, as host:port; empty: only those of its process
  std::string state_dir;  // lock and state uuid: proves that a predecessor is dead
  uint64_t cluster = 0;   // 0: whichever the first store belongs to, a new one if it is new
  CenterLimits limits;
  std::vector<SinkSettings> sinks;  // at least one, at most kMostSinks
};
inline constexpr size_t kMostSinks = 32;  // bits of a DATA frame

// What a sink did with one category's lines since the Center started.
struct CenterFlow {
  uint64_t taken = 0;        // received, each as often as it came
  uint64_t refused = 0;      // the same of those that are not taken whenever they come
  uint64_t uncommitted = 0;  // received and not committed: their Locals keep them
  uint64_t committed = 0;
  uint64_t unpublished = 0;   // committed and not yet in readers' sight
  uint64_t published = 0;     // also what a dead Center had committed
  uint64_t lost = 0;          // committed, and removed by somebody before it was published
  uint64_t files = 0;         // published
  uint64_t fewest_files = 0;  // of the target size that could hold as much
  uint64_t open_files = 0;
  uint64_t lanes = 0;
};

struct SinkStatus {
  std::string name;
  uint64_t lines_received = 0;
  uint64_t lines_committed = 0;
  uint64_t lines_published = 0;
  uint64_t raw_bytes_published = 0;
  uint64_t file_bytes_published = 0;
  uint64_t files_published = 0;
  uint64_t files_open = 0;
  uint64_t files_pending = 0;  // committed, not yet published
  uint64_t lanes = 0;
  std::string trouble;  // not empty: what keeps files or lanes waiting now
  std::map<std::string, CenterFlow> categories;
  int64_t newest_published_ms = -1;  // wall: when a file was last published
};

struct CenterStatus {
  std::string name;               // of the settings
  std::vector<SinkStatus> sinks;  // as in the settings
  uint64_t refused = 0;
  uint64_t lines_clock_skewed = 0;  // filed under the Center's time: their host's was impossible
  uint64_t locals = 0;              // connected now
  uint64_t others = 0;              // Centers that live besides this one, as far as is known
  bool draining = false;            // asked to stop
  bool drained = false;             // and done with it
  bool rebalance_paused = false;
};

// Where a sink's files and records are.
struct SinkStore {
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
  size_t uploads = 1;  // files that may be finished at the same time, each on a worker of its own
  size_t calls = 1;    // other calls that may be made at the same time, the same
  std::function<Result<void>()> reopen = {};  // where it can be another one a moment later
};

class Center {
 public:
  // `stores`: one for each of settings.sinks.
  Center(asio::io_context& road, CenterSettings settings, std::vector<SinkStore> stores);
  ~Center();

  // Finds or makes the sinks' and the cluster's names in the stores. A store that is away and was
  // known before is waited for while the others are served. Blocks.
  Result<void> open();
  [[nodiscard]] std::string cluster() const;          // uuid, hex16; after open()
  [[nodiscard]] std::vector<uint64_t> sinks() const;  // uuids; after open()
  void accept_local(StreamSocket socket);
  // Runs until stop() has been carried out or leave() was called.
  asio::awaitable<void> run();
  // STOP: commit and publish what is held, free the lanes, seal the log, then run() ends.
  // `everything`: also what is small and could be sent again (tailrace run).
  void stop(bool everything);
  void leave();
  // Who is there, as ZooKeeper says; and what it is to be told of this one (but the cluster's
  // name).
  void presence(const Presence& presence);
  [[nodiscard]] Member member() const;
  [[nodiscard]] CenterStatus status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace
