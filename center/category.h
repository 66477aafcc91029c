// One category's files at a Center: which are open, when they close, in which order they are
// committed. Thread: the road. Pure: it keeps the books, the bytes are with center/file_writer.h.
// docs/protocol.md, "CLOSE".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "center/commit_log.h"
#include "center/moment.h"
#include "flow/batch.h"
#include "flow/stream.h"

namespace tailrace {

// Names an open file between the machine and whoever writes it; never reused by an incarnation.
using OpenFileId = uint64_t;

struct RollPolicy {
  uint64_t bytes = 128ull << 20;
  uint64_t sequence_bytes = 512ull << 20;  // of SequenceFiles, which can be split
  int64_t age_ms = -1;
  int64_t idle_ms = -1;
  int64_t grace_ms = 120'000;
  int64_t jitter_ms = 120'000;

  [[nodiscard]] uint64_t bytes_of(FileFormat format) const {
    return format == FileFormat::sequence ? sequence_bytes : bytes;
  }
};

// A file's key within its category: the end of its directory's time (INT64_MAX: no end), codec,
// format.
struct FileKey {
  int64_t directory_end_ms = INT64_MAX;
  Codec codec = Codec::gzip;
  FileFormat format = FileFormat::lines;
  auto operator<=>(const FileKey&) const = default;
};

struct OpenFile {
  OpenFileId id = 0;
  FileKey key;
  std::string staged;
  std::string directory;
  Bucket bucket = 0;
  int64_t opened_ms = 0;  // mono
  int64_t last_ms = 0;
  int64_t jitter_ms = 0;
  uint64_t bytes = 0;  // of what is kept, as the writer estimates
  // Its extents, by the tag of their (lane, epoch).
  struct Extents {
    uint64_t bytes = 0;
    uint64_t raw_bytes = 0;
    uint64_t lines = 0;
    int64_t least_ms = kUnknownTime;
    int64_t greatest_ms = kUnknownTime;
    std::set<uint64_t> hosts;
  };
  std::map<uint64_t, Extents> extents;
  std::vector<uint64_t> dropped;  // tags of those that are to be cut out
  uint64_t dropped_bytes = 0;
};

// A file that has closed, and the tags of what is to be cut out of it.
struct FileToFinish {
  OpenFileId id = 0;
  std::string staged;
  std::vector<uint64_t> dropped;
};
// A file that is of no use any more.
struct FileToDrop {
  OpenFileId id = 0;
  std::string staged;
};

class Category {
 public:
  explicit Category(std::string name) : name_(std::move(name)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  // The open file of that key, or null.
  [[nodiscard]] OpenFile* find(const FileKey& key);
  // Lines of a stream that go to the open file of that key, behind those in the open file `last`
  // of the same directory, would be read before them: files of one closing are named in the order
  // in which they were opened. So it is when a codec changes and changes back within one roll.
  [[nodiscard]] bool out_of_order(const FileKey& key, OpenFileId last) const;
  OpenFile& open(OpenFile file);
  // A batch of `stream` was written to `file`, which is open here and `bytes` long by now; `tag`:
  // of its lane's present epoch. Returns by how much the file has grown.
  uint64_t add(OpenFile& file, uint64_t tag, const Lane& lane, const StreamKey& stream,
               const BatchFields& fields, uint64_t bytes, int64_t now_ms);
  // Lines that nobody will deliver, behind what the stream has in that directory and below.
  void add_gap(int64_t directory_end_ms, const Lane& lane, const StreamKey& stream, GapRange gap,
               uint64_t chain_after);
  // Nothing comes of the stream behind `at`, where it stands in that directory and below.
  void add_final(int64_t directory_end_ms, const Lane& lane, const StreamKey& stream,
                 const Position& at);
  // Takes away the file of that key if nothing was written to it.
  void forget_empty(const FileKey& key);
  // The newest directory that must close now, if any; `policy` and the clock decide.
  [[nodiscard]] std::optional<int64_t> due(const RollPolicy& policy, Moment now) const;
  // Closes every file whose directory ends at or before `directory_end_ms`, and the gaps there:
  // together one closing. Returns the files to finish; none if there were only gaps.
  std::vector<FileToFinish> close(int64_t directory_end_ms);
  // What is open of a lane is never committed: it leaves the books now, and its files when they
  // close. Returns those of which nothing is left.
  std::vector<FileToDrop> drop(const Lane& lane, uint64_t tag);
  // What is open of the lane and of these hosts leaves the books alone (a deliberate mistake).
  void forget(const Lane& lane, const std::set<uint64_t>& hosts);
  // An uploaded file of any closing: its size and hash, and where it lies now, if something was cut
  // out of it. Returns the staged path that is of no use any more; empty: none.
  std::string finished(OpenFileId file, uint64_t bytes, uint64_t xxh3, const std::string& staged);
  // The oldest closing, once all its files are finished.
  [[nodiscard]] std::optional<Closing> take_ready();

  [[nodiscard]] bool anything_open() const { return !open_.empty(); }
  // Extents of the lane, or gaps.
  [[nodiscard]] bool holds_open(const Lane& lane) const;
  [[nodiscard]] bool holds_closing(const Lane& lane) const;
  [[nodiscard]] size_t open_files() const { return open_.size(); }
  // When the oldest file that is open or closing was opened (mono); INT64_MAX: there is none.
  [[nodiscard]] int64_t oldest_ms() const;
  [[nodiscard]] uint64_t largest_bytes() const;
  [[nodiscard]] bool holds_host(uint64_t local_id) const;
  // What is open, or what is of one lane's epoch, has lines of a host that is not among these.
  [[nodiscard]] bool holds_other_than(const std::set<uint64_t>& hosts) const;
  [[nodiscard]] bool holds_other_than(const std::set<uint64_t>& hosts, uint64_t tag) const;
  // Where the files lie that no record names: open ones, and closed ones that are not ready.
  void list_unnamed(std::vector<std::string>& into) const;
  // Nothing that is open will ever be committed.
  [[nodiscard]] std::vector<FileToDrop> abandon_open();

 private:
  // What the open files of one directory's time hold. Not kept by file: a stream whose codec
  // changes is spread over several, and only together are its lines without holes.
  using Ranges = std::map<Lane, std::map<StreamKey, StreamRange>>;
  struct Closed {
    OpenFile file;
    bool finished = false;
    uint64_t bytes = 0;
    uint64_t xxh3 = 0;
  };
  struct ClosingFiles {
    std::vector<Closed> files;
    std::vector<LaneRanges> lanes;
  };
  std::string name_;
  std::map<FileKey, OpenFile> open_;
  std::map<int64_t, Ranges> ranges_;  // by directory_end_ms
  std::deque<ClosingFiles> closing_;
};

}  // namespace tailrace
