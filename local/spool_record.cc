#include "local/spool_record.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mutant.h"

namespace tailrace {

namespace {

constexpr std::string_view kMagic = "TLRSPOOL";
constexpr size_t kNameDigits = 10;

constexpr std::string_view ending(SpoolName kind) {
  switch (kind) {
    case SpoolName::segment: return ".seg";
    case SpoolName::fresh: return ".new";
    case SpoolName::spare: return ".free";
    case SpoolName::other: break;
  }
  return "";
}

void put_position(ByteWriter& w, const Position& p) {
  w.u64(p.seq);
  w.u64(p.chain);
}

Position take_position(ByteReader& r) {
  Position p;
  p.seq = r.u64();
  p.chain = r.u64();
  return p;
}

StreamInfo take_stream(ByteReader& r) {
  StreamInfo s;
  s.stream = r.u32();
  s.sub = r.u8();
  s.category = r.text16();
  return s;
}

void put_stream(ByteWriter& w, const StreamInfo& s) {
  w.u32(s.stream);
  w.u8(s.sub);
  w.text16(s.category);
}

void put_file(ByteWriter& w, const FileInfo& f) {
  w.u32(f.file);
  w.u32(f.generation);
  w.u64(f.next);
  w.u32(f.head_hash);
  w.u32(f.tail_hash);
  w.text16(f.identity);
  w.text16(f.path);
}

FileInfo take_file(ByteReader& r) {
  FileInfo f;
  f.file = r.u32();
  f.generation = r.u32();
  f.next = r.u64();
  f.head_hash = r.u32();
  f.tail_hash = r.u32();
  f.identity = r.text16();
  f.path = r.text16();
  return f;
}

void put_cursor(ByteWriter& w, const CursorInfo& c) {
  w.u64(c.sink);
  w.u32(c.stream);
  put_position(w, c.at);
}

CursorInfo take_cursor(ByteReader& r) {
  CursorInfo c;
  c.sink = r.u64();
  c.stream = r.u32();
  c.at = take_position(r);
  return c;
}

void put_gap(ByteWriter& w, const GapInfo& g) {
  w.u32(g.stream);
  w.u64(g.first_seq);
  w.u64(g.count);
  w.u64(g.chain_after);
  w.text16(g.reason);
  w.u16(static_cast<uint16_t>(g.sinks.size()));
  for (const uint64_t sink : g.sinks) w.u64(sink);
  if (!g.given_up()) return;
  w.u32(static_cast<uint32_t>(g.ends.size()));
  for (const Position& end : g.ends) put_position(w, end);
}

using Ways = std::set<std::pair<uint64_t, StreamId>>;

void put_ways(ByteWriter& w, const Ways& ways) {
  w.u32(static_cast<uint32_t>(ways.size()));
  for (const auto& [sink, stream] : ways) {
    w.u64(sink);
    w.u32(stream);
  }
}

Ways take_ways(ByteReader& r) {
  Ways ways;
  for (uint32_t n = r.u32(); n > 0 && r.ok(); --n) {
    const uint64_t sink = r.u64();
    ways.emplace(sink, r.u32());
  }
  return ways;
}

GapInfo take_gap(ByteReader& r) {
  GapInfo g;
  g.stream = r.u32();
  g.first_seq = r.u64();
  g.count = r.u64();
  g.chain_after = r.u64();
  g.reason = r.text16();
  const uint16_t sinks = r.u16();
  for (uint16_t i = 0; i < sinks && r.ok(); ++i) g.sinks.push_back(r.u64());
  for (uint32_t n = g.given_up() ? r.u32() : 0; n > 0 && r.ok(); --n)
    g.ends.push_back(take_position(r));
  if (g.count > UINT64_MAX - g.first_seq) r.fail();
  return g;
}

template <class T>
std::optional<T> whole(const ByteReader& r, T value) {
  if (!r.ok()) return std::nullopt;
  return value;
}

}  // namespace

bool known_record_type(uint8_t type) {
  return type >= static_cast<uint8_t>(RecordType::snapshot) &&
         type <= static_cast<uint8_t>(RecordType::origin);
}

std::string spool_name(SpoolName kind, uint64_t number) {
  char digits[kNameDigits];
  for (size_t i = kNameDigits; i-- > 0; number >>= 4) digits[i] = "0123456789abcdef"[number & 15];
  std::string name(digits, kNameDigits);
  name += ending(kind);
  return name;
}

std::pair<SpoolName, uint64_t> parse_spool_name(std::string_view name) {
  if (name.size() <= kNameDigits) return {SpoolName::other, 0};
  uint64_t number = 0;
  for (const char c : name.substr(0, kNameDigits)) {
    if (c >= '0' && c <= '9')
      number = number << 4 | static_cast<uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      number = number << 4 | static_cast<uint64_t>(c - 'a' + 10);
    else
      return {SpoolName::other, 0};
  }
  for (const SpoolName kind : {SpoolName::segment, SpoolName::fresh, SpoolName::spare})
    if (name.substr(kNameDigits) == ending(kind)) return {kind, number};
  return {SpoolName::other, 0};
}

void encode_segment_header(const SegmentHeader& h, std::string& out) {
  ByteWriter w(out);
  const size_t start = w.size();
  w.raw(kMagic);
  w.u8(kSpoolVersion);
  for (int i = 0; i < 7; ++i) w.u8(0);  // reserved
  w.u64(h.era);
  w.u64(h.local_id);
  w.u64(h.first_lsn);
  w.u64(h.durable_lsn);
  w.u64(0);  // reserved
  w.u32(0);  // reserved
  w.u32(crc32c(std::string_view(out).substr(start)));
  TAILRACE_CHECK(w.size() - start == kSegmentHeaderBytes, "the layout and its size disagree");
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes) {
  const Error damaged{Error::Kind::corrupt, "the segment's header is damaged"};
  if (bytes.size() < kSegmentHeaderBytes) return damaged;
  bytes = bytes.substr(0, kSegmentHeaderBytes);
  ByteReader r(bytes);
  if (r.raw(kMagic.size()) != kMagic) return damaged;
  const uint8_t version = r.u8();
  r.raw(7);
  SegmentHeader h;
  h.era = r.u64();
  h.local_id = r.u64();
  h.first_lsn = r.u64();
  h.durable_lsn = r.u64();
  r.raw(12);
  const size_t covered = kSegmentHeaderBytes - sizeof(uint32_t);
  if (r.u32() != crc32c(bytes.substr(0, covered))) return damaged;
  if (version != kSpoolVersion)
    return Error{Error::Kind::rejected,
                 "the spool was written in format " + std::to_string(version) +
                     ", this program reads format " + std::to_string(kSpoolVersion) +
                     ": start the version that wrote it, let it deliver everything, then upgrade"};
  return h;
}

uint32_t record_seed(uint64_t era, uint64_t local_id) {
  std::string bytes;
  ByteWriter w(bytes);
  w.u64(era);
  w.u64(local_id);
  return crc32c(bytes);
}

namespace {
// The header with a crc field of 0.
void fill_header(const RecordHeader& h, char (&b)[kRecordHeaderBytes]) {
  const auto type = static_cast<uint8_t>(h.type);
  std::memcpy(b, &h.body_len, 4);
  std::memcpy(b + 4, &h.payload_len, 4);
  std::memset(b + 8, 0, 4);
  std::memcpy(b + 12, &type, 1);
  std::memcpy(b + 13, &h.lsn, 8);
  std::memcpy(b + 21, &h.durable_lsn, 8);
}
}  // namespace

uint32_t record_crc(const RecordHeader& header, std::string_view body, uint32_t seed) {
  char b[kRecordHeaderBytes];
  fill_header(header, b);
  uint32_t crc = crc32c({b, 8}, seed);
  crc = crc32c({b + 12, kRecordHeaderBytes - 12}, crc);
  return crc32c(body, crc);
}

void encode_record_header(const RecordHeader& header, std::string& out) {
  const size_t at = out.size();
  out.resize(at + kRecordHeaderBytes);
  patch_record_header(header, out, at);
}

void patch_record_header(const RecordHeader& header, std::string& in, size_t offset) {
  char b[kRecordHeaderBytes];
  fill_header(header, b);
  std::memcpy(b + 8, &header.crc, 4);
  std::memcpy(in.data() + offset, b, sizeof b);
}

RecordHeader decode_record_header(std::string_view bytes) {
  ByteReader r(bytes);
  RecordHeader h;
  h.body_len = r.u32();
  h.payload_len = r.u32();
  h.crc = r.u32();
  h.type = static_cast<RecordType>(r.u8());
  h.lsn = r.u64();
  h.durable_lsn = r.u64();
  return h;
}

void encode_snapshot(const SpoolTables& t, std::string& out) {
  ByteWriter w(out);
  w.u64(t.local_id);
  w.u64(t.start);
  w.u64(t.start_before);
  w.u32(static_cast<uint32_t>(t.streams.size()));
  for (const auto& [id, s] : t.streams) {
    put_stream(w, s);
    put_position(w, s.next);
    put_position(w, s.oldest);
  }
  w.u32(static_cast<uint32_t>(t.files.size()));
  for (const auto& [id, f] : t.files) put_file(w, f);
  w.u32(static_cast<uint32_t>(t.cursors.size()));
  for (const auto& [key, at] : t.cursors) put_cursor(w, {key.first, key.second, at});
  w.u32(static_cast<uint32_t>(t.gaps.size()));
  for (const auto& [key, g] : t.gaps) put_gap(w, g);
  if ((t.waits.empty() && t.origins.empty()) || mutant(Mutant::waits_unwritten)) return;
  put_ways(w, t.waits);
  put_ways(w, t.origins);
}

std::optional<SpoolTables> decode_snapshot(std::string_view body) {
  ByteReader r(body);
  SpoolTables t;
  t.local_id = r.u64();
  t.start = r.u64();
  t.start_before = r.u64();
  for (uint32_t n = r.u32(); n > 0 && r.ok(); --n) {
    StreamInfo s = take_stream(r);
    s.next = take_position(r);
    s.oldest = take_position(r);
    t.streams.emplace(s.stream, std::move(s));
  }
  for (uint32_t n = r.u32(); n > 0 && r.ok(); --n) {
    FileInfo f = take_file(r);
    t.files.emplace(f.file, std::move(f));
  }
  for (uint32_t n = r.u32(); n > 0 && r.ok(); --n) {
    const CursorInfo c = take_cursor(r);
    t.cursors.emplace(std::pair(c.sink, c.stream), c.at);
  }
  for (uint32_t n = r.u32(); n > 0 && r.ok(); --n) {
    GapInfo g = take_gap(r);
    t.gaps.emplace(std::pair(g.stream, g.first_seq), std::move(g));
  }
  if (r.ok() && r.remaining() > 0) {
    t.waits = take_ways(r);
    t.origins = take_ways(r);
  }
  return whole(r, std::move(t));
}

void encode_start(uint64_t start, std::string& out) { ByteWriter(out).u64(start); }
void encode_stream_def(const StreamInfo& s, const std::set<uint64_t>& ahead, std::string& out) {
  ByteWriter w(out);
  put_stream(w, s);
  if (ahead.empty() || mutant(Mutant::waits_unwritten)) return;
  w.u16(static_cast<uint16_t>(ahead.size()));
  for (const uint64_t sink : ahead) w.u64(sink);
}
void encode_file_def(const FileInfo& f, std::string& out) {
  ByteWriter w(out);
  put_file(w, f);
}
void encode_file_gone(FileId file, std::string& out) { ByteWriter(out).u32(file); }
void encode_cursor(const CursorInfo& c, std::string& out) {
  ByteWriter w(out);
  put_cursor(w, c);
}
void encode_gap(const GapInfo& g, std::string& out) {
  ByteWriter w(out);
  put_gap(w, g);
}
void encode_file_gap(const FileGapInfo& g, std::string& out) {
  ByteWriter w(out);
  w.u32(g.file);
  w.u64(g.start);
  w.u64(g.end);
  w.text16(g.reason);
}
void encode_watermark(StreamId stream, Bucket bucket, std::string& out) {
  ByteWriter w(out);
  w.u32(stream);
  w.u32(bucket);
}
void encode_retire(uint64_t local_id, std::string& out) { ByteWriter(out).u64(local_id); }

std::optional<uint64_t> decode_start(std::string_view body) {
  ByteReader r(body);
  const uint64_t start = r.u64();
  return whole(r, start);
}
std::optional<StreamDefined> decode_stream_def(std::string_view body) {
  ByteReader r(body);
  StreamDefined d{take_stream(r), {}};
  for (uint16_t n = r.ok() && r.remaining() > 0 ? r.u16() : 0; n > 0 && r.ok(); --n)
    d.ahead.insert(r.u64());
  return whole(r, std::move(d));
}
std::optional<FileInfo> decode_file_def(std::string_view body) {
  ByteReader r(body);
  FileInfo f = take_file(r);
  return whole(r, std::move(f));
}
std::optional<FileId> decode_file_gone(std::string_view body) {
  ByteReader r(body);
  const FileId file = r.u32();
  return whole(r, file);
}
std::optional<CursorInfo> decode_cursor(std::string_view body) {
  ByteReader r(body);
  const CursorInfo c = take_cursor(r);
  return whole(r, c);
}
std::optional<GapInfo> decode_gap(std::string_view body) {
  ByteReader r(body);
  GapInfo g = take_gap(r);
  return whole(r, std::move(g));
}
std::optional<FileGapInfo> decode_file_gap(std::string_view body) {
  ByteReader r(body);
  FileGapInfo g;
  g.file = r.u32();
  g.start = r.u64();
  g.end = r.u64();
  g.reason = r.text16();
  return whole(r, std::move(g));
}

}  // namespace tailrace
