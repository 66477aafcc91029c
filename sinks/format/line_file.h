// One open file of lines: batches in, compressed members one after another out. Compressed batches
// are written untouched; small raw ones are packed into members of 256 KiB raw, never across lanes,
// so that a lane that goes to another Center can be cut out. In a SequenceFile the members are its
// blocks, which are made here of raw lines. Thread: the road for append(); finish() and cut() on a
// worker, when nobody appends any more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "flow/batch.h"
#include "flow/codec.h"
#include "flow/stream.h"
#include "sinks/format/file_format.h"
#include "sinks/format/sequence_file.h"
#include "sinks/store/files.h"

namespace tailrace {

// Stands for a lane during one epoch of its owner's; given by the caller.
using LaneTag = uint64_t;

inline constexpr size_t kPackBytes = 256u << 10;   // raw bytes after which a pack becomes a member
inline constexpr size_t kWriteBytes = 256u << 10;  // gathered before they are written

class LineFile {
 public:
  // `file` is empty; `codec` is what all of it is compressed with. `sync` is of a SequenceFile.
  LineFile(std::unique_ptr<StagedFile> file, Codec codec, FileFormat format = FileFormat::lines,
           const SyncMark& sync = {});

  // Takes a batch; lines of one stream keep the order in which they come, those of different
  // streams may change places. A SequenceFile is given the lines themselves, inflated, whatever
  // `fields` say. After an error nothing of it was taken: retry_later may be tried again.
  // rejected: a payload compressed with another codec.
  Result<void> append(LaneTag tag, const StreamKey& key, const BatchFields& fields,
                      std::string_view payload);
  // Writes what waits, then makes the staged file whole and durable. retry_later: call again.
  Result<void> finish();
  // A file in `into` (empty) with the lines of those lanes alone for which `keep` says so; this
  // file is of no use any more, but for another try after an error, with another `into`.
  Result<std::unique_ptr<LineFile>> cut(const std::function<bool(LaneTag)>& keep,
                                        std::unique_ptr<StagedFile> into);

  // Of what was made members so far; after finish(), of the file.
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] uint64_t xxh3() const { return hash_.digest(); }
  // What size() will be about, once what waits is packed.
  [[nodiscard]] uint64_t estimated_size() const;
  // Of all that was taken.
  [[nodiscard]] uint64_t lines() const { return lines_; }
  [[nodiscard]] uint64_t raw_bytes() const { return raw_bytes_; }
  [[nodiscard]] Codec codec() const { return codec_; }
  [[nodiscard]] FileFormat format() const { return format_; }

 private:
  // Members of one lane that lie one behind the other in the file.
  struct Extent {
    LaneTag tag = 0;
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t lines = 0;
    uint64_t raw_bytes = 0;
  };
  // Raw batches of one lane that wait to become a member.
  struct Pack {
    LaneTag tag = 0;
    uint64_t lines = 0;
    std::string raw;
    std::vector<StreamKey> streams;
    struct Run {  // so many bytes were read at that time
      int64_t read_ms = 0;
      size_t bytes = 0;
    };
    std::vector<Run> runs;  // of a SequenceFile
  };

  [[nodiscard]] bool is_sequence() const { return format_ == FileFormat::sequence; }
  // A batch that is large enough to be a member of its own, or is one.
  Result<void> add_alone(LaneTag tag, const BatchFields& fields, std::string_view payload);
  // What a pack becomes.
  [[nodiscard]] std::string member_of(const Pack& pack) const;
  Pack& pack_of(LaneTag tag);
  Result<void> flush_lines_of(LaneTag tag, const StreamKey& key);
  Result<void> add_to_pack(Pack& pack, const StreamKey& key, const BatchFields& fields,
                           std::string_view payload);
  Result<void> flush(Pack& pack);
  Result<void> add_member(const Extent& what, std::string_view bytes);
  Result<void> write_gathered(std::string_view behind);
  Result<void> copy_extent(const Extent& extent, LineFile& into);

  std::unique_ptr<StagedFile> file_;
  Codec codec_;
  FileFormat format_;
  SyncMark sync_;
  Xxh3 hash_;
  uint64_t size_ = 0;
  uint64_t lines_ = 0;
  uint64_t raw_bytes_ = 0;
  uint64_t waiting_ = 0;      // raw bytes in packs
  uint64_t packed_raw_ = 0;   // of packs that became members
  uint64_t packed_size_ = 0;  // of these members
  std::vector<Extent> extents_;
  std::vector<Pack> packs_;  // one a lane, kept for its memory
  std::string gathered_;     // members not written yet
  std::vector<std::string_view> pieces_;
};

}  // namespace tailrace
