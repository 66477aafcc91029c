#include "local/spool_log.h"

#include <algorithm>

#include "base/buggify.h"

namespace tailrace {

namespace {
constexpr uint64_t kBlock = 4096;
constexpr size_t kMostSpares = 2;
constexpr int64_t kRetryMs = 1000;

uint64_t segment_size(uint64_t segment_bytes, uint64_t record_bytes) {
  const uint64_t needed = kSegmentHeaderBytes + record_bytes;
  return std::max(segment_bytes, (needed + kBlock - 1) / kBlock * kBlock);
}

SpoolOp file_op(SpoolOp::Kind kind, std::string name = {}, std::string to = {}) {
  SpoolOp op;
  op.kind = kind;
  op.name = std::move(name);
  op.to = std::move(to);
  return op;
}
}  // namespace

SpoolLog::SpoolLog(const SpoolOptions& options, uint64_t local_id, RecoveredLog recovered)
    : segment_bytes_(options.segment_bytes),
      quota_bytes_(std::max(options.quota_bytes, 4 * options.segment_bytes)),
      local_id_(local_id),
      next_lsn_(recovered.next_lsn),
      next_era_(recovered.next_era),
      next_file_(recovered.next_file),
      durable_lsn_(recovered.next_lsn - 1) {
  TAILRACE_CHECK(segment_bytes_ >= kBlock && segment_bytes_ % kBlock == 0,
                 "a segment is whole 4 KiB blocks");
  for (SpoolSegment& s : recovered.segments) {
    used_bytes_ += s.file.bytes;
    segments_.emplace(s.era, std::move(s));
  }
  for (SpoolFile& f : recovered.spares) {
    used_bytes_ += f.bytes;
    const bool fits = f.bytes == segment_bytes_ && spares_.size() < kMostSpares;
    (fits ? spares_ : doomed_).push_back(std::move(f));
  }
  for (SpoolFile& f : recovered.useless) {
    used_bytes_ += f.bytes;
    doomed_.push_back(std::move(f));
  }
}

// --- records ----------------------------------------------------------------------------------

void SpoolLog::open_first(uint64_t record_bytes) {
  open(record_bytes);
  first_era_ = next_era_ - 1;
}

void SpoolLog::open(uint64_t record_bytes) {
  SpoolSegment s;
  s.era = next_era_++;
  s.used = kSegmentHeaderBytes;
  s.first_lsn = next_lsn_;
  s.file.bytes = segment_size(segment_bytes_, record_bytes);
  if (s.file.bytes == segment_bytes_ && !spares_.empty()) {
    s.file = std::move(spares_.back());
    spares_.pop_back();
  }
  segments_.emplace(s.era, std::move(s));
}

SpoolLog::Place SpoolLog::place(RecordType type, uint64_t body_len, uint64_t payload_len,
                                const Batch* batch) {
  const uint64_t bytes = kRecordHeaderBytes + body_len + payload_len;
  // Not the first one of this start, which is whole or not at all, and only where a file is ready.
  const SpoolSegment& newest = segments_.rbegin()->second;
  const bool early = first_era_ == 0 && !spares_.empty() && newest.used > kSegmentHeaderBytes &&
                     buggify(Rare::segment_early);
  if (early || newest.used + bytes > newest.file.bytes) open(bytes);
  SpoolSegment& segment = segments_.rbegin()->second;
  Pending p;
  p.header.type = type;
  p.header.body_len = static_cast<uint32_t>(body_len);
  p.header.payload_len = static_cast<uint32_t>(payload_len);
  p.header.lsn = next_lsn_++;
  p.era = segment.era;
  p.offset = segment.used;
  p.batch = batch;
  p.first = segment.used == kSegmentHeaderBytes;
  if (p.first) {
    const SegmentHeader header{segment.era, local_id_, segment.first_lsn, segment.first_lsn - 1};
    encode_segment_header(header, records_);
  }
  p.at = records_.size();
  encode_record_header(p.header, records_);
  segment.used += bytes;
  pending_bytes_ += bytes;
  pending_.push_back(p);
  return {p.era, p.offset, bytes, p.header.lsn};
}

SpoolLog::Place SpoolLog::append(RecordType type, std::string_view body) {
  const Place at = place(type, body.size(), 0, nullptr);
  records_ += body;
  return at;
}

SpoolLog::Place SpoolLog::append(BatchPtr batch) {
  const Place at = place(RecordType::batch, batch->head.size(), batch->payload.size(), batch.get());
  batches_.push_back(std::move(batch));
  return at;
}

// A batch is placed only where room is allocated already, so that a full disk is known before lines
// are taken. While no spare file stands behind the newest segment, its last quarter is left to what
// must always find room: cursors and the snapshot, without which nothing can be freed.
bool SpoolLog::room_for(uint64_t record_bytes) const {
  const SpoolSegment& newest = segments_.rbegin()->second;
  if (newest.file.name.empty()) return false;
  const uint64_t left = newest.file.bytes - newest.used;
  if (!spares_.empty() && kSegmentHeaderBytes + record_bytes <= segment_bytes_) return true;
  const uint64_t reserve = spares_.empty() ? newest.file.bytes / 4 : 0;
  if (record_bytes + reserve <= left) return true;
  // Larger than a segment, or than what its reserve leaves: a file of its own.
  const uint64_t own = segment_size(segment_bytes_, record_bytes);
  const bool large = record_bytes + segment_bytes_ / 4 + kSegmentHeaderBytes > segment_bytes_;
  return large && trouble_.empty() && used_bytes_ + own <= quota_bytes_;
}

// --- files ------------------------------------------------------------------------------------

const SpoolSegment* SpoolLog::fileless() const {
  for (auto s = segments_.rbegin(); s != segments_.rend(); ++s)
    if (s->second.file.name.empty()) return &s->second;
  return nullptr;
}

bool SpoolLog::blocked() const { return fileless() != nullptr; }

bool SpoolLog::spare_wanted() const {
  return first_era_ == 0 && spares_.empty() && used_bytes_ + segment_bytes_ <= quota_bytes_;
}

int64_t SpoolLog::files_due_ms(int64_t now_ms) const {
  if (!doomed_.empty()) return 0;
  if (!blocked() && !spare_wanted()) return -1;
  return std::max<int64_t>(0, retry_at_ms_ - now_ms);
}

void SpoolLog::remove_files(SpoolGroup& group) {
  for (const SpoolFile& f : doomed_) group.ops.push_back(file_op(SpoolOp::Kind::remove, f.name));
  group.ops.push_back(file_op(SpoolOp::Kind::sync_names));
  removing_ = doomed_.size();
  under_way_ = UnderWay::removing;
}

void SpoolLog::make_file(SpoolGroup& group) {
  const SpoolSegment* const lacks = fileless();
  making_ = {spool_name(SpoolName::spare, next_file_++),
             lacks ? lacks->file.bytes : segment_bytes_};
  SpoolOp create = file_op(SpoolOp::Kind::create, making_.name);
  create.bytes = making_.bytes;
  group.ops.push_back(std::move(create));
  group.ops.push_back(file_op(SpoolOp::Kind::sync, making_.name));
  group.ops.push_back(file_op(SpoolOp::Kind::sync_names));
  under_way_ = UnderWay::making;
}

void SpoolLog::release(uint64_t era) {
  const auto it = segments_.find(era);
  TAILRACE_CHECK(it != segments_.end() && std::next(it) != segments_.end(),
                 "only an older segment can be given up");
  SpoolFile file = std::move(it->second.file);
  segments_.erase(it);
  const bool keep = file.bytes == segment_bytes_ && spares_.size() < kMostSpares;
  (keep ? spares_ : doomed_).push_back(std::move(file));
  if (keep) trouble_.clear();
}

void SpoolLog::hold(uint64_t era, StreamId stream, uint64_t end_seq, uint64_t bytes) {
  SpoolSegment::Held& held = segments_.at(era).held[stream];
  held.end_seq = std::max(held.end_seq, end_seq);
  held.bytes += bytes;
}

// --- groups -----------------------------------------------------------------------------------

SpoolGroup SpoolLog::begin(int64_t now_ms) {
  TAILRACE_CHECK(!under_way() && !broken_, "a group is under way, or one failed for good");
  SpoolGroup group = std::move(memory_);
  memory_ = {};
  if (!doomed_.empty())
    remove_files(group);
  else if (blocked() || files_due_ms(now_ms) == 0)
    make_file(group);
  else
    write_records(group);
  return group;
}

// Order: names first, and durable, so that no segment is written under a name that a crash could
// undo; then each segment is written and synced before the next is touched.
void SpoolLog::write_records(SpoolGroup& group) {
  TAILRACE_CHECK(!pending_.empty() && !blocked(), "nothing can be written now");
  std::swap(group.records, records_);
  std::swap(group.batches, batches_);
  group.last_lsn = pending_.back().header.lsn;
  bool renamed = false;
  for (const Pending& p : pending_) {
    if (!p.first) continue;
    SpoolFile& file = segments_.at(p.era).file;
    std::string name =
        spool_name(p.era == first_era_ ? SpoolName::fresh : SpoolName::segment, p.era);
    group.ops.push_back(file_op(SpoolOp::Kind::rename, file.name, name));
    file.name = std::move(name);
    renamed = true;
  }
  if (renamed) group.ops.push_back(file_op(SpoolOp::Kind::sync_names));
  for (size_t next = 0; next < pending_.size();) write_segment(group, next);
  writing_to_ = group.last_lsn;
  pending_.clear();
  pending_bytes_ = 0;
  under_way_ = UnderWay::writing;
}

// One write and one sync with all pending records from `next` on that go to the same segment.
void SpoolLog::write_segment(SpoolGroup& group, size_t& next) {
  const Pending& begin = pending_[next];
  const uint64_t era = begin.era;
  const bool fresh = era == first_era_;
  SpoolFile& file = segments_.at(era).file;
  if (fresh) {  // its records are synced before its name stands: they need no copy at the next
                // start
    std::string header;
    encode_segment_header({era, local_id_, begin.header.lsn, group.last_lsn}, header);
    group.records.replace(begin.at - kSegmentHeaderBytes, kSegmentHeaderBytes, header);
  }
  SpoolOp write = file_op(SpoolOp::Kind::write, file.name);
  write.offset = begin.first ? 0 : begin.offset;
  write.first_piece = group.pieces.size();
  const uint32_t seed = record_seed(era, local_id_);
  const std::string_view all = group.records;
  size_t from = begin.first ? begin.at - kSegmentHeaderBytes : begin.at;
  size_t to = from;
  for (; next < pending_.size() && pending_[next].era == era; ++next) {
    Pending& p = pending_[next];
    const std::string_view body = p.batch
                                      ? std::string_view(p.batch->head)
                                      : all.substr(p.at + kRecordHeaderBytes, p.header.body_len);
    p.header.durable_lsn = durable_lsn_;
    p.header.crc = record_crc(p.header, body, seed);
    patch_record_header(p.header, group.records, p.at);
    to = p.at + kRecordHeaderBytes + (p.batch ? 0 : p.header.body_len);
    if (!p.batch) continue;
    group.pieces.push_back(all.substr(from, to - from));
    group.pieces.push_back(p.batch->head);
    group.pieces.push_back(p.batch->payload);
    from = to;
  }
  if (to > from) group.pieces.push_back(all.substr(from, to - from));
  write.pieces = group.pieces.size() - write.first_piece;
  group.ops.push_back(std::move(write));
  group.ops.push_back(file_op(SpoolOp::Kind::sync, file.name));
  if (!fresh) return;
  std::string name = spool_name(SpoolName::segment, era);
  group.ops.push_back(file_op(SpoolOp::Kind::rename, file.name, name));
  group.ops.push_back(file_op(SpoolOp::Kind::sync_names));
  file.name = std::move(name);
}

void SpoolLog::done() {
  switch (under_way_) {
    case UnderWay::nothing: TAILRACE_CHECK(false, "no group is under way"); break;
    case UnderWay::removing:
      for (size_t i = 0; i < removing_; ++i) used_bytes_ -= doomed_[i].bytes;
      doomed_.erase(doomed_.begin(), doomed_.begin() + static_cast<ptrdiff_t>(removing_));
      break;
    case UnderWay::making: {
      used_bytes_ += making_.bytes;
      trouble_.clear();
      const auto lacks = std::find_if(segments_.begin(), segments_.end(), [&](const auto& s) {
        return s.second.file.name.empty() && s.second.file.bytes == making_.bytes;
      });
      if (lacks != segments_.end())
        lacks->second.file.name = std::move(making_.name);
      else
        spares_.push_back(std::move(making_));
      break;
    }
    case UnderWay::writing:
      durable_lsn_ = writing_to_;
      first_era_ = 0;
      break;
  }
  under_way_ = UnderWay::nothing;
}

void SpoolLog::failed(const Error& error, int64_t now_ms) {
  if (error.kind != Error::Kind::retry_later || under_way_ != UnderWay::making) {
    broken_ = true;
    return;
  }
  trouble_ = error.text;
  retry_at_ms_ = now_ms + kRetryMs;
  under_way_ = UnderWay::nothing;
}

void SpoolLog::reuse(SpoolGroup group) {
  group.ops.clear();
  group.pieces.clear();
  group.records.clear();
  group.batches.clear();
  group.last_lsn = 0;
  memory_ = std::move(group);
}

}  // namespace tailrace
