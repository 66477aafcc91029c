#include "sinks/format/sequence_file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "sinks/format/sequence_parts.h"

namespace tailrace {

namespace {

constexpr size_t kBlockBytes = 2u << 20;  // of values, as a batch has at most but for a long line
constexpr uint32_t kBlockRecords = 65'536;
constexpr size_t kKeyBytes = 8;

void put_big_endian(std::string& out, uint64_t n, size_t bytes) {
  for (size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(n >> (8 * i) & 0xFF));
}

// Hadoop's VInt: one byte up to 127, else how many bytes follow, then these.
void put_vint(std::string& out, uint64_t n) {
  if (n <= 127) return out.push_back(static_cast<char>(n));
  size_t bytes = 1;
  while (n >> (8 * bytes) != 0) ++bytes;
  out.push_back(static_cast<char>(-112 - static_cast<int>(bytes)));
  put_big_endian(out, n, bytes);
}

void put_text(std::string& out, std::string_view text) {
  put_vint(out, text.size());
  out.append(text);
}

}  // namespace

SyncMark make_sync_mark(Rng& rng) {
  const std::array<uint64_t, 2> random = {rng.next(), rng.next()};
  SyncMark mark;
  std::memcpy(mark.data(), random.data(), mark.size());
  return mark;
}

SequenceEncoder::SequenceEncoder(Codec codec, const SyncMark& sync) : codec_(codec), sync_(sync) {
  if (codec != Codec::none) compressor_ = make_compressor(codec);
}

std::string SequenceEncoder::header() const {
  std::string out(sequence::kMagic);
  put_text(out, sequence::kKeyClass);
  put_text(out, sequence::kValueClass);
  const bool compressed = codec_ != Codec::none;
  out.append(2, compressed ? '\1' : '\0');  // compressed, and that in blocks
  if (compressed) put_text(out, sequence::codec_class(codec_));
  put_big_endian(out, 0, 4);  // no metadata
  out.append(sync_.data(), sync_.size());
  return out;
}

void SequenceEncoder::encode(std::span<const TimedLines> lines, std::string& out) {
  size_t bytes = 0;
  for (const TimedLines& timed : lines) bytes += timed.lines.size();
  values_.reserve(std::min(bytes, kBlockBytes) * 17 / 16);  // most of a line's length is one byte
  for (const TimedLines& timed : lines)
    for (std::string_view rest = timed.lines; !rest.empty();) {
      const size_t end = rest.find('\n');
      TAILRACE_CHECK(end != std::string_view::npos, "a line without its newline");
      add(timed.ms, rest.substr(0, end));
      rest.remove_prefix(end + 1);
      if (values_.size() >= kBlockBytes || records_ >= kBlockRecords) close_block(out);
    }
  if (records_ > 0) close_block(out);
}

void SequenceEncoder::add(int64_t ms, std::string_view line) {
  ++records_;
  const size_t before = values_.size();
  if (codec_ == Codec::none) {
    put_big_endian(values_, 0, 4);  // the record's length, once it is known
    put_big_endian(values_, kKeyBytes, 4);
    put_big_endian(values_, static_cast<uint64_t>(ms), kKeyBytes);
    put_text(values_, line);
    const size_t length = values_.size() - before - 8;
    for (size_t i = 0; i < 4; ++i)
      values_[before + i] = static_cast<char>(length >> (24 - 8 * i) & 0xFF);
    return;
  }
  put_vint(key_lengths_, kKeyBytes);
  put_big_endian(keys_, static_cast<uint64_t>(ms), kKeyBytes);
  put_text(values_, line);
  put_vint(value_lengths_, values_.size() - before);
}

void SequenceEncoder::put_sync(std::string& out) const {
  out.append(4, '\xFF');
  out.append(sync_.data(), sync_.size());
}

void SequenceEncoder::close_block(std::string& out) {
  put_sync(out);
  if (codec_ == Codec::none) {
    out.append(values_);
  } else {
    put_vint(out, records_);
    for (const std::string* buffer : {&key_lengths_, &keys_, &value_lengths_, &values_}) {
      compressor_->compress(*buffer, packed_);
      put_text(out, packed_);
    }
  }
  for (std::string* buffer : {&key_lengths_, &keys_, &value_lengths_, &values_}) buffer->clear();
  records_ = 0;
}

}  // namespace tailrace
