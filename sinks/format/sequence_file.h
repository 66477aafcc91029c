// Hadoop's SequenceFile, version 6, of LongWritable and Text: a line's time in milliseconds since
// 1970, and the line without its newline. It consists of blocks that stand for themselves, each
// behind the file's sync mark, so that readers may begin at any of them and blocks may be left out.
// Thread: any; pure, one owner. docs/formats.md, "SequenceFile".
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/random.h"
#include "flow/codec.h"

namespace tailrace {

// 16 random bytes, one mark a file: readers look for it where a split begins.
using SyncMark = std::array<char, 16>;
[[nodiscard]] SyncMark make_sync_mark(Rng& rng);

// Whole lines, each ended by a newline, and their time.
struct TimedLines {
  int64_t ms = 0;
  std::string_view lines;
};

class SequenceEncoder {
 public:
  SequenceEncoder(Codec codec, const SyncMark& sync);

  // What stands at the beginning of the file. With the codec none it says that records are not
  // compressed.
  [[nodiscard]] std::string header() const;
  // Appends these lines in their order to `out`, as blocks: at most 2 MiB and a line each, and
  // 65,536 lines. It keeps its memory between calls.
  void encode(std::span<const TimedLines> lines, std::string& out);

 private:
  void add(int64_t ms, std::string_view line);
  void close_block(std::string& out);
  void put_sync(std::string& out) const;

  Codec codec_;
  SyncMark sync_;
  std::unique_ptr<Compressor> compressor_;
  // Of the block that is being made. Without a codec `values_` are whole records.
  std::string key_lengths_, keys_, value_lengths_, values_;
  uint32_t records_ = 0;
  std::string packed_;
};

// Of a published file: which reader its name asks for.
[[nodiscard]] std::unique_ptr<FileInflater> make_file_reader(std::string_view name, Codec codec);
// Reads a SequenceFile piece by piece: the lines, each with its newline. corrupt: no SequenceFile
// of LongWritable and Text in one of our codecs, a block longer than 16 MiB, or one that is broken.
[[nodiscard]] std::unique_ptr<FileInflater> make_sequence_reader();

}  // namespace tailrace
