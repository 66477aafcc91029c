#include "flow/frame.h"

#include <string>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr size_t kCrcOffset = 16;

Error not_ours(std::string_view first) {
  const char* guess = "";
  if (first[0] == 0x16)
    guess = " (it looks like TLS)";
  else if (first.starts_with("GET ") || first.starts_with("POST") || first.starts_with("HEAD") ||
           first.starts_with("PUT "))
    guess = " (it looks like HTTP)";
  return Error{Error::Kind::rejected, "the peer does not speak our protocol" + std::string(guess) +
                                          ": '" + escape(first.substr(0, 8), 64) + "'"};
}
}  // namespace

std::array<char, kFramePrefixBytes> encode_frame_prefix(FrameType type, uint16_t flags,
                                                        std::string_view header,
                                                        size_t payload_len) {
  std::array<char, kFramePrefixBytes> out{};
  const auto put = [&out](size_t at, auto v) { std::memcpy(out.data() + at, &v, sizeof v); };
  put(0, kFrameMagic);
  put(4, kFrameVersion);
  put(5, static_cast<uint8_t>(type));
  put(6, flags);
  put(8, static_cast<uint32_t>(header.size()));
  put(12, static_cast<uint32_t>(payload_len));
  put(kCrcOffset, crc32c(header, crc32c({out.data(), kCrcOffset})));
  return out;
}

Result<FramePrefix> decode_frame_prefix(std::string_view bytes20) {
  ByteReader r(bytes20);
  if (r.u32() != kFrameMagic) return not_ours(bytes20);
  const uint8_t version = r.u8();
  if (version != kFrameVersion)
    return Error{Error::Kind::rejected, "the peer speaks frame version " + std::to_string(version) +
                                            ", this program 1 to " + std::to_string(kFrameVersion)};
  FramePrefix p;
  p.type = static_cast<FrameType>(r.u8());
  p.flags = r.u16();
  p.header_len = r.u32();
  p.payload_len = r.u32();
  p.crc = r.u32();
  if (!r.done()) return Error{Error::Kind::corrupt, "a frame prefix has 20 bytes"};
  if (uint64_t{p.header_len} + p.payload_len > kMaxFrameBytes)
    return Error{Error::Kind::corrupt, "a frame claims " +
                                           show_size(uint64_t{p.header_len} + p.payload_len) +
                                           ", the limit is " + show_size(kMaxFrameBytes)};
  return p;
}

bool is_other_version(std::string_view bytes20) {
  ByteReader r(bytes20);
  return r.u32() == kFrameMagic && r.u8() != kFrameVersion;
}

bool frame_header_intact(std::string_view bytes20, std::string_view header) {
  uint32_t crc = 0;
  std::memcpy(&crc, bytes20.data() + kCrcOffset, sizeof crc);
  return crc == crc32c(header, crc32c(bytes20.substr(0, kCrcOffset)));
}

}  // namespace tailrace
