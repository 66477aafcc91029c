// Compression of batches: independent gzip members, zstd frames or Snappy blocks, which may simply
// be concatenated. Thread: a Compressor or Inflater belongs to one owner; both keep their memory
// between batches.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "flow/batch.h"

namespace tailrace {

[[nodiscard]] std::string_view codec_name(Codec codec);  // "gzip"
[[nodiscard]] Result<Codec> parse_codec(std::string_view name);
[[nodiscard]] std::string_view codec_extension(Codec codec);  // ".gz"; "" for none

class Compressor {
 public:
  virtual ~Compressor() = default;
  // Replaces `out` by one member (gzip), frame (zstd, with its content size) or block (Snappy, in
  // Hadoop's framing) that holds all of `raw`; `out`'s capacity is kept, so that steady state
  // allocates nothing.
  virtual void compress(std::string_view raw, std::string& out) = 0;
};
// gzip by ISA-L level 1, zlib level 1 where it is absent; zstd level 1; none copies.
[[nodiscard]] std::unique_ptr<Compressor> make_compressor(Codec codec);

class Inflater {
 public:
  virtual ~Inflater() = default;
  // Replaces `out` by what ONE member or frame holds; corrupt if it is broken, is not exactly one,
  // or gives anything but `raw_len` bytes (it stops at raw_len + 1: a bomb costs no memory).
  virtual Result<void> inflate(std::string_view member, size_t raw_len, std::string& out) = 0;
};
[[nodiscard]] std::unique_ptr<Inflater> make_inflater(Codec codec);

// What can be told of a payload without inflating: magic, and the raw length that the format
// carries (gzip ISIZE, zstd content size, Snappy's lengths). corrupt if they disagree with
// `raw_len`.
[[nodiscard]] Result<void> check_member(Codec codec, std::string_view payload, uint32_t raw_len);

// Reads a whole published file of many members, piece by piece (tailrace cat).
class FileInflater {
 public:
  virtual ~FileInflater() = default;
  // Takes all of `in`, appends what it inflates to to `out`.
  virtual Result<void> feed(std::string_view in, std::string& out) = 0;
  // corrupt if the file ended inside a member.
  [[nodiscard]] virtual Result<void> finish() = 0;
};
[[nodiscard]] std::unique_ptr<FileInflater> make_file_inflater(Codec codec);

}  // namespace tailrace
