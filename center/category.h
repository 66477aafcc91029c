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
  int64_t age_ms = -1;
  int64_t idle_ms = -1;
  int64_t grace_ms = 120'000;
  int64_t jitter_ms = 120'000;
};

// A file's key within its category: the end of its directory's time (INT64_MAX: no end), codec,
// format.
struct FileKey {
  int64_t directory_end_ms = INT64_MAX;
  Codec codec = Codec::gzip;
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
  uint64_t bytes = 0;  // written so far, as the writer estimates
  uint64_t raw_bytes = 0;
  uint64_t lines = 0;
  int64_t least_ms = kUnknownTime;
  int64_t greatest_ms = kUnknownTime;
  std::set<uint64_t> hosts;
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
  // A batch of `stream` was written to `file`, which is open here and `bytes` long by now.
  void add(OpenFile& file, const Lane& lane, const StreamKey& stream, const BatchFields& fields,
           uint64_t bytes, int64_t now_ms);
  // Lines that nobody will deliver, behind what the stream has in that directory and below.
  void add_gap(int64_t directory_end_ms, const Lane& lane, const StreamKey& stream, GapRange gap,
               uint64_t chain_after);
  // Takes away the file of that key if nothing was written to it.
  void forget_empty(const FileKey& key);
  // The newest directory that must close now, if any; `policy` and the clock decide.
  [[nodiscard]] std::optional<int64_t> due(const RollPolicy& policy, Moment now) const;
  // Closes every file whose directory ends at or before `directory_end_ms`, and the gaps there:
  // together one closing. Returns the files to finish; none if there were only gaps.
  std::vector<OpenFileId> close(int64_t directory_end_ms);
  // An uploaded file of a closing: its size and hash. `who` may be of any closing.
  void finished(OpenFileId file, uint64_t bytes, uint64_t xxh3);
  // The oldest closing, once all its files are finished.
  [[nodiscard]] std::optional<Closing> take_ready();

  [[nodiscard]] bool anything_open() const { return !open_.empty(); }
  [[nodiscard]] bool anything_closing() const { return !closing_.empty(); }
  [[nodiscard]] size_t open_files() const { return open_.size(); }
  [[nodiscard]] uint64_t largest_bytes() const;
  [[nodiscard]] bool holds_host(uint64_t local_id) const;
  [[nodiscard]] bool holds_other_than(const std::set<uint64_t>& hosts) const;
  // Staged paths of files that are open and will never be committed.
  [[nodiscard]] std::vector<OpenFileId> abandon_open();

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
