#include "flow/connection.h"

#include <google/protobuf/message_lite.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "base/clock.h"
#include "base/file.h"
#include "flow/frame_queue.h"

namespace tailrace {

namespace {
constexpr size_t kPiecesAWrite = 64;
constexpr int kPairBufferBytes = 1 << 20;
constexpr unsigned kUnansweredMs = 20'000;  // of TCP: a peer that has vanished without a word

Error gone(const std::string& peer, std::string_view why) {
  return Error{Error::Kind::closed, peer + ": " + std::string(why)};
}
}  // namespace

struct Connection::State : std::enable_shared_from_this<State> {
  State(asio::io_context& r, StreamSocket s, std::string p)
      : road(r), socket(std::move(s)), peer(std::move(p)), last_heard_ms(mono_ms()) {}

  // All frames sent in one turn of the road leave in one go at its end.
  void schedule() {
    if (scheduled || closed || broken) return;
    scheduled = true;
    asio::post(road, [self = shared_from_this()] {
      self->scheduled = false;
      self->flush();
    });
  }
  void flush();
  bool write_some();
  void close();

  asio::io_context& road;
  StreamSocket socket;
  std::string peer;
  FrameReader reader;
  FrameQueue queue;
  std::function<void()> drained;
  std::function<void(size_t)> arrived;
  int64_t last_heard_ms;
  int64_t frame_since_ms = 0;  // when the frame that is being read began; 0: none is
  bool scheduled = false;      // a flush is posted, or waits for the kernel to have room
  bool broken = false;  // nothing can be written any more; what the peer had sent may still be read
  bool closed = false;
};

// Gives the kernel what it takes without waiting. False: it takes no more now, or ever (broken).
bool Connection::State::write_some() {
  std::array<iovec, kPiecesAWrite> pieces;
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = queue.gather(pieces);
  size_t offered = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) offered += pieces[i].iov_len;
  const ssize_t n = ::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0) {
    queue.wrote(static_cast<size_t>(n));
    return static_cast<size_t>(n) == offered;
  }
  if (errno == EINTR) return true;
  broken = errno != EAGAIN && errno != EWOULDBLOCK;
  return false;
}

void Connection::State::flush() {
  if (closed || queue.empty()) return;
  while (!queue.empty() && write_some()) {
  }
  if (broken) queue.clear();
  if (!queue.empty()) {
    scheduled = true;
    socket.async_wait(StreamSocket::wait_write, [self = shared_from_this()](asio::error_code) {
      self->scheduled = false;
      self->flush();
    });
  }
  if (!drained) return;
  auto call = std::move(drained);  // it may set another one, or end this connection
  call();
  if (!closed && !drained) drained = std::move(call);
}

void Connection::State::close() {
  if (closed) return;
  closed = true;
  drained = nullptr;
  if (!broken && queue.keep_farewell()) {
    while (!queue.empty() && write_some()) {
    }
    // Unread bytes would make TCP answer the peer with a reset that overtakes the farewell.
    char unread[4096];
    for (int i = 0; i < 256; ++i)
      if (::recv(socket.native_handle(), unread, sizeof unread, MSG_DONTWAIT) <= 0) break;
  }
  queue.clear();
  asio::error_code ignored;
  socket.close(ignored);
}

Connection::Connection(asio::io_context& road, StreamSocket socket, std::string peer)
    : state_(std::make_shared<State>(road, std::move(socket), std::move(peer))) {
  // Of no meaning to a Unix socket, which refuses it.
  (void)::setsockopt(state_->socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnansweredMs,
                     sizeof kUnansweredMs);
}

Connection::~Connection() { state_->close(); }

asio::awaitable<Result<void>> Connection::read(Frame& into) {
  const std::shared_ptr<State> s = state_;  // this may go away while the coroutine waits
  for (;;) {
    if (s->closed) co_return gone(s->peer, "the connection was closed here");
    auto whole = s->reader.next(into);
    if (!whole) co_return whole.error().within(s->peer);
    if (*whole) {
      s->frame_since_ms = 0;
      co_return Result<void>();
    }
    if (s->frame_since_ms == 0 && !s->reader.between_frames()) s->frame_since_ms = mono_ms();
    const auto room = s->reader.room(into);
    const std::array<asio::mutable_buffer, 2> buffers{
        asio::mutable_buffer(room[0].data(), room[0].size()),
        asio::mutable_buffer(room[1].data(), room[1].size())};
    asio::error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    const size_t n = co_await s->socket.async_read_some(buffers, token);
    if (s->closed) co_return gone(s->peer, "the connection was closed here");
    if (error == asio::error::eof)
      co_return gone(s->peer, s->reader.between_frames() ? "it closed the connection"
                                                         : "it went away in the middle of a frame");
    if (error) co_return gone(s->peer, error.message());
    s->reader.arrived(n);
    s->last_heard_ms = mono_ms();
    if (s->arrived) s->arrived(n);
  }
}

bool Connection::more_waiting() const {
  if (state_->closed) return false;
  if (state_->reader.buffered() > 0) return true;
  asio::error_code ignored;
  return state_->socket.available(ignored) > 0;
}

void Connection::send(FrameType type, const google::protobuf::MessageLite& message,
                      uint16_t flags) {
  if (state_->closed || state_->broken) return;
  state_->queue.push(type, flags, &message);
  state_->schedule();
}

void Connection::send(FrameType type, uint16_t flags) {
  if (state_->closed || state_->broken) return;
  state_->queue.push(type, flags, nullptr);
  state_->schedule();
}

void Connection::send(const Outgoing& frame) {
  if (state_->closed || state_->broken) return;
  state_->queue.push(frame);
  state_->schedule();
}

size_t Connection::queued_bytes() const { return state_->queue.bytes(); }
void Connection::on_drained(std::function<void()> call) { state_->drained = std::move(call); }
void Connection::on_arrived(std::function<void(size_t)> call) { state_->arrived = std::move(call); }
void Connection::close() { state_->close(); }
bool Connection::closed() const { return state_->closed; }
const std::string& Connection::peer() const { return state_->peer; }
bool Connection::too_slow(int64_t now_ms) const {
  const State& s = *state_;
  return s.frame_since_ms != 0 && now_ms - s.frame_since_ms >= s.reader.patience_ms();
}
bool Connection::between_frames() const { return state_->reader.between_frames(); }
bool Connection::other_version() const { return state_->reader.other_version(); }
int64_t Connection::last_heard_ms() const { return state_->last_heard_ms; }

Result<std::pair<StreamSocket, StreamSocket>> socket_pair(asio::io_context& road) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    return errno_error(errno, "making a socket pair");
  Fd ends[2] = {Fd(fds[0]), Fd(fds[1])};
  // The kernel caps these at net.core.wmem_max; smaller buffers only cost more calls.
  for (const Fd& end : ends) {
    const int size = kPairBufferBytes;
    (void)::setsockopt(end.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)::setsockopt(end.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  const asio::generic::stream_protocol protocol(AF_UNIX, 0);
  StreamSocket a(road);
  StreamSocket b(road);
  asio::error_code error;
  a.assign(protocol, ends[0].get(), error);
  if (!error) {
    (void)ends[0].release();
    b.assign(protocol, ends[1].get(), error);
  }
  if (error) return Error{Error::Kind::retry_later, "making a socket pair: " + error.message()};
  (void)ends[1].release();
  return std::pair(std::move(a), std::move(b));
}

}  // namespace tailrace
