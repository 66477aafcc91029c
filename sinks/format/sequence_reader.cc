// Reads SequenceFiles: `tailrace cat`, and whoever judges what was published.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "sinks/format/file_format.h"
#include "sinks/format/sequence_file.h"
#include "sinks/format/sequence_parts.h"

namespace tailrace {

namespace {

constexpr size_t kMostBytes = 16u << 20;  // of a part of a block, packed or not, and of a record
constexpr size_t kMostName = 256;         // of a class
constexpr size_t kBiteBytes = 1u << 10;   // so that a bomb is noticed in time
constexpr size_t kSyncBytes = 16;
constexpr uint32_t kEscape = 0xFFFFFFFF;

Error broken(const char* what) {
  return Error{Error::Kind::corrupt, std::string("broken SequenceFile: ") + what};
}

// Takes fields from the front; `short_of` once one does not fit: nothing is wrong, more may come.
class Fields {
 public:
  explicit Fields(std::string_view in) : rest_(in) {}

  std::string_view raw(size_t n) {
    if (n > rest_.size()) short_of_ = true;
    if (short_of_) return {};
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }
  uint64_t big_endian(size_t bytes) {
    uint64_t n = 0;
    for (const char c : raw(bytes)) n = n << 8 | static_cast<unsigned char>(c);
    return n;
  }
  // Hadoop's; a negative one is larger than anything that is allowed.
  uint64_t vint() {
    const auto first = static_cast<signed char>(big_endian(1));
    if (first >= 0) return static_cast<uint64_t>(first);
    if (first >= -112 || first < -120) return UINT64_MAX;
    return big_endian(static_cast<size_t>(-112 - first));
  }
  [[nodiscard]] bool short_of() const { return short_of_; }
  [[nodiscard]] size_t remaining() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool short_of_ = false;
};

// A whole part of a block, inflated. nullopt: broken, or too long.
std::optional<std::string> unpacked(Codec codec, std::string_view packed) {
  const auto inflater = make_file_inflater(codec);
  std::string out;
  for (; !packed.empty(); packed.remove_prefix(std::min(packed.size(), kBiteBytes))) {
    if (!inflater->feed(packed.substr(0, kBiteBytes), out)) return std::nullopt;
    if (out.size() > kMostBytes) return std::nullopt;
  }
  if (!inflater->finish()) return std::nullopt;
  return out;
}

class SequenceReader : public FileInflater {
 public:
  Result<void> feed(std::string_view in, std::string& out) override {
    waiting_.append(in);
    size_t done = 0;
    while (done < waiting_.size()) {
      Fields fields(std::string_view(waiting_).substr(done));
      const size_t before = fields.remaining();
      if (auto r = take(fields, out); !r) return r;
      if (fields.short_of()) break;
      done += before - fields.remaining();
    }
    waiting_.erase(0, done);
    return {};
  }

  Result<void> finish() override {
    if (header_read_ && waiting_.empty()) return {};
    return broken(header_read_ ? "it ends inside a block" : "it ends inside its header");
  }

 private:
  Result<void> take(Fields& fields, std::string& out) {
    if (!header_read_) return take_header(fields);
    return codec_ == Codec::none ? take_record(fields, out) : take_block(fields, out);
  }

  Result<void> take_header(Fields& fields) {
    const std::string_view magic = fields.raw(sequence::kMagic.size());
    if (fields.short_of()) return {};
    if (magic != sequence::kMagic) return broken("it does not begin as one of version 6");
    std::string_view key, value, codec;
    if (auto r = take_name(fields, key); !r) return r;
    if (auto r = take_name(fields, value); !r) return r;
    const uint64_t compressed = fields.big_endian(2);
    if (compressed != 0)
      if (auto r = take_name(fields, codec); !r) return r;
    const uint64_t metadata = fields.big_endian(4);
    const std::string_view sync = fields.raw(kSyncBytes);
    if (fields.short_of()) return {};
    if (key != sequence::kKeyClass || value != sequence::kValueClass)
      return broken("not of LongWritable and Text");
    if (metadata != 0) return broken("it has metadata");
    if (compressed != 0 && compressed != 0x0101) return broken("compressed, but not in blocks");
    for (const Codec known : {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy})
      if (codec == sequence::codec_class(known)) {
        codec_ = known;
        header_read_ = true;
      }
    sync_ = sync;
    if (!header_read_ || (codec_ == Codec::none) != (compressed == 0))
      return broken("in a codec that is none of ours");
    return {};
  }

