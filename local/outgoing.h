// A frame that a machine wants sent: a control message, or a batch that travels untouched.
// Thread: the road; plain values.
#pragma once

#include <memory>
#include <string>

#include "flow/batch.h"
#include "flow/frame.h"

namespace google::protobuf {
class MessageLite;
}

namespace tailrace {

struct Outgoing {
  FrameType type{};
  std::shared_ptr<const google::protobuf::MessageLite> message{};  // null: none
  std::string before{};                                            // DATA: what precedes the head
  BatchPtr batch{};                                                // DATA only
};

// Where a sink stands in a stream.
struct SinkPlace {
  uint64_t sink = 0;
  StreamId stream = 0;
  Position at;
};

}  // namespace tailrace
