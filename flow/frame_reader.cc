#include "flow/frame_reader.h"

#include <google/protobuf/message_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace tailrace {

namespace {
// A part grows by this much at a time, as its bytes arrive: a peer that only claims a large frame
// costs no memory, and what std::string fills with zeros is still in the cache when the read comes.
constexpr size_t kGrowBytes = 256 << 10;

constexpr uint8_t kFirstIgnorable = 128;

constexpr int64_t kHeaderMs = 10'000;
constexpr int64_t kPayloadMs = 30'000;
constexpr uint64_t kLeastBytesASecond = 64u << 10;

bool known(FrameType type) {
  const auto t = static_cast<uint8_t>(type);
  return (t >= static_cast<uint8_t>(FrameType::hello) &&
          t <= static_cast<uint8_t>(FrameType::pong)) ||
         (t >= static_cast<uint8_t>(FrameType::stream_def) &&
          t <= static_cast<uint8_t>(FrameType::origin));
}

Error refused(Error::Kind kind, const FramePrefix& p, const char* why) {
  return Error{kind, "a frame of type " + std::to_string(static_cast<int>(p.type)) + " " + why};
}

// What the prefix alone can tell of a frame of a known type.
Result<void> check_shape(const FramePrefix& p) {
  if (static_cast<uint8_t>(p.type) >= kFirstIgnorable) return {};
  if (!known(p.type)) return refused(Error::Kind::rejected, p, "is unknown to this version");
  if ((p.flags & ~kFramePush) != 0)
    return refused(Error::Kind::rejected, p, "has flags unknown to this version");
  const bool carries = p.type == FrameType::append || p.type == FrameType::data;
  if (carries && (p.header_len == 0 || p.payload_len == 0))
    return refused(Error::Kind::corrupt, p, "carries no batch");
  if (!carries && p.payload_len != 0)
    return refused(Error::Kind::corrupt, p, "has a payload, but carries none by rule");
  return {};
}
}  // namespace

Result<void> FrameReader::take_prefix() {
  const std::string_view bytes(buffer_.get() + begin_, kFramePrefixBytes);
  auto prefix = decode_frame_prefix(bytes);
  if (!prefix) {
    other_version_ = is_other_version(bytes);
    return prefix.error();
  }
  if (auto r = check_shape(*prefix); !r) return r;
  prefix_ = *prefix;
  std::copy(bytes.begin(), bytes.end(), prefix_bytes_.begin());
  begin_ += kFramePrefixBytes;
  return {};
}

// Brings `part` nearer to its `whole` length; true when it is there.
bool FrameReader::fill(std::string& part, size_t whole) {
  if (have_ == 0) {
    if (part.size() > whole) part.resize(whole);
    part.reserve(std::min(whole, kGrowBytes));
  }
  const size_t n = std::min(buffered(), whole - have_);
  if (part.size() < have_ + n) part.resize(have_ + n);
  std::memcpy(part.data() + have_, buffer_.get() + begin_, n);
  have_ += n;
  begin_ += n;
  return have_ == whole;
}

int64_t FrameReader::patience_ms() const {
  if (stage_ == Stage::prefix) return kHeaderMs;
  const bool header = stage_ == Stage::header;
  const uint64_t bytes = uint64_t{prefix_.header_len} + (header ? 0 : prefix_.payload_len);
  return (header ? kHeaderMs : kPayloadMs) +
         static_cast<int64_t>(bytes * 1'000 / kLeastBytesASecond);
}

Result<bool> FrameReader::next(Frame& into) {
  open_ = 0;
  if (stage_ == Stage::prefix) {
    if (buffered() < kFramePrefixBytes) return false;
    if (auto r = take_prefix(); !r) return r.error();
    into.type = prefix_.type;
    into.flags = prefix_.flags;
    have_ = 0;
    stage_ = Stage::header;
  }
  if (stage_ == Stage::header) {
    if (!fill(into.header, prefix_.header_len)) return false;
    if (!frame_header_intact({prefix_bytes_.data(), prefix_bytes_.size()}, into.header))
      return Error{Error::Kind::corrupt, "a frame's header does not match its checksum"};
    have_ = 0;
    stage_ = Stage::payload;
  }
  if (!fill(into.payload, prefix_.payload_len)) return false;
  stage_ = Stage::prefix;
  return true;
}

std::array<std::span<char>, 2> FrameReader::room(Frame& into) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, buffered());
    end_ -= std::exchange(begin_, 0);
  }
  std::span<char> part;
  size_t whole = 0;
  if (stage_ != Stage::prefix) {
    std::string& s = stage_ == Stage::header ? into.header : into.payload;
    whole = stage_ == Stage::header ? prefix_.header_len : prefix_.payload_len;
    const size_t size = std::min(whole, have_ + kGrowBytes);
    if (s.size() < size) s.resize(size);
    part = {s.data() + have_, size - have_};
  }
  open_ = part.size();
  const bool ends_here = have_ + open_ == whole || stage_ == Stage::prefix;
  const std::span<char> after(buffer_.get() + end_, ends_here ? kBufferBytes - end_ : 0);
  return {part, after};
}

void FrameReader::arrived(size_t n) {
  const size_t direct = std::min(n, open_);
  have_ += direct;
  open_ -= direct;
  end_ += n - direct;
}

Result<void> parse_message(const Frame& frame, google::protobuf::MessageLite& into) {
  // What is wrong with a peer's bytes is said by us, once in a while and escaped.
  static const bool quiet = (google::protobuf::SetLogHandler(nullptr), true);
  static_cast<void>(quiet);
  if (into.ParseFromString(frame.header)) return {};
  return Error{Error::Kind::corrupt, "a frame of type " +
                                         std::to_string(static_cast<int>(frame.type)) + " is no " +
                                         into.GetTypeName()};
}

}  // namespace tailrace
