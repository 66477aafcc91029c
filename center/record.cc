#include "center/record.h"

#include <type_traits>

#include "base/bytes.h"
#include "center/names.h"

namespace tailrace {

namespace {

// Each layout is written down once, as a function over a `Fields` that writes, reads or measures.
constexpr uint32_t kCommitMagic = 0x43524C54;        // "TLRC"
constexpr uint32_t kClaimMagic = 0x4F524C54;         // "TLRO"
constexpr uint32_t kManifestMagic = 0x4D524C54;      // "TLRM"
constexpr uint32_t kAnnouncementMagic = 0x41524C54;  // "TLRA"
constexpr uint32_t kSinkMagic = 0x53524C54;          // "TLRS"
constexpr size_t kHeadBytes = 9;                     // magic, version, length
constexpr size_t kCrcBytes = 4;
constexpr size_t kLengthOffset = 5;
constexpr size_t kMostText = UINT16_MAX;

// Integers travel as wide as they are declared.
template <class T>
struct WireType : std::make_unsigned<T> {};
template <class T>
requires std::is_enum_v<T>
struct WireType<T> : std::underlying_type<T> {
};

class Writing {
 public:
  explicit Writing(std::string& out) : w_(out) {}
  template <class T>
  void number(const T& v) {
    using Wire = typename WireType<T>::type;
    const Wire wire = static_cast<Wire>(v);
    if constexpr (sizeof wire == 1) w_.u8(wire);
    if constexpr (sizeof wire == 4) w_.u32(wire);
    if constexpr (sizeof wire == 8) w_.u64(wire);
  }
  void text(const std::string& v) {
    TAILRACE_CHECK(v.size() <= kMostText, "a text in a record is too long");
    w_.text16(v);
  }
  template <class T, class Each>
  void list(const std::vector<T>& items, Each each) {
    w_.u32(static_cast<uint32_t>(items.size()));
    for (const T& item : items) each(*this, item);
  }

 private:
  ByteWriter w_;
};

class Measuring {
 public:
  template <class T>
  void number(const T&) {
    bytes += sizeof(T);
  }
  void text(const std::string& v) { bytes += 2 + v.size(); }
  template <class T, class Each>
  void list(const std::vector<T>& items, Each each) {
    bytes += 4;
    for (const T& item : items) each(*this, item);
  }
  size_t bytes = 0;
};

class Reading {
 public:
  explicit Reading(std::string_view in) : r_(in) {}
  template <class T>
  void number(T& v) {
    if constexpr (sizeof v == 1) v = static_cast<T>(r_.u8());
    if constexpr (sizeof v == 4) v = static_cast<T>(r_.u32());
    if constexpr (sizeof v == 8) v = static_cast<T>(r_.u64());
  }
  void text(std::string& v) { v = r_.text16(); }
  // The count is not believed: items are made while there are bytes for them.
  template <class T, class Each>
  void list(std::vector<T>& items, Each each) {
    for (uint32_t n = r_.u32(); n > 0 && r_.ok(); --n) each(*this, items.emplace_back());
  }
  [[nodiscard]] bool done() const { return r_.done(); }

