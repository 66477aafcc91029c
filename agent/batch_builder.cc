#include "agent/batch_builder.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"

namespace tailrace {

namespace {
constexpr size_t kCompressFrom = 16u << 10;  // a smaller batch travels raw; the Center packs it
constexpr size_t kLeastShare = 64u << 10;    // of a batch, for each of many files
constexpr size_t kMostVisits = 1024;         // files looked at before the road gets its turn again
constexpr size_t kPoolBatches = 64;
constexpr size_t kMostMarks = 40'000;  // their count has 16 bits, and one file may add many
}  // namespace

BatchBuilder::BatchBuilder(uint32_t batch_bytes, uint32_t max_record_bytes)
    : batch_bytes_(batch_bytes), max_record_(max_record_bytes), pool_(kPoolBatches) {
  buffer_.resize(most_source() + cut_growth(most_source(), max_record_) + 1);
}

// The largest read: a batch, or a newline that is left out and a line with the byte that proves
// that it is too long.
size_t BatchBuilder::most_source() const {
  return std::max<size_t>(batch_bytes_, size_t{max_record_} + 2);
}

void BatchBuilder::reset() {
  raw_len_ = 0;
  lines_ = 0;
  source_bytes_ = 0;
  split_lines_ = 0;
  split_file_ = nullptr;
  ranges_.clear();
  marks_.clear();
  files_.clear();
  changed_.clear();
  drained_.clear();
  failed_.clear();
}

void BatchBuilder::gather(std::deque<TailedFile*>& queue, int64_t wall_ms) {
  reset();
  wall_ms_ = wall_ms;
  for (size_t visits = 0; visits < kMostVisits && !queue.empty(); ++visits) {
    if (ranges_.size() >= kMaxSourceRanges || marks_.size() >= kMostMarks) return;
    TailedFile& file = *queue.front();
    const size_t share = std::max<size_t>(batch_bytes_ / queue.size(), kLeastShare);
    Error error;
    const Step step = read_some(file, share, error);
    if (step == Step::no_room) return;
    queue.pop_front();
    file.note_unread(wall_ms);
    if (step == Step::more) {
      queue.push_back(&file);
      continue;
    }
    file.notes.queued = false;
    if (step == Step::drained) drained_.push_back(&file);
    if (step == Step::changed) changed_.push_back(&file);
    if (step == Step::failed) failed_.push_back({&file, std::move(error)});
  }
}

// Appends what a share of one file gives to the batch.
BatchBuilder::Step BatchBuilder::read_some(TailedFile& file, size_t share, Error& error) {
  if (auto opened = file.open(); !opened) {
    error = opened.error();
    return Step::failed;
  }
  if (raw_len_ >= batch_bytes_) return Step::no_room;
  size_t room = std::min<size_t>(batch_bytes_ - raw_len_, share);
  // What is cut may grow a little, and the buffer is made for a whole batch that does.
  const bool alone = raw_len_ == 0;
  for (;;) {
    char* at = buffer_.data() + raw_len_;
    const TailedFile::Read read = file.read(at, room);
    if (read.kind == TailedFile::Read::Kind::changed) return Step::changed;
    if (read.kind == TailedFile::Read::Kind::failed) {
      error = Error{Error::Kind::retry_later, read.why};
      return Step::failed;
    }
    CutRules rules;
    rules.max_record = max_record_;
    rules.ends_here = read.at_stop || (read.at_end && file.ends_here());
    rules.continues = !read.after_newline;
    const CutPlan plan = plan_cut({at, read.n}, rules, cuts_);
    if (plan.taken == 0) {
      file.notes.partial = read.at_end && read.n > 0;
      if (read.at_end) return Step::drained;
      // A long line: it needs more room than its share, or than what is left.
      if (!alone) return Step::no_room;
      TAILRACE_CHECK(room < most_source(), "a line that neither ends nor is too long");
      room = most_source();
      continue;
    }
    const uint64_t start = file.position().offset;
    const auto taken = file.take(at, plan.taken);
    if (!taken) {
      error = Error{Error::Kind::retry_later, taken.error().text};
      return Step::failed;
    }
    if (*taken == TailedFile::Proof::other) return Step::changed;
    const size_t marks = marks_.size();
    const CutLines cut = apply_cut(at, plan, cuts_, lines_, marks_);
    for (size_t i = marks; i < marks_.size(); ++i)
      if (marks_[i].mark == kBatchSplit) {
        ++split_lines_;
        split_file_ = &file;
      }
    raw_len_ += cut.bytes;
    lines_ += cut.lines;
    source_bytes_ += plan.taken;
    add_range(file, start, cut.lines);
    file.notes.partial = read.at_end && plan.taken < read.n;
    return read.at_end ? Step::drained : Step::more;
  }
}

void BatchBuilder::add_range(TailedFile& file, uint64_t start, uint32_t lines) {
  const FilePosition& p = file.position();
  if (!files_.empty() && files_.back() == &file && ranges_.back().end == start) {
    SourceRange& r = ranges_.back();
    r.end = p.offset;
    r.lines += lines;
    r.head_hash = p.head_hash;
    r.tail_hash = p.tail_hash;
    return;
  }
  files_.push_back(&file);
  ranges_.push_back({0, start, p.offset, lines, p.head_hash, p.tail_hash});
}

BatchPtr BatchBuilder::finish(StreamId stream, uint64_t first_seq, Bucket bucket, Codec file_codec,
                              int64_t read_ms) {
  TAILRACE_CHECK(!empty(), "a batch of no lines");
  for (size_t i = 0; i < ranges_.size(); ++i) {
    ranges_[i].file = files_[i]->id();
    TAILRACE_CHECK(ranges_[i].file != 0, "a source file without a number");
  }
  const std::shared_ptr<Batch> batch = pool_.get();
  const std::string_view raw(buffer_.data(), raw_len_);
  const Codec codec = raw_len_ >= kCompressFrom ? file_codec : Codec::none;
  if (codec == Codec::none) {
    batch->payload.assign(raw);
  } else {
    auto& compressor = compressors_[codec];
    if (!compressor) compressor = make_compressor(codec);
    compressor->compress(raw, batch->payload);
  }
  BatchFields& f = batch->fields;
  for (const MarkedLine& m : marks_) f.flags = static_cast<uint16_t>(f.flags | m.mark);
  f.payload_codec = codec;
  f.file_codec = file_codec;
  f.stream = stream;
  f.first_seq = first_seq;
  f.count = lines_;
  f.raw_len = static_cast<uint32_t>(raw_len_);
  f.payload_len = static_cast<uint32_t>(batch->payload.size());
  f.payload_crc = crc32c(batch->payload);
  f.bucket = bucket;
  f.first_read_ms = wall_ms_;
  f.last_read_ms = std::max(read_ms, wall_ms_);
  encode_batch_head(f, ranges_, marks_, batch->head);
  return batch;
}

}  // namespace tailrace
