// A frame that a machine wants sent: a control message, or a batch that travels untouched.
// Thread: the road; plain values.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "flow/batch.h"
#include "flow/frame.h"

namespace google::protobuf {
class MessageLite;
}

namespace tailrace {

struct Outgoing {
  FrameType type{};
  std::shared_ptr<const google::protobuf::MessageLite> message{};  // null: none
  std::string before{};  // of a batch: what precedes its head in the frame's header
  BatchPtr batch{};      // null: none; else there is no message
  uint16_t flags = 0;
};

template <class Message>
[[nodiscard]] Outgoing outgoing(FrameType type, Message message) {
  return {type, std::make_shared<const Message>(std::move(message))};
}

}  // namespace tailrace
