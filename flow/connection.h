// One end of a hop: frames in, frames out, over a Unix socket, a socket pair or TCP.
// Thread: the road. One coroutine reads; any code on the road sends. The owner closes.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/pool.h"
#include "base/result.h"
#include "flow/batch.h"
#include "flow/frame.h"
#include "flow/frame_reader.h"
#include "flow/outgoing.h"

namespace google::protobuf {
class MessageLite;
}

namespace tailrace {

using StreamSocket = asio::generic::stream_protocol::socket;

class Connection {
 public:
  // `peer` names the other end in messages ("local", "center c1", "10.0.0.7:4711").
  Connection(asio::io_context& road, StreamSocket socket, std::string peer);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The next frame into `into`. closed: the peer has gone or close() was called (also in the middle
  // of a frame). rejected or corrupt: the bytes are not our protocol; the owner says REJECT and
  // closes.
  asio::awaitable<Result<void>> read(Frame& into);
  // True if more bytes have already arrived: the input is not quiet.
  [[nodiscard]] bool more_waiting() const;

  // Queue a frame; never blocks, never fails: a broken connection shows in read(). Frames leave in
  // order, gathered into few writes.
  void send(FrameType type, const google::protobuf::MessageLite& message, uint16_t flags = 0);
  void send(FrameType type, uint16_t flags = 0);  // no header, no payload
  // A batch is held until it is written.
  void send(const Outgoing& frame);
  // Bytes queued and not yet given to the kernel; a sender of batches stops at a limit of its own.
  [[nodiscard]] size_t queued_bytes() const;
  // Called on the road each time queued frames were written; for senders that wait for room.
  void on_drained(std::function<void()> call);
  // Called on the road with how many bytes have come in, each time.
  void on_arrived(std::function<void(size_t)> call);

  // Ends both directions at once; read() returns closed. Frames still queued are dropped, but for
  // one REJECT, BUSY or GOODBYE that the kernel takes without waiting.
  void close();
  [[nodiscard]] bool closed() const;
  [[nodiscard]] const std::string& peer() const;
  // A frame has begun and does not come on as fast as it must (FrameReader::patience_ms). Time in
  // which nobody reads does not count.
  [[nodiscard]] bool too_slow(int64_t now_ms) const;
  // No frame has begun: nobody holds on to what read() was given.
  [[nodiscard]] bool between_frames() const;
  // read() was refused since the peer speaks another version.
  [[nodiscard]] bool other_version() const;
  // mono_ms() of the last bytes that came in; any frame counts as life.
  [[nodiscard]] int64_t last_heard_ms() const;

 private:
  struct State;  // shared with the writing coroutine, which may outlive this by one write
  std::shared_ptr<State> state_;
};

// Two connected ends, for roles that live in one process.
[[nodiscard]] Result<std::pair<StreamSocket, StreamSocket>> socket_pair(asio::io_context& road);

}  // namespace tailrace
