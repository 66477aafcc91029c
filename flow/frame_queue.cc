#include "flow/frame_queue.h"

#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <cstring>

namespace tailrace {

namespace {
constexpr size_t kFirstNodes = 16;
// A node's string that grew past this gives its memory back once written.
constexpr size_t kKeepBytes = 64 << 10;
}  // namespace

FrameQueue::Node& FrameQueue::add(FrameType type) {
  if (count_ == ring_.size()) {
    std::rotate(ring_.begin(), ring_.begin() + static_cast<ptrdiff_t>(first_), ring_.end());
    first_ = 0;
    ring_.resize(std::max(kFirstNodes, ring_.size() * 2));
  }
  Node& node = at(count_++);
  node.type = type;
  node.bytes.assign(kFramePrefixBytes, '\0');
  return node;
}

// Writes the prefix in front of the header that stands in `node` and counts its bytes.
void FrameQueue::seal(Node& node, uint16_t flags) {
  const std::string_view header = std::string_view(node.bytes).substr(kFramePrefixBytes);
  const size_t payload = node.batch ? node.batch->payload.size() : 0;
  TAILRACE_CHECK(header.size() + payload <= kMaxFrameBytes, "a frame over the limit was sent");
  const auto prefix = encode_frame_prefix(node.type, flags, header, payload);
  std::copy(prefix.begin(), prefix.end(), node.bytes.begin());
  bytes_ += node.size();
}

void FrameQueue::push(FrameType type, uint16_t flags,
                      const google::protobuf::MessageLite* message) {
  Node& node = add(type);
  if (message != nullptr) message->AppendToString(&node.bytes);
  seal(node, flags);
}

void FrameQueue::push(const Outgoing& frame) {
  if (!frame.batch) return push(frame.type, frame.flags, frame.message.get());
  Node& node = add(frame.type);
  node.bytes.append(frame.before);
  node.bytes.append(frame.batch->head);
  node.batch = frame.batch;
  seal(node, frame.flags);
}

size_t FrameQueue::gather(std::span<iovec> pieces) const {
  size_t used = 0;
  size_t skip = sent_;
  const auto put = [&](const std::string& s) {
    const size_t cut = std::min(skip, s.size());
    skip -= cut;
    if (cut == s.size() || used == pieces.size()) return;
    pieces[used++] = iovec{const_cast<char*>(s.data()) + cut, s.size() - cut};
  };
  for (size_t i = 0; i < count_ && used < pieces.size(); ++i) {
    put(at(i).bytes);
    if (at(i).batch) put(at(i).batch->payload);
  }
  return used;
}

void FrameQueue::wrote(size_t n) {
  TAILRACE_CHECK(n <= bytes_, "more was written than was queued");
  bytes_ -= n;
  sent_ += n;
  while (count_ > 0 && sent_ >= at(0).size()) {
    Node& done = at(0);
    sent_ -= done.size();
    done.batch.reset();
    if (done.bytes.capacity() > kKeepBytes) std::string().swap(done.bytes);
    first_ = (first_ + 1) % ring_.size();
    --count_;
  }
}

bool FrameQueue::keep_farewell() {
  if (count_ == 0) return false;
  const size_t last = count_ - 1;
  const FrameType type = at(last).type;
  if (type != FrameType::reject && type != FrameType::busy && type != FrameType::goodbye)
    return false;
  const size_t next = sent_ > 0 ? 1 : 0;
  if (last > next) {
    std::swap(at(next), at(last));
    for (size_t i = next + 1; i <= last; ++i) at(i).batch.reset();
    count_ = next + 1;
  }
  bytes_ = 0;
  for (size_t i = 0; i < count_; ++i) bytes_ += at(i).size();
  bytes_ -= sent_;
  return true;
}

void FrameQueue::clear() {
  for (size_t i = 0; i < count_; ++i) at(i).batch.reset();
  count_ = sent_ = bytes_ = 0;
}

}  // namespace tailrace
