// Makes batches out of what stands unread in the files of one category at a time. The agent has
// one, with one raw buffer; nothing is allocated per line, and in steady state nothing per batch.
// Thread: the road; blocks while it reads and compresses.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/line_cut.h"
#include "agent/tailed_file.h"
#include "base/pool.h"
#include "flow/batch.h"
#include "flow/codec.h"

namespace tailrace {

class BatchBuilder {
 public:
  BatchBuilder(uint32_t batch_bytes, uint32_t max_record_bytes);

  // --- first step: read

  // Reads the files of `queue` in turn, each by a share of the batch, until the batch is full or
  // the queue is empty, and moves their positions on. A file with nothing more leaves the queue
  // (its note `queued` becomes false); what a file says besides is listed below.
  void gather(std::deque<TailedFile*>& queue, int64_t wall_ms);
  [[nodiscard]] bool empty() const { return lines_ == 0; }
  [[nodiscard]] uint32_t lines() const { return lines_; }
  [[nodiscard]] uint64_t source_bytes() const { return source_bytes_; }
  [[nodiscard]] uint64_t split_lines() const { return split_lines_; }
  // Whose line was cut; null: nobody's.
  [[nodiscard]] const TailedFile* split_file() const { return split_file_; }

  // The files that gave lines, in the order of ranges(); those with id 0 must be given one now.
  [[nodiscard]] const std::vector<TailedFile*>& files() const { return files_; }
  // Left the queue: bytes before their position changed; start_over() is due (after ids were
  // given).
  [[nodiscard]] const std::vector<TailedFile*>& changed() const { return changed_; }
  struct Failed {
    TailedFile* file = nullptr;
    Error error;
  };
  // Left the queue: they could not be opened or read.
  [[nodiscard]] const std::vector<Failed>& failed() const { return failed_; }
  // Left the queue with nothing more to give now.
  [[nodiscard]] const std::vector<TailedFile*>& drained() const { return drained_; }

  // --- second step: encode

  // The batch of what was gathered (not empty), compressed where that pays.
  [[nodiscard]] BatchPtr finish(StreamId stream, uint64_t first_seq, Bucket bucket,
                                Codec file_codec, int64_t read_ms);
  [[nodiscard]] const std::vector<SourceRange>& ranges() const { return ranges_; }

 private:
  enum class Step { more, drained, changed, failed, no_room };
  [[nodiscard]] size_t most_source() const;
  void reset();
  Step read_some(TailedFile& file, size_t share, Error& error);
  void add_range(TailedFile& file, uint64_t start, uint32_t lines);

  const uint32_t batch_bytes_;
  const uint32_t max_record_;
  std::string buffer_;  // the raw lines, and room for what is read next
  size_t raw_len_ = 0;
  uint32_t lines_ = 0;
  uint64_t source_bytes_ = 0;
  uint64_t split_lines_ = 0;
  const TailedFile* split_file_ = nullptr;
  int64_t wall_ms_ = 0;
  std::vector<SourceRange> ranges_;
  std::vector<MarkedLine> marks_;
  std::vector<size_t> cuts_;
  std::vector<TailedFile*> files_;
  std::vector<TailedFile*> changed_;
  std::vector<TailedFile*> drained_;
  std::vector<Failed> failed_;
  Pool<Batch> pool_;
  std::map<Codec, std::unique_ptr<Compressor>> compressors_;
};

}  // namespace tailrace