  static Result<void> take_name(Fields& fields, std::string_view& name) {
    const uint64_t length = fields.vint();
    if (!fields.short_of() && length > kMostName) return broken("a class with a long name");
    name = fields.raw(length);
    return {};
  }

  Result<void> take_sync(Fields& fields) const {
    if (fields.raw(kSyncBytes) == sync_ || fields.short_of()) return {};
    return broken("another sync mark");
  }

  // One record; or the mark that stands before some.
  Result<void> take_record(Fields& fields, std::string& out) const {
    const uint64_t length = fields.big_endian(4);
    if (fields.short_of()) return {};
    if (length == kEscape) return take_sync(fields);
    const uint64_t key_length = fields.big_endian(4);
    if (length > kMostBytes) return broken("a record that is too long");
    Fields record(fields.raw(length));
    if (fields.short_of()) return {};
    static_cast<void>(record.big_endian(8));
    if (key_length != 8 || record.short_of()) return broken("a key of another length");
    return take_values(record, 1, out);
  }

  Result<void> take_block(Fields& fields, std::string& out) const {
    const uint64_t escape = fields.big_endian(4);
    if (!fields.short_of() && escape != kEscape) return broken("no sync mark before a block");
    if (auto r = take_sync(fields); !r) return r;
    const uint64_t records = fields.vint();
    std::array<std::string_view, 4> packed;
    for (std::string_view& part : packed) {
      const uint64_t length = fields.vint();
      if (!fields.short_of() && length > kMostBytes) return broken("a block that is too long");
      part = fields.raw(length);
    }
    if (fields.short_of()) return {};
    if (records == 0 || records > kMostBytes) return broken("a block of no records, or too many");
    std::array<std::string, 4> parts;  // lengths of keys, keys, lengths of values, values
    for (size_t i = 0; i < parts.size(); ++i) {
      auto part = unpacked(codec_, packed[i]);
      if (!part) return broken("a part of a block");
      parts[i] = std::move(*part);
    }
    if (parts[0] != std::string(records, '\x08') || parts[1].size() != records * 8)
      return broken("keys that are none of LongWritable");
    Fields lengths(parts[2]);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < records && sum <= kMostBytes; ++i)
      sum += std::min<uint64_t>(lengths.vint(), kMostBytes + 1);
    if (lengths.short_of() || lengths.remaining() != 0 || sum != parts[3].size())
      return broken("values of other lengths than it says");
    Fields values(parts[3]);
    return take_values(values, records, out);
  }

  // Exactly so many.
  static Result<void> take_values(Fields& values, uint64_t count, std::string& out) {
    for (; count > 0; --count) {
      out.append(values.raw(values.vint()));
      if (values.short_of()) return broken("a value that is longer than its record");
      out.push_back('\n');
    }
    return values.remaining() == 0 ? Result<void>() : broken("more values than it says");
  }

  bool header_read_ = false;
  Codec codec_ = Codec::none;
  std::string sync_;
  std::string waiting_;
};

}  // namespace

std::unique_ptr<FileInflater> make_file_reader(std::string_view name, Codec codec) {
  return name.ends_with(kSequenceSuffix) ? make_sequence_reader() : make_file_inflater(codec);
}

std::unique_ptr<FileInflater> make_sequence_reader() { return std::make_unique<SequenceReader>(); }

}  // namespace tailrace
