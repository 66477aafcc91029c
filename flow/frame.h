// The frame: what every hop's bytes are cut into. docs/formats.md, "Frame".
// Thread: any; pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace tailrace {

inline constexpr uint32_t kFrameMagic = 0x31524C54;  // "TLR1": its first byte is not 0x16 (TLS)
inline constexpr uint8_t kFrameVersion = 1;
// Features of HELLO that the other end must know. kSinksApart: streams that are read again for some
// sinks only, up to an ORIGIN.
inline constexpr uint64_t kSinksApart = 1;
inline constexpr size_t kFramePrefixBytes = 20;
inline constexpr uint32_t kMaxFrameBytes = 4u << 20;  // header and payload together

// Types of 128 and above may be ignored by a peer that does not know them.
enum class FrameType : uint8_t {
  hello = 1,
  welcome = 2,
  reject = 3,
  goodbye = 4,
  ping = 5,
  pong = 6,
  stream_def = 10,
  file_def = 11,
  file_gone = 12,
  file_gap = 13,
  append = 14,     // agent > Local: a batch; header = batch head
  expect = 15,     // Local > agent
  ack = 16,        // Local > agent
  committed = 17,  // Center > Local > agent
  credit = 18,     // down to up, how much more may come
  flush = 19,      // up to down: finish what you hold of mine
  data = 20,       // Local > Center: sinks u32, then a batch head; payload
  gap = 21,
  rewind = 22,
  redirect = 23,
  released = 24,
  busy = 25,
  stale = 26,
  retire = 27,
  retired = 28,
  centers = 29,
  drain = 30,
  origin = 31,  // agent > Local: a sink begins here
  report = 128,
  status = 129,  // Center > operator
};

// Frame flags. kFramePush: the sender waits for the answer before it can go on.
inline constexpr uint16_t kFramePush = 1;

struct FramePrefix {
  FrameType type{};
  uint16_t flags = 0;
  uint32_t header_len = 0;
  uint32_t payload_len = 0;
  uint32_t crc = 0;
};

// The 20 bytes before `header`, with the checksum over both.
[[nodiscard]] std::array<char, kFramePrefixBytes> encode_frame_prefix(FrameType type,
                                                                      uint16_t flags,
                                                                      std::string_view header,
                                                                      size_t payload_len);
// rejected: not our protocol, with a guess at whose it is (TLS, HTTP), or another version.
// corrupt: lengths over the limit. Decides on the 20 bytes alone, before anything is allocated.
[[nodiscard]] Result<FramePrefix> decode_frame_prefix(std::string_view bytes20);
// Ours, but of a version that this program does not speak.
[[nodiscard]] bool is_other_version(std::string_view bytes20);
// Whether prefix and header are what was sent. `bytes20` is what decode_frame_prefix took.
[[nodiscard]] bool frame_header_intact(std::string_view bytes20, std::string_view header);

}  // namespace tailrace
