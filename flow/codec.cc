#include "flow/codec.h"

#include "base/bytes.h"
#include "base/units.h"
#include "flow/codec_parts.h"
#include "flow/member_inflater.h"

namespace tailrace {

namespace {

// A codec's number is its index.
struct CodecName {
  std::string_view name;
  std::string_view extension;
};
constexpr CodecName kNames[] = {
    {"none", ""}, {"gzip", ".gz"}, {"zstd", ".zst"}, {"snappy", ".snappy"}};

constexpr size_t kGzipLeastBytes = 18;
constexpr uint64_t kDeflateMostRatio = 1100;  // deflate cannot reach it

class PlainCompressor : public Compressor {
 public:
  void compress(std::string_view raw, std::string& out) override { out.assign(raw); }
};

class PlainInflater : public Inflater {
 public:
  Result<void> inflate(std::string_view member, size_t raw_len, std::string& out) override {
    if (member.size() != raw_len)
      return Error{Error::Kind::corrupt, "a raw batch is not as long as was said"};
    out.assign(member);
    return {};
  }
};

class PlainFileInflater : public FileInflater {
 public:
  Result<void> feed(std::string_view in, std::string& out) override {
    out.append(in);
    return {};
  }
  Result<void> finish() override { return {}; }
};

bool gzip_member_says(std::string_view payload, uint32_t raw_len) {
  if (payload.size() < kGzipLeastBytes) return false;
  ByteReader start(payload);
  const bool magic = start.u8() == 0x1F && start.u8() == 0x8B && start.u8() == 8;
  const bool known_flags = (start.u8() & 0xE0) == 0;
  ByteReader size(payload.substr(payload.size() - 4));
  return magic && known_flags && size.u32() == raw_len &&
         raw_len <= payload.size() * kDeflateMostRatio;
}

}  // namespace

std::string_view codec_name(Codec codec) { return kNames[static_cast<size_t>(codec)].name; }
std::string_view codec_extension(Codec codec) {
  return kNames[static_cast<size_t>(codec)].extension;
}

Result<Codec> parse_codec(std::string_view name) {
  for (const Codec c : {Codec::none, Codec::gzip, Codec::zstd, Codec::snappy})
    if (name == codec_name(c)) return c;
  return Error{Error::Kind::rejected,
               "expected a codec: gzip, zstd, snappy or none; got '" + escape(name, 64) + "'"};
}

std::unique_ptr<Compressor> make_compressor(Codec codec) {
  if (codec == Codec::none) return std::make_unique<PlainCompressor>();
  if (codec == Codec::zstd) return make_zstd_compressor();
  if (codec == Codec::snappy) return make_snappy_compressor();
#ifdef TAILRACE_HAVE_ISAL
  return make_isal_compressor();
#else
  return make_zlib_compressor();
#endif
}

std::unique_ptr<Inflater> make_inflater(Codec codec) {
  if (codec == Codec::none) return std::make_unique<PlainInflater>();
  if (codec == Codec::zstd) return make_zstd_inflater();
  if (codec == Codec::snappy) return make_snappy_inflater();
#ifdef TAILRACE_HAVE_ISAL
  return make_isal_inflater();
#else
  return make_zlib_inflater();
#endif
}

std::unique_ptr<FileInflater> make_file_inflater(Codec codec) {
  if (codec == Codec::none) return std::make_unique<PlainFileInflater>();
  if (codec == Codec::zstd) return make_zstd_file_inflater();
  if (codec == Codec::snappy) return make_snappy_file_inflater();
#ifdef TAILRACE_HAVE_ISAL
  return make_isal_file_inflater();
#else
  return make_zlib_file_inflater();
#endif
}

Result<void> check_member(Codec codec, std::string_view payload, uint32_t raw_len) {
  bool good = false;
  switch (codec) {
    case Codec::none: good = payload.size() == raw_len; break;
    case Codec::gzip: good = gzip_member_says(payload, raw_len); break;
    case Codec::zstd: good = zstd_frame_says(payload, raw_len); break;
    case Codec::snappy: good = snappy_block_says(payload, raw_len); break;
  }
  if (good) return {};
  return Error{Error::Kind::corrupt, "a payload is no " + std::string(codec_name(codec)) +
                                         " member of " + std::to_string(raw_len) + " bytes"};
}

}  // namespace tailrace
