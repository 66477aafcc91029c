#include "sinks/format/line_file.h"

#include <algorithm>

#include "base/mutant.h"

namespace tailrace {

namespace {
// From here on a member is handed to the file without being copied first.
constexpr size_t kLargeMember = 64u << 10;
constexpr size_t kCopyBytes = 1u << 20;
// Before the first pack is compressed: what logs usually come to.
constexpr uint64_t kUsualRatio = 6;
}  // namespace

LineFile::LineFile(std::unique_ptr<StagedFile> file, Codec codec, FileFormat format,
                   const SyncMark& sync)
    : file_(std::move(file)), codec_(codec), format_(format), sync_(sync) {
  if (!is_sequence()) return;
  gathered_ = SequenceEncoder(codec_, sync_).header();
  size_ = gathered_.size();
  hash_.update(gathered_);
}

Result<void> LineFile::append(LaneTag tag, const StreamKey& key, const BatchFields& fields,
                              std::string_view payload) {
  const bool raw = is_sequence() || fields.payload_codec == Codec::none;
  if (!raw && fields.payload_codec != codec_)
    return Error{Error::Kind::rejected, std::string(codec_name(fields.payload_codec)) +
                                            " data for a file of " +
                                            std::string(codec_name(codec_))};
  const bool alone = is_sequence() ? payload.size() >= kPackBytes : fields.payload_codec == codec_;
  if (alone) {
    if (auto r = flush_lines_of(tag, key); !r) return r;
    if (auto r = add_alone(tag, fields, payload); !r) return r;
  } else {
    if (auto r = add_to_pack(pack_of(tag), key, fields, payload); !r) return r;
  }
  lines_ += fields.count;
  raw_bytes_ += fields.raw_len;
  return {};
}

Result<void> LineFile::add_alone(LaneTag tag, const BatchFields& fields, std::string_view payload) {
  const Extent what{tag, 0, 0, fields.count, fields.raw_len};
  if (!is_sequence()) return add_member(what, payload);
  const TimedLines lines{fields.first_read_ms, payload};
  std::string blocks;
  SequenceEncoder(codec_, sync_).encode({&lines, 1}, blocks);
  return add_member(what, blocks);
}

LineFile::Pack& LineFile::pack_of(LaneTag tag) {
  const auto found = std::find_if(packs_.begin(), packs_.end(), [tag](const Pack& p) {
    return p.tag == tag || mutant(Mutant::pack_across_lanes);
  });
  if (found != packs_.end()) return *found;
  Pack& pack = packs_.emplace_back();
  pack.tag = tag;
  return pack;
}

// Earlier lines of a stream come before its next member; other streams' may wait on.
Result<void> LineFile::flush_lines_of(LaneTag tag, const StreamKey& key) {
  for (Pack& pack : packs_)
    if (pack.tag == tag &&
        std::find(pack.streams.begin(), pack.streams.end(), key) != pack.streams.end())
      return flush(pack);
  return {};
}

Result<void> LineFile::add_to_pack(Pack& pack, const StreamKey& key, const BatchFields& fields,
                                   std::string_view payload) {
  // Flushed by what comes after it is full, so that a failure leaves all as it was.
  if (pack.raw.size() >= kPackBytes)
    if (auto r = flush(pack); !r) return r;
  pack.raw.append(payload);
  pack.lines += fields.count;
  if (is_sequence()) pack.runs.push_back({fields.first_read_ms, payload.size()});
  waiting_ += payload.size();
  if (pack.streams.empty() || pack.streams.back() != key) pack.streams.push_back(key);
  return {};
}

// With a compressor made for this pack alone: about a tenth of its work, where one kept by every
// open file would hold several hundred KiB for nothing.
std::string LineFile::member_of(const Pack& pack) const {
  std::string member;
  if (is_sequence()) {
    std::vector<TimedLines> lines;
    size_t at = 0;
    for (const Pack::Run& run : pack.runs) {
      lines.push_back({run.read_ms, std::string_view(pack.raw).substr(at, run.bytes)});
      at += run.bytes;
    }
    SequenceEncoder(codec_, sync_).encode(lines, member);
  } else {
    make_compressor(codec_)->compress(pack.raw, member);
  }
  return member;
}

Result<void> LineFile::flush(Pack& pack) {
  if (pack.raw.empty()) return {};
  const Extent what{pack.tag, 0, 0, pack.lines, pack.raw.size()};
  const std::string member = member_of(pack);
  if (auto r = add_member(what, member); !r) return r;
  packed_raw_ += pack.raw.size();
  packed_size_ += member.size();
  waiting_ -= pack.raw.size();
  pack.raw.clear();
  pack.lines = 0;
  pack.streams.clear();
  pack.runs.clear();
  return {};
}

// Either all of the bytes are taken (gathered or written), or nothing has changed.
Result<void> LineFile::add_member(const Extent& what, std::string_view bytes) {
  if (bytes.size() < kLargeMember && gathered_.size() + bytes.size() < kWriteBytes)
    gathered_.append(bytes);
  else if (auto r = write_gathered(bytes); !r)
    return r;
  hash_.update(bytes);
  if (extents_.empty() || extents_.back().tag != what.tag)
    extents_.push_back({what.tag, size_, size_, 0, 0});
  size_ += bytes.size();
  Extent& extent = extents_.back();
  extent.end = size_;
  extent.lines += what.lines;
  extent.raw_bytes += what.raw_bytes;
  return {};
}

Result<void> LineFile::write_gathered(std::string_view behind) {
  pieces_.assign({std::string_view(gathered_), behind});
  if (auto r = file_->append(pieces_); !r) return r;
  gathered_.clear();
  return {};
}

uint64_t LineFile::estimated_size() const {
  if (packed_raw_ == 0) return size_ + waiting_ / kUsualRatio;
  const double ratio = static_cast<double>(packed_size_) / static_cast<double>(packed_raw_);
  return size_ + static_cast<uint64_t>(static_cast<double>(waiting_) * ratio);
}

Result<void> LineFile::finish() {
  for (Pack& pack : packs_)
    if (auto r = flush(pack); !r) return r;
  packs_ = {};
  if (!gathered_.empty())
    if (auto r = write_gathered({}); !r) return r;
  gathered_ = {};
  if (!mutant(Mutant::file_unsynced))
    if (auto r = file_->finish(); !r) return r;
  TAILRACE_CHECK(file_->size() == size_, "a file is not as long as its members");
  return {};
}

Result<std::unique_ptr<LineFile>> LineFile::cut(const std::function<bool(LaneTag)>& keep,
                                                std::unique_ptr<StagedFile> into) {
  for (Pack& pack : packs_)
    if (keep(pack.tag))
      if (auto r = flush(pack); !r) return r.error();
  if (!gathered_.empty())
    if (auto r = write_gathered({}); !r) return r.error();
  auto rest = std::make_unique<LineFile>(std::move(into), codec_, format_, sync_);
  for (const Extent& extent : extents_)
    if (keep(extent.tag))
      if (auto r = copy_extent(extent, *rest); !r) return r.error();
  return rest;
}

Result<void> LineFile::copy_extent(const Extent& extent, LineFile& into) {
  for (uint64_t at = extent.begin; at < extent.end; at += kCopyBytes) {
    auto bytes = file_->read(at, std::min<uint64_t>(kCopyBytes, extent.end - at));
    if (!bytes) return bytes.error();
    const bool last = at + kCopyBytes >= extent.end;
    const Extent what{extent.tag, 0, 0, last ? extent.lines : 0, last ? extent.raw_bytes : 0};
    if (auto r = into.add_member(what, *bytes); !r) return r;
  }
  into.lines_ += extent.lines;
  into.raw_bytes_ += extent.raw_bytes;
  return {};
}

}  // namespace tailrace
