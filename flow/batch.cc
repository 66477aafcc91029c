#include "flow/batch.h"

#include "base/bytes.h"

namespace tailrace {

namespace {
constexpr size_t kFixedBytes = 100;
constexpr size_t kChainOffset = 44;
constexpr size_t kSourceBytes = 32;
constexpr size_t kMarkedBytes = 5;

bool known_codec(uint8_t c) { return c <= static_cast<uint8_t>(Codec::snappy); }

Error corrupt(const char* what) {
  return Error{Error::Kind::corrupt, std::string("batch head: ") + what};
}
}  // namespace

uint32_t source_hash(std::string_view bytes) { return static_cast<uint32_t>(xxh3(bytes)); }

void encode_batch_head(const BatchFields& f, const std::vector<SourceRange>& src,
                       const std::vector<MarkedLine>& marked, std::string& out) {
  TAILRACE_CHECK(src.size() <= kMaxSourceRanges, "too many source ranges in a batch");
  ByteWriter w(out);
  const size_t start = w.size();
  w.u8(kBatchVersion);
  w.u8(static_cast<uint8_t>(f.payload_codec));
  w.u8(static_cast<uint8_t>(f.file_codec));
  w.u8(static_cast<uint8_t>(f.envelope));
  w.u16(f.flags);
  w.u8(f.sub);
  w.u8(0);  // reserved
  w.u32(f.stream);
  w.u32(f.count);
  w.u64(f.first_seq);
  w.u32(f.raw_len);
  w.u32(f.payload_len);
  w.u32(f.payload_crc);
  w.u32(f.bucket);
  w.u16(static_cast<uint16_t>(src.size()));
  w.u16(static_cast<uint16_t>(marked.size()));
  w.u64(f.chain_before);
  w.u64(f.chain_after);
  w.i64(f.first_read_ms);
  w.i64(f.last_read_ms);
  w.i64(f.least_event_ms);
  w.i64(f.greatest_event_ms);
  w.u64(0);  // reserved
  TAILRACE_CHECK(w.size() - start == kFixedBytes, "the layout and its size disagree");
  for (const SourceRange& s : src) {
    w.u32(s.file);
    w.u64(s.start);
    w.u64(s.end);
    w.u32(s.lines);
    w.u32(s.head_hash);
    w.u32(s.tail_hash);
  }
  for (const MarkedLine& m : marked) {
    w.u32(m.line);
    w.u8(m.mark);
  }
}

Result<BatchHead> BatchHead::parse(std::string_view bytes) {
  ByteReader r(bytes);
  BatchHead h;
  BatchFields& f = h.fields_;
  const uint8_t version = r.u8();
  if (r.ok() && version != kBatchVersion) return corrupt("unknown version");
  const uint8_t payload_codec = r.u8();
  const uint8_t file_codec = r.u8();
  const uint8_t envelope = r.u8();
  f.flags = r.u16();
  f.sub = r.u8();
  r.u8();
  f.stream = r.u32();
  f.count = r.u32();
  f.first_seq = r.u64();
  f.raw_len = r.u32();
  f.payload_len = r.u32();
  f.payload_crc = r.u32();
  f.bucket = r.u32();
  h.sources_ = r.u16();
  h.marked_ = r.u16();
  f.chain_before = r.u64();
  f.chain_after = r.u64();
  f.first_read_ms = r.i64();
  f.last_read_ms = r.i64();
  f.least_event_ms = r.i64();
  f.greatest_event_ms = r.i64();
  r.u64();
  if (!r.ok()) return corrupt("cut short");
  if (!known_codec(payload_codec) || !known_codec(file_codec)) return corrupt("unknown codec");
  if (envelope > 2) return corrupt("unknown envelope");
  f.payload_codec = static_cast<Codec>(payload_codec);
  f.file_codec = static_cast<Codec>(file_codec);
  f.envelope = static_cast<Envelope>(envelope);
  if (f.payload_codec != Codec::none && f.payload_codec != f.file_codec)
    return corrupt("payload and file codecs differ");
  if (f.count == 0 || f.raw_len < f.count) return corrupt("a line has no newline");
  if (f.raw_len > kMaxRawBytes) return corrupt("larger than a batch may be");
  if (f.payload_len == 0 || f.payload_len > kMaxRawBytes) return corrupt("no payload, or too much");
  if (f.payload_codec == Codec::none && f.payload_len != f.raw_len)
    return corrupt("raw length and payload length differ");
  if (f.first_seq > UINT64_MAX - f.count) return corrupt("sequence overflow");
  if (h.sources_ > kMaxSourceRanges) return corrupt("too many source ranges");
  if (r.remaining() != h.sources_ * kSourceBytes + h.marked_ * kMarkedBytes)
    return corrupt("lists and length disagree");
  h.bytes_ = bytes;
  uint64_t lines = 0;
  for (size_t i = 0; i < h.sources_; ++i) {
    const SourceRange s = h.source(i);
    if (s.start > s.end) return corrupt("a source range ends before it starts");
    lines += s.lines;
  }
  if (h.sources_ > 0 && lines != f.count) return corrupt("source ranges and line count disagree");
  for (size_t i = 0; i < h.marked_; ++i)
    if (h.marked(i).line >= f.count) return corrupt("a marked line lies outside");
  return h;
}

SourceRange BatchHead::source(size_t i) const {
  ByteReader r(bytes_.substr(kFixedBytes + i * kSourceBytes, kSourceBytes));
  SourceRange s;
  s.file = r.u32();
  s.start = r.u64();
  s.end = r.u64();
  s.lines = r.u32();
  s.head_hash = r.u32();
  s.tail_hash = r.u32();
  return s;
}

MarkedLine BatchHead::marked(size_t i) const {
  ByteReader r(
      bytes_.substr(kFixedBytes + sources_ * kSourceBytes + i * kMarkedBytes, kMarkedBytes));
  MarkedLine m;
  m.line = r.u32();
  m.mark = r.u8();
  return m;
}

void patch_batch_chains(std::string& head, uint64_t before, uint64_t after) {
  ByteWriter w(head);
  w.patch(kChainOffset, before);
  w.patch(kChainOffset + sizeof before, after);
}

}  // namespace tailrace
