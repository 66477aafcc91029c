// Snappy in the blocks of Hadoop's BlockCompressorStream, which .snappy files are made of: the raw
// length of the block, then chunks of it, each behind its compressed length; big-endian. There is
// no checksum. docs/formats.md, "Published files".
#include <snappy.h>

#include <algorithm>

#include "flow/codec_parts.h"

namespace tailrace {

namespace {

constexpr size_t kLengthBytes = 4;
// Readers have a buffer of 256 KiB for a chunk, raw and compressed: what does not compress grows.
constexpr size_t kMostChunkBytes = 192u << 10;
constexpr size_t kMostPackedBytes = 256u << 10;

uint32_t length_at(const char* at) {
  const auto* b = reinterpret_cast<const unsigned char*>(at);
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
}

void put_length(char* at, size_t n) {
  for (size_t i = 0; i < kLengthBytes; ++i) at[i] = static_cast<char>(n >> (24 - 8 * i) & 0xFF);
}

// The raw length of a chunk; 0: it is none that a reader takes.
size_t raw_length(std::string_view chunk) {
  size_t raw = 0;
  if (!snappy::GetUncompressedLength(chunk.data(), chunk.size(), &raw)) return 0;
  return raw <= kMostChunkBytes ? raw : 0;
}

Error broken(const char* what) {
  return Error{Error::Kind::corrupt, std::string("broken snappy data: ") + what};
}

class SnappyCompressor : public Compressor {
 public:
  // Nothing for nothing: readers take an empty block for the end of the file.
  void compress(std::string_view raw, std::string& out) override {
    out.clear();
    if (raw.empty()) return;
    const size_t bound = kLengthBytes + snappy::MaxCompressedLength(kMostChunkBytes);
    const size_t chunks = (raw.size() + kMostChunkBytes - 1) / kMostChunkBytes;
    if (kLengthBytes + chunks * bound > room_) {
      room_ = kLengthBytes + chunks * bound;
      block_ = std::make_unique_for_overwrite<char[]>(room_);
    }
    put_length(block_.get(), raw.size());
    size_t used = kLengthBytes;
    for (; !raw.empty(); raw.remove_prefix(std::min(raw.size(), kMostChunkBytes))) {
      size_t packed = 0;
      snappy::RawCompress(raw.data(), std::min(raw.size(), kMostChunkBytes),
                          block_.get() + used + kLengthBytes, &packed);
      put_length(block_.get() + used, packed);
      used += kLengthBytes + packed;
    }
    out.assign(block_.get(), used);
  }

 private:
  std::unique_ptr<char[]> block_;  // as long as the worst case; `out` gets what is used of it
  size_t room_ = 0;
};

class SnappyInflater : public Inflater {
 public:
  Result<void> inflate(std::string_view member, size_t raw_len, std::string& out) override {
    out.clear();
    if (!snappy_block_says(member, raw_len)) return broken("not one block of that length");
    out.resize(raw_len);
    size_t done = 0;
    if (!member.empty()) member.remove_prefix(kLengthBytes);
    while (!member.empty()) {
      const std::string_view chunk = member.substr(kLengthBytes, length_at(member.data()));
      if (!snappy::RawUncompress(chunk.data(), chunk.size(), out.data() + done))
        return broken("a chunk");
      done += raw_length(chunk);
      member.remove_prefix(kLengthBytes + chunk.size());
    }
    return {};
  }
};

// Keeps what is not a whole chunk yet.
class SnappyFileInflater : public FileInflater {
 public:
  Result<void> feed(std::string_view in, std::string& out) override {
    waiting_.append(in);
    std::string_view rest = waiting_;
    while (rest.size() >= kLengthBytes) {
      const size_t length = length_at(rest.data());
      if (left_ == 0) {
        if (length == 0) return broken("an empty block, which readers take for the end");
        left_ = length;
        rest.remove_prefix(kLengthBytes);
        continue;
      }
      if (length > kMostPackedBytes) return broken("a chunk longer than readers take");
      if (rest.size() < kLengthBytes + length) break;
      const std::string_view chunk = rest.substr(kLengthBytes, length);
      const size_t raw = raw_length(chunk);
      if (raw == 0 || raw > left_) return broken("a chunk of another length than its block has");
      const size_t before = out.size();
      out.resize(before + raw);
      if (!snappy::RawUncompress(chunk.data(), chunk.size(), out.data() + before)) {
        out.resize(before);
        return broken("a chunk");
      }
      left_ -= raw;
      rest.remove_prefix(kLengthBytes + length);
    }
    waiting_.erase(0, waiting_.size() - rest.size());
    return {};
  }

  Result<void> finish() override {
    if (left_ == 0 && waiting_.empty()) return {};
    return Error{Error::Kind::corrupt, "the file ends inside a block"};
  }

 private:
  std::string waiting_;
  size_t left_ = 0;  // raw bytes of the block that have not come yet
};

}  // namespace

std::unique_ptr<Compressor> make_snappy_compressor() {
  return std::make_unique<SnappyCompressor>();
}
std::unique_ptr<Inflater> make_snappy_inflater() { return std::make_unique<SnappyInflater>(); }
std::unique_ptr<FileInflater> make_snappy_file_inflater() {
  return std::make_unique<SnappyFileInflater>();
}

bool snappy_block_says(std::string_view payload, size_t raw_len) {
  if (raw_len == 0) return payload.empty();
  if (payload.size() < kLengthBytes || length_at(payload.data()) != raw_len) return false;
  payload.remove_prefix(kLengthBytes);
  size_t said = 0;
  while (payload.size() >= kLengthBytes && said < raw_len) {
    const size_t length = length_at(payload.data());
    if (length > kMostPackedBytes || payload.size() - kLengthBytes < length) return false;
    const size_t raw = raw_length(payload.substr(kLengthBytes, length));
    if (raw == 0) return false;
    said += raw;
    payload.remove_prefix(kLengthBytes + length);
  }
  return payload.empty() && said == raw_len;
}

}  // namespace tailrace