 private:
  ByteReader r_;
};

// The layouts. `auto& x` is const where it is written or measured.

void file_ref(auto& f, auto& x) {
  f.text(x.stage);
  f.text(x.final_path);
  f.number(x.bytes);
}

void committed_file(auto& f, auto& x) {
  file_ref(f, x);
  f.number(x.xxh3);
  f.number(x.lines);
  f.number(x.raw_bytes);
  f.number(x.hosts);
  f.text(x.category);
  f.number(x.codec);
  f.number(x.format);
  f.number(x.bucket);
  f.number(x.least_ms);
  f.number(x.greatest_ms);
}

void stream_key(auto& f, auto& x) {
  f.number(x.local_id);
  f.number(x.sub);
}

void gap_range(auto& f, auto& x) {
  f.number(x.first_seq);
  f.number(x.count);
  f.text(x.reason);
}

void stream_range(auto& f, auto& x) {
  stream_key(f, x.key);
  f.number(x.from_seq);
  f.number(x.to_seq);
  f.number(x.chain_to);
  f.number(x.flags);
  f.list(x.gaps, [](auto& g, auto& gap) { gap_range(g, gap); });
}

void lane_fields(auto& f, auto& x) {
  f.text(x.category);
  f.number(x.parts);
  f.number(x.part);
}

void lane_ranges(auto& f, auto& x) {
  lane_fields(f, x.lane);
  f.list(x.ranges, [](auto& g, auto& range) { stream_range(g, range); });
}

void layout(auto& f,
            auto& x) requires std::is_same_v<std::remove_cvref_t<decltype(x)>, CommitRecord> {
  f.number(x.kind);
  f.number(x.settings_version);
  f.number(x.cluster);
  f.number(x.sink);
  f.text(x.incarnation);
  f.number(x.entry);
  f.number(x.uuid);
  f.number(x.prev_crc);
  f.number(x.time_ms);
  f.list(x.pending, [](auto& g, auto& file) { file_ref(g, file); });
  f.list(x.files, [](auto& g, auto& file) { committed_file(g, file); });
  f.list(x.lanes, [](auto& g, auto& lane) { lane_ranges(g, lane); });
  f.text(x.sidecar);
}

void layout(auto& f, auto& x) requires std::is_same_v<std::remove_cvref_t<decltype(x)>, LaneClaim> {
  f.number(x.kind);
  lane_fields(f, x.lane);
  f.number(x.cluster);
  f.number(x.sink);
  f.number(x.epoch);
  f.number(x.uuid);
  f.text(x.incarnation);
  f.text(x.address);
  f.number(x.claim_entry);
  f.list(x.table, [](auto& g, auto& row) {
    stream_key(g, row.key);
    g.number(row.seq);
    g.number(row.chain);
    g.number(row.flags);
  });
  f.text(x.archive);
}

void layout(auto& f, auto& x) requires std::is_same_v<std::remove_cvref_t<decltype(x)>, Manifest> {
  f.number(x.cluster);
  f.number(x.sink);
  f.text(x.incarnation);
  f.number(x.uuid);
  f.number(x.first_entry);
  f.number(x.last_entry);
  f.list(x.files, [](auto& g, auto& file) { committed_file(g, file); });
  f.list(x.lanes, [](auto& g, auto& lane) { lane_ranges(g, lane); });
}

void layout(auto& f,
            auto& x) requires std::is_same_v<std::remove_cvref_t<decltype(x)>, Announcement> {
  f.text(x.name);
  f.text(x.address);
  f.number(x.state_uuid);
  f.text(x.version);
  f.number(x.started_ms);
}

void layout(auto& f,
            auto& x) requires std::is_same_v<std::remove_cvref_t<decltype(x)>, SinkIdentity> {
  f.number(x.sink);
  f.number(x.cluster);
  f.text(x.control);
}

// What is wrong with a record's content; nullptr: nothing. Holds for what is written and what is
// read.

const char* fault(const FileRef& x) {
  if (!valid_store_path(x.stage)) return "a staged path is not one of ours";
  if (!valid_store_path(x.final_path)) return "a final path is not one of ours";
  return nullptr;
}

const char* fault(const CommittedFile& x) {
  if (const char* f = fault(static_cast<const FileRef&>(x))) return f;
  if (!valid_category(x.category)) return "a file's category is not valid";
  if (x.codec > Codec::snappy) return "a file's codec is unknown";
  if (x.format != FileFormat::lines && x.format != FileFormat::sequence)
    return "a file's format is unknown";
  return nullptr;
}

const char* fault(const StreamRange& x) {
  if (x.from_seq > x.to_seq) return "a range ends before it starts";
  if (x.flags > kFinal) return "a range has unknown flags";
  uint64_t at = x.from_seq;
  for (const GapRange& gap : x.gaps) {
    if (gap.first_seq < at || gap.first_seq > x.to_seq || gap.count == 0 ||
        gap.count > x.to_seq - gap.first_seq)
      return "a gap does not lie in its range, or not behind the one before";
    at = gap.first_seq + gap.count;
  }
  return nullptr;
}

const char* fault(const LaneRanges& x) {
  if (x.lane.category.empty() || !valid_lane(x.lane)) return "a lane is not valid";
  for (const StreamRange& range : x.ranges)
    if (const char* f = fault(range)) return f;
  return nullptr;
}

const char* first_fault(const auto& items) {
  for (const auto& item : items)
    if (const char* f = fault(item)) return f;
  return nullptr;
}

const char* fault(const CommitRecord& x) {
  if (!parse_incarnation(x.incarnation)) return "its incarnation is not a valid name";
  if (x.kind != CommitRecord::Kind::commit && x.kind != CommitRecord::Kind::fence)
    return "its kind is unknown";
  if (x.kind == CommitRecord::Kind::fence &&
      !(x.pending.empty() && x.files.empty() && x.lanes.empty() && x.sidecar.empty()))
    return "a fence carries something";
  if (!x.sidecar.empty() && !valid_store_path(x.sidecar)) return "its sidecar's path is not valid";
  if (const char* f = first_fault(x.pending)) return f;
  if (const char* f = first_fault(x.files)) return f;
  return first_fault(x.lanes);
}

const char* fault(const LaneClaim& x) {
  if (!valid_lane(x.lane)) return "its lane is not valid";
  if (x.kind < LaneClaim::Kind::own || x.kind > LaneClaim::Kind::done) return "its kind is unknown";
  if (!parse_incarnation(x.incarnation)) return "its incarnation is not a valid name";
  if (!x.archive.empty() && !valid_store_path(x.archive)) return "its archive's path is not valid";
  for (size_t i = 0; i < x.table.size(); ++i) {
    if (x.table[i].flags > kFinal) return "a row has unknown flags";
    if (i > 0 && x.table[i].key <= x.table[i - 1].key) return "its table is not ascending";
  }
  return nullptr;
}

const char* fault(const Manifest& x) {
  if (!parse_incarnation(x.incarnation)) return "its incarnation is not a valid name";
  if (x.first_entry > x.last_entry) return "its last entry comes before its first";
  if (const char* f = first_fault(x.files)) return f;
  return first_fault(x.lanes);
}

const char* fault(const Announcement& x) {
  return valid_center_name(x.name) ? nullptr : "its Center's name is not valid";
}

const char* fault(const SinkIdentity& x) {
  const std::string_view control = x.control;
  return valid_store_path(control.substr(control.starts_with('/') ? 1 : 0))
             ? nullptr
             : "its control path is not valid";
}

// Around every layout: magic, version, length of the whole; and a checksum of all before it.

template <class T>
std::string encode_as(uint32_t magic, const T& record) {
  const char* wrong = fault(record);
  TAILRACE_CHECK(wrong == nullptr, wrong);
  std::string out;
  ByteWriter w(out);
  w.u32(magic);
  w.u8(kRecordVersion);
  w.u32(0);
  Writing fields(out);
  layout(fields, record);
  w.patch(kLengthOffset, static_cast<uint32_t>(out.size() + kCrcBytes));
  w.u32(crc32c(out));
  return out;
}

template <class T>
Result<T> decode_as(uint32_t magic, const char* what, std::string_view bytes) {
  const auto corrupt = [&](const char* why) {
    return Error{Error::Kind::corrupt, std::string(what) + ": " + why};
  };
  ByteReader head(bytes);
  const uint32_t found = head.u32();
  const uint8_t version = head.u8();
  const uint32_t length = head.u32();
  if (!head.ok() || bytes.size() < kHeadBytes + kCrcBytes) return corrupt("cut short");
  if (found != magic) return corrupt("it does not begin as one");
  if (length != bytes.size()) return corrupt("it is shorter or longer than it says");
  if (crc32c(bytes.substr(0, bytes.size() - kCrcBytes)) != record_crc(bytes))
    return corrupt("its checksum is wrong");
  if (version > kRecordVersion)
    return Error{Error::Kind::rejected, std::string(what) +
                                            ": written by a newer version of tailrace (layout " +
                                            std::to_string(version) + ", known up to " +
                                            std::to_string(kRecordVersion) + "): upgrade this one"};
  if (version == 0) return corrupt("its version is 0");
  Reading fields(bytes.substr(kHeadBytes, bytes.size() - kHeadBytes - kCrcBytes));
  T record;
  layout(fields, record);
  if (!fields.done()) return corrupt("its fields and its length disagree");
  if (const char* wrong = fault(record)) return corrupt(wrong);
  return record;
}

template <class T>
size_t whole_size(const T& record) {
  Measuring fields;
  layout(fields, record);
  return kHeadBytes + fields.bytes + kCrcBytes;
}

}  // namespace

std::string CommitRecord::encode() const { return encode_as(kCommitMagic, *this); }
Result<CommitRecord> CommitRecord::decode(std::string_view bytes) {
  return decode_as<CommitRecord>(kCommitMagic, "commit record", bytes);
}

std::string LaneClaim::encode() const { return encode_as(kClaimMagic, *this); }
Result<LaneClaim> LaneClaim::decode(std::string_view bytes) {
  return decode_as<LaneClaim>(kClaimMagic, "claim", bytes);
}

std::string Manifest::encode() const { return encode_as(kManifestMagic, *this); }
Result<Manifest> Manifest::decode(std::string_view bytes) {
  return decode_as<Manifest>(kManifestMagic, "manifest", bytes);
}

std::string Announcement::encode() const { return encode_as(kAnnouncementMagic, *this); }
Result<Announcement> Announcement::decode(std::string_view bytes) {
  return decode_as<Announcement>(kAnnouncementMagic, "announcement", bytes);
}

std::string SinkIdentity::encode() const { return encode_as(kSinkMagic, *this); }
Result<SinkIdentity> SinkIdentity::decode(std::string_view bytes) {
  return decode_as<SinkIdentity>(kSinkMagic, "sink identity", bytes);
}

size_t encoded_size(const CommitRecord& record) { return whole_size(record); }
size_t encoded_size(const LaneClaim& claim) { return whole_size(claim); }
size_t encoded_size(const FileRef& file) {
  Measuring fields;
  file_ref(fields, file);
  return fields.bytes;
}
size_t encoded_size(const CommittedFile& file) {
  Measuring fields;
  committed_file(fields, file);
  return fields.bytes;
}
size_t encoded_size(const StreamRange& range) {
  Measuring fields;
  stream_range(fields, range);
  return fields.bytes;
}
size_t encoded_size(const LaneRanges& lane) {
  Measuring fields;
  lane_ranges(fields, lane);
  return fields.bytes;
}

uint32_t record_crc(std::string_view encoded) {
  TAILRACE_CHECK(encoded.size() >= kCrcBytes, "not an encoded record");
  ByteReader r(encoded.substr(encoded.size() - kCrcBytes));
  return r.u32();
}

}  // namespace tailrace
