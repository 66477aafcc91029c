// Cuts a stream of bytes back into frames: decides on each prefix before anything is allocated.
// Thread: belongs to one owner (a Connection on the road). No socket inside: bytes in, frames out.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "flow/frame.h"

namespace google::protobuf {
class MessageLite;
}

namespace tailrace {

// A frame as read. header and payload keep their memory from frame to frame; take the payload's
// string out (swap) to keep its bytes without a copy.
struct Frame {
  FrameType type{};
  uint16_t flags = 0;
  std::string header;
  std::string payload;
};

// Parses a control message; corrupt with the frame's name if it is none.
[[nodiscard]] Result<void> parse_message(const Frame& frame, google::protobuf::MessageLite& into);

class FrameReader {
 public:
  // Large enough for many small frames in one read; a payload goes past it into the frame itself.
  static constexpr size_t kBufferBytes = 64 << 10;

  // Moves arrived bytes into `into`; true: it holds a whole frame. After false call it again, with
  // the same frame, when more has arrived. rejected or corrupt: the stream is lost, for good.
  [[nodiscard]] Result<bool> next(Frame& into);

  // Where bytes may be put until the next call of next(): first the rest of the frame's payload, if
  // it waits for one, then the buffer. Never empty after next() said false.
  [[nodiscard]] std::array<std::span<char>, 2> room(Frame& into);
  // `n` bytes were put there, filled from the front.
  void arrived(size_t n);

  // Bytes that have arrived and belong to frames not yet taken.
  [[nodiscard]] size_t buffered() const { return end_ - begin_; }
  // How long the frame that has begun may take: 10 s until its header is whole, 30 s until all of
  // it is, and a second more for each 64 KiB.
  [[nodiscard]] int64_t patience_ms() const;
  // The bytes speak another version of our protocol: why next() refused them.
  [[nodiscard]] bool other_version() const { return other_version_; }
  // No frame has begun: the stream may end here without a loss.
  [[nodiscard]] bool between_frames() const { return stage_ == Stage::prefix && buffered() == 0; }

 private:
  enum class Stage { prefix, header, payload };

  Result<void> take_prefix();
  bool fill(std::string& part, size_t whole);

  Stage stage_ = Stage::prefix;
  bool other_version_ = false;
  FramePrefix prefix_;
  std::array<char, kFramePrefixBytes> prefix_bytes_{};
  size_t have_ = 0;  // bytes of the header or payload that are in place
  size_t open_ = 0;  // bytes at the front of room() that belong to the header or payload
  std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace tailrace
