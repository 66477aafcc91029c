// Frames on their way out: encoded once, kept until written, gathered into few writes.
// Thread: belongs to one owner (a Connection on the road). No socket inside.
#pragma once

#include <sys/uio.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flow/batch.h"
#include "flow/frame.h"
#include "flow/outgoing.h"

namespace google::protobuf {
class MessageLite;
}

namespace tailrace {

class FrameQueue {
 public:
  // `message` may be null: a frame without a header.
  void push(FrameType type, uint16_t flags, const google::protobuf::MessageLite* message);
  // A batch is held until its last byte is written.
  void push(const Outgoing& frame);

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] size_t bytes() const { return bytes_; }

  // Fills `pieces` with what is to be written next; returns how many were filled. They stay valid
  // until wrote() or clear().
  [[nodiscard]] size_t gather(std::span<iovec> pieces) const;
  // The first `n` bytes of those were written.
  void wrote(size_t n);
  // Drops everything but the rest of a frame already begun and, if it is the last frame queued, a
  // REJECT, BUSY or GOODBYE. False: no such frame.
  bool keep_farewell();
  void clear();

 private:
  struct Node {
    FrameType type{};
    std::string bytes;  // prefix and header
    BatchPtr batch;     // its payload follows
    [[nodiscard]] size_t size() const { return bytes.size() + (batch ? batch->payload.size() : 0); }
  };
  Node& add(FrameType type);
  void seal(Node& node, uint16_t flags);
  [[nodiscard]] const Node& at(size_t i) const { return ring_[(first_ + i) % ring_.size()]; }
  [[nodiscard]] Node& at(size_t i) { return ring_[(first_ + i) % ring_.size()]; }

  std::vector<Node> ring_;  // nodes keep their strings' memory when they are used again
  size_t first_ = 0;
  size_t count_ = 0;
  size_t sent_ = 0;   // bytes of the first node that were written
  size_t bytes_ = 0;  // queued and not yet written
};

}  // namespace tailrace
