// The batch: an immutable run of whole lines of one category, the unit of routing and retry.
// Its head has one fixed layout on every hop and in the spool, so that a relay copies and patches
// it instead of decoding it: docs/formats.md, "Batch head". The payload travels beside it,
// untouched. Thread: any once built; built by one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "flow/stream.h"

namespace tailrace {

enum class Codec : uint8_t { none = 0, gzip = 1, zstd = 2, snappy = 3 };
enum class Envelope : uint8_t { none = 0, prefix = 1, json = 2 };

inline constexpr uint8_t kBatchVersion = 1;
inline constexpr size_t kMaxSourceRanges = 4096;
inline constexpr uint32_t kMaxRawBytes = 4u << 20;
inline constexpr int64_t kUnknownTime = INT64_MIN;

// Bits of BatchFields::flags, for the whole batch; which lines: MarkedLine.
inline constexpr uint16_t kBatchSplit = 1;  // holds lines that are pieces of one over max_record
inline constexpr uint16_t kBatchUnterminated =
    2;  // holds a line whose newline is ours, not the file's

// Bytes [start, end) of a file gave `lines` lines of the payload, in the order of the list.
// head: hash of the first min(end, 1024) bytes of the file. tail: of the last min(end, 16) before
// end.
struct SourceRange {
  FileId file = 0;
  uint64_t start = 0;
  uint64_t end = 0;
  uint32_t lines = 0;
  uint32_t head_hash = 0;
  uint32_t tail_hash = 0;
  bool operator==(const SourceRange&) const = default;
};
[[nodiscard]] uint32_t source_hash(std::string_view bytes);  // for head and tail: xxh3, low half
inline constexpr size_t kHeadHashBytes = 1024;
inline constexpr size_t kTailHashBytes = 16;

struct MarkedLine {
  uint32_t line = 0;  // index within the batch
  uint8_t mark = 0;   // kBatchSplit: continues in the next line; kBatchUnterminated
  bool operator==(const MarkedLine&) const = default;
};

// The fixed fields of a head. chain_before and chain_after are 0 until a Local has taken the batch.
struct BatchFields {
  uint16_t flags = 0;
  Codec payload_codec = Codec::none;
  Codec file_codec = Codec::gzip;  // what the published file is to be compressed with
  Envelope envelope = Envelope::none;
  uint8_t sub = 0;
  StreamId stream = 0;
  uint64_t first_seq = 0;
  uint32_t count = 0;    // lines, at least 1
  uint32_t raw_len = 0;  // bytes of the payload before compression
  uint32_t payload_len = 0;
  uint32_t payload_crc = 0;  // crc32c of the payload as it travels
  Bucket bucket = 0;
  uint64_t chain_before = 0;
  uint64_t chain_after = 0;
  int64_t first_read_ms = 0;
  int64_t last_read_ms = 0;
  int64_t least_event_ms = kUnknownTime;
  int64_t greatest_event_ms = kUnknownTime;

  [[nodiscard]] uint64_t end_seq() const { return first_seq + count; }
  bool operator==(const BatchFields&) const = default;
};

// Appends the head to `out`. src.size() <= kMaxSourceRanges.
void encode_batch_head(const BatchFields& fields, const std::vector<SourceRange>& src,
                       const std::vector<MarkedLine>& marked, std::string& out);

// A head read in place: `bytes` must outlive it. No allocation.
class BatchHead {
 public:
  // corrupt if the layout, a version, a count or a sum is wrong; what the fields claim of the
  // payload (lengths, codec) is checked for sense, not against the payload.
  [[nodiscard]] static Result<BatchHead> parse(std::string_view bytes);

  [[nodiscard]] const BatchFields& fields() const { return fields_; }
  [[nodiscard]] size_t source_count() const { return sources_; }
  [[nodiscard]] SourceRange source(size_t i) const;
  [[nodiscard]] size_t marked_count() const { return marked_; }
  [[nodiscard]] MarkedLine marked(size_t i) const;
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  BatchFields fields_;
  std::string_view bytes_;
  size_t sources_ = 0;
  size_t marked_ = 0;
};

// Writes the stream and the chains into an encoded head (a Local takes a batch, a connection
// renames it).
void patch_batch_chains(std::string& head, uint64_t before, uint64_t after);

// A head and its payload together; what roads, windows and caches hold. Comes from a Pool<Batch>.
struct Batch {
  std::string head;  // encoded
  std::string payload;
  BatchFields fields;  // of `head`

  void reset() {
    head.clear();
    payload.clear();
    fields = BatchFields{};
  }
  [[nodiscard]] size_t bytes() const { return head.size() + payload.size(); }
};
using BatchPtr = std::shared_ptr<const Batch>;

}  // namespace tailrace
