// Two ends of a real socket pair on one road; one end may be a raw socket that misbehaves.
#include "flow/connection.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/post.hpp>
#include <deque>

#include "base/bell.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/spawn.h"
#include "control.pb.h"
#include "flow/peer_address.h"
#include "tests/flow/sample.h"

using namespace tailrace;

namespace {

struct Received {
  std::vector<Frame> frames;
  Result<void> end;
  bool ended = false;
};

asio::awaitable<void> read_all(Connection& from, Received& into) {
  for (;;) {
    Frame frame;
    auto r = co_await from.read(frame);
    if (!r) {
      into.end = std::move(r);
      into.ended = true;
      co_return;
    }
    into.frames.push_back(std::move(frame));
  }
}

BatchPtr batch(std::string head, std::string payload) {
  auto b = std::make_shared<Batch>();
  b->head = std::move(head);
  b->payload = std::move(payload);
  return b;
}

std::string frame(FrameType type, const std::string& header, const std::string& payload) {
  const auto prefix = encode_frame_prefix(type, 0, header, payload.size());
  return std::string(prefix.data(), prefix.size()) + header + payload;
}

// A connection whose other end is a bare file descriptor.
struct Half {
  Half() {
    auto pair = socket_pair(road);
    BOOST_REQUIRE(pair.ok());
    connection = std::make_unique<Connection>(road, std::move(pair->first), "the peer");
    peer = Fd(pair->second.release());
  }
  void give(std::string_view bytes) {
    BOOST_REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                  static_cast<ssize_t>(bytes.size()));
  }
  std::string taken() {
    std::string all(1 << 20, '\0');
    const ssize_t n = ::recv(peer.get(), all.data(), all.size(), MSG_DONTWAIT);
    all.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return all;
  }
  void turn() {
    road.restart();
    road.poll();
  }
  asio::io_context road{1};
  std::unique_ptr<Connection> connection;
  Fd peer;
};

struct Both {
  Both() {
    auto pair = socket_pair(road);
    BOOST_REQUIRE(pair.ok());
    a = std::make_unique<Connection>(road, std::move(pair->first), "b");
    b = std::make_unique<Connection>(road, std::move(pair->second), "a");
  }
  asio::io_context road{1};
  std::unique_ptr<Connection> a, b;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(connection)

BOOST_FIXTURE_TEST_CASE(frames_arrive_as_sent, Both) {
  Received got;
  spawn(road, "read", read_all(*b, got));
  proto::Ack ack;
  ack.set_stream(3);
  ack.set_next_seq(99);
  a->send(FrameType::ack, ack, kFramePush);
  a->send(FrameType::ping);
  a->send({.type = FrameType::data,
           .before = "sinks",
           .batch = batch("head", std::string(100'000, 'p'))});
  road.poll();
  BOOST_REQUIRE(got.frames.size() == 3u);
  BOOST_TEST((got.frames[0].type == FrameType::ack));
  BOOST_TEST(got.frames[0].flags == kFramePush);
  proto::Ack parsed;
  BOOST_TEST(parse_message(got.frames[0], parsed).ok());
  BOOST_TEST(parsed.stream() == 3u);
  BOOST_TEST(parsed.next_seq() == 99u);
  BOOST_TEST((got.frames[1].type == FrameType::ping));
  BOOST_TEST(got.frames[1].header.empty());
  BOOST_TEST(got.frames[2].header == "sinkshead");
  BOOST_TEST((got.frames[2].payload == std::string(100'000, 'p')));
  BOOST_TEST(a->queued_bytes() == 0u);
  BOOST_TEST(!got.ended);
}

BOOST_FIXTURE_TEST_CASE(many_frames_both_ways_under_pressure, Both) {
  const uint64_t seed = 20'26;
  BOOST_TEST_MESSAGE("seed " << seed);
  Rng rng(seed);
  Received at_a, at_b;
  spawn(road, "read", read_all(*a, at_a));
  spawn(road, "read", read_all(*b, at_b));
  std::vector<std::string> to_a, to_b;
  for (int i = 0; i < 400; ++i) {
    const bool forth = rng.chance(0.5);
    const std::string payload = sample::noise(rng, 1 + rng.below(size_t{1} << rng.below(18)));
    (forth ? to_b : to_a).push_back(payload);
    (forth ? *a : *b).send({.type = FrameType::data, .before = "s", .batch = batch("h", payload)});
  }
  BOOST_TEST(a->queued_bytes() > 1u << 20);  // more than the kernel holds: writes are cut
  size_t drained = 0;
  a->on_drained([&] { ++drained; });
  road.poll();
  while (at_a.frames.size() < to_a.size() || at_b.frames.size() < to_b.size()) road.run_one();
  for (size_t i = 0; i < to_a.size(); ++i) BOOST_REQUIRE((at_a.frames[i].payload == to_a[i]));
  for (size_t i = 0; i < to_b.size(); ++i) BOOST_REQUIRE((at_b.frames[i].payload == to_b[i]));
  BOOST_TEST(drained > 0u);
  BOOST_TEST(a->queued_bytes() == 0u);
}

BOOST_FIXTURE_TEST_CASE(frames_sent_in_one_turn_leave_in_one_write, Half) {
  for (int i = 0; i < 20; ++i) connection->send(FrameType::ping);
  BOOST_TEST(taken().empty());  // nothing before the turn ends
  BOOST_TEST(connection->queued_bytes() == 400u);
  road.run_one();
  BOOST_TEST(taken().size() == 400u);
  BOOST_TEST(connection->queued_bytes() == 0u);
}

BOOST_FIXTURE_TEST_CASE(torn_writes_are_put_together, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  const std::string bytes =
      frame(FrameType::data, "header", "payload") + frame(FrameType::ping, "", "");
  for (int round = 0; round < 3; ++round)
    for (const char c : bytes) {
      give({&c, 1});
      turn();
    }
  BOOST_TEST(got.frames.size() == 6u);
  BOOST_TEST(got.frames[4].payload == "payload");
}

BOOST_FIXTURE_TEST_CASE(a_payload_larger_than_all_buffers, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  Rng rng(8);
  const std::string payload = sample::noise(rng, kMaxFrameBytes - 6);
  const std::string bytes =
      frame(FrameType::data, "header", payload) + frame(FrameType::ping, "", "");
  ::fcntl(peer.get(), F_SETFL, O_NONBLOCK);
  for (std::string_view rest = bytes; !rest.empty(); turn()) {
    const ssize_t n = ::send(peer.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n > 0) rest.remove_prefix(static_cast<size_t>(n));
  }
  turn();
  BOOST_REQUIRE(got.frames.size() == 2u);
  BOOST_TEST((got.frames[0].payload == payload));
}

BOOST_FIXTURE_TEST_CASE(memory_is_kept_from_frame_to_frame, Half) {
  const std::string bytes = frame(FrameType::data, std::string(200, 'h'), std::string(90'000, 'p'));
  Frame into;
  const char* at = nullptr;
  const auto read_three = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      const auto r = co_await connection->read(into);
      BOOST_TEST(r.ok());
      if (i == 0) at = into.payload.data();
      BOOST_TEST(static_cast<const void*>(into.payload.data()) == static_cast<const void*>(at));
    }
  };
  spawn(road, "read", read_three());
  for (int i = 0; i < 3; ++i) {
    give(bytes);
    turn();
  }
  BOOST_TEST(at != nullptr);
}

BOOST_FIXTURE_TEST_CASE(more_waiting_sees_the_buffer_and_the_kernel, Half) {
  BOOST_TEST(!connection->more_waiting());
  give(frame(FrameType::ping, "", ""));
  BOOST_TEST(connection->more_waiting());
  give(frame(FrameType::pong, "", ""));
  Frame into;
  bool after_one = false;
  const auto read_one = [&]() -> asio::awaitable<void> {
    const auto r = co_await connection->read(into);
    after_one = r.ok() && connection->more_waiting();
    const auto s = co_await connection->read(into);
    BOOST_TEST(s.ok());
  };
  spawn(road, "read", read_one());
  turn();
  BOOST_TEST(after_one);
  BOOST_TEST(!connection->more_waiting());
  BOOST_TEST(mono_ms() - connection->last_heard_ms() < 10'000);
}

BOOST_FIXTURE_TEST_CASE(the_peer_goes_between_frames_or_within_one, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  give(frame(FrameType::ping, "", ""));
  peer.reset();
  turn();
  BOOST_TEST(got.frames.size() == 1u);
  BOOST_REQUIRE(got.ended);
  BOOST_TEST((got.end.error().kind == Error::Kind::closed));
  BOOST_TEST(got.end.error().text == "the peer: it closed the connection");

  Half other;
  Received cut;
  spawn(other.road, "read", read_all(*other.connection, cut));
  other.give(frame(FrameType::data, "header", "payload").substr(0, 30));
  other.turn();
  other.peer.reset();
  other.turn();
  BOOST_REQUIRE(cut.ended);
  BOOST_TEST(cut.frames.empty());
  BOOST_TEST((cut.end.error().kind == Error::Kind::closed));
  BOOST_TEST(cut.end.error().text == "the peer: it went away in the middle of a frame");
}

BOOST_FIXTURE_TEST_CASE(garbage_names_the_peer, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  give("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  turn();
  BOOST_REQUIRE(got.ended);
  BOOST_TEST((got.end.error().kind == Error::Kind::rejected));
  BOOST_TEST(got.end.error().text.starts_with("the peer: "));
}

BOOST_FIXTURE_TEST_CASE(closing_ends_a_waiting_read, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  turn();
  BOOST_TEST(!got.ended);
  connection->close();
  connection->close();  // twice is once
  BOOST_TEST(connection->closed());
  turn();
  BOOST_REQUIRE(got.ended);
  BOOST_TEST((got.end.error().kind == Error::Kind::closed));
  connection->send(FrameType::ping);  // says nothing, does nothing
  BOOST_TEST(connection->queued_bytes() == 0u);
  turn();
  BOOST_TEST(taken().empty());
}

BOOST_FIXTURE_TEST_CASE(a_connection_may_be_destroyed_while_it_is_read_and_written, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  auto held = batch("head", std::string(3 << 20, 'x'));
  connection->send({.type = FrameType::data, .batch = held});
  turn();
  BOOST_TEST(held.use_count() == 2);  // the kernel took a part
  connection.reset();
  turn();
  BOOST_TEST(got.ended);
  BOOST_TEST(held.use_count() == 1);
}

BOOST_FIXTURE_TEST_CASE(a_farewell_goes_out_before_the_end, Half) {
  connection->send({.type = FrameType::data, .batch = batch("head", "payload")});
  proto::Reject reject;
  reject.set_text("why");
  connection->send(FrameType::reject, reject);
  connection->close();
  BOOST_TEST((taken() == frame(FrameType::reject, reject.SerializeAsString(), "")));
}

BOOST_FIXTURE_TEST_CASE(busy_is_a_farewell_too, Half) {
  proto::Busy busy;
  busy.set_retry_ms(7);
  connection->send(FrameType::busy, busy);
  connection->close();
  BOOST_TEST((taken() == frame(FrameType::busy, busy.SerializeAsString(), "")));
}

BOOST_FIXTURE_TEST_CASE(a_frame_that_has_begun_must_come_on, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  turn();
  const int64_t later = mono_ms() + 3'600'000;
  BOOST_TEST(!connection->too_slow(later));  // silence is another matter
  const std::string one = frame(FrameType::ping, "", "");
  give(one.substr(0, 5));
  turn();
  BOOST_TEST(!connection->too_slow(mono_ms() + 9'000));
  BOOST_TEST(connection->too_slow(mono_ms() + 10'001));
  give(one.substr(5));
  turn();
  BOOST_TEST(got.frames.size() == 1u);
  BOOST_TEST(!connection->too_slow(later));
  give(frame(FrameType::data, "h", std::string(640 << 10, 'x')).substr(0, 100));
  turn();
  BOOST_TEST(!connection->too_slow(mono_ms() + 39'000));  // 30 s, and 1 s for each 64 KiB
  BOOST_TEST(connection->too_slow(mono_ms() + 40'001));
}

BOOST_FIXTURE_TEST_CASE(another_version_is_told_from_garbage, Half) {
  Received got;
  spawn(road, "read", read_all(*connection, got));
  std::string bytes = frame(FrameType::ping, "", "");
  bytes[4] = 2;
  give(bytes);
  turn();
  BOOST_REQUIRE(got.ended);
  BOOST_TEST(connection->other_version());
  BOOST_TEST(!Both().a->other_version());
}

BOOST_AUTO_TEST_CASE(tcp_gives_a_vanished_peer_up_and_its_address_is_known) {
  asio::io_context road{1};
  const Fd door(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  BOOST_REQUIRE(::bind(door.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
  BOOST_REQUIRE(::listen(door.get(), 1) == 0);
  BOOST_REQUIRE(::getsockname(door.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  BOOST_REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
  StreamSocket socket(road);
  socket.assign(asio::generic::stream_protocol(AF_INET, 0), fd);
  const Connection connection(road, std::move(socket), "x");
  unsigned ms = 0;
  socklen_t length = sizeof ms;
  BOOST_REQUIRE(::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &length) == 0);
  BOOST_TEST(ms == 20'000u);
  BOOST_TEST(peer_address(fd).name == "127.0.0.1:" + std::to_string(ntohs(at.sin_port)));
  BOOST_TEST(peer_address(fd).host == "");
}

BOOST_FIXTURE_TEST_CASE(who_is_at_a_unix_socket_is_known, Half) {
  const PeerAddress who = peer_address(peer.get());
  BOOST_TEST(who.name ==
             "process " + std::to_string(::getpid()) + " of user " + std::to_string(::getuid()));
  BOOST_TEST(who.host == "");
  BOOST_TEST(peer_address(-1).name == "a peer that has gone");
}

BOOST_FIXTURE_TEST_CASE(a_farewell_after_a_frame_half_written_does_not_tear_it, Half) {
  Rng rng(1);
  const std::string payload = sample::noise(rng, 2 << 20);
  connection->send({.type = FrameType::data, .batch = batch("head", payload)});
  turn();
  std::string got = taken();  // makes room
  connection->send(FrameType::goodbye);
  connection->close();
  for (std::string more = taken(); !more.empty(); more = taken()) got += more;
  const std::string whole =
      frame(FrameType::data, "head", payload) + frame(FrameType::goodbye, "", "");
  BOOST_TEST((whole.substr(0, got.size()) == got));
}

BOOST_FIXTURE_TEST_CASE(what_the_peer_said_before_it_left_is_still_read, Both) {
  Received got;
  a->send(FrameType::ping);
  road.poll();
  proto::Reject reject;
  reject.set_text("you are a duplicate");
  b->send(FrameType::reject, reject);
  b->close();  // with our ping unread
  a->send(
      {.type = FrameType::data, .batch = batch("head", "payload")});  // cannot be written any more
  road.restart();
  road.poll();
  BOOST_TEST(a->queued_bytes() == 0u);
  spawn(road, "read", read_all(*a, got));
  road.restart();
  road.poll();
  BOOST_REQUIRE(got.frames.size() == 1u);
  BOOST_TEST((got.frames[0].type == FrameType::reject));
  BOOST_REQUIRE(got.ended);
  BOOST_TEST((got.end.error().kind == Error::Kind::closed));
}

BOOST_FIXTURE_TEST_CASE(a_sender_that_waits_for_room_goes_on, Both) {
  Received got;
  spawn(road, "read", read_all(*b, got));
  constexpr size_t kLimit = 256 << 10;
  constexpr int kBatches = 100;
  Bell room(road);
  a->on_drained([&] { room.ring(); });
  size_t most = 0;
  const auto send_all = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < kBatches; ++i) {
      while (a->queued_bytes() >= kLimit) {
        co_await room.wait();
      }
      a->send({.type = FrameType::data,
               .batch = batch("head", std::string(100'000, static_cast<char>('a' + i % 26)))});
      most = std::max(most, a->queued_bytes());
    }
  };
  spawn(road, "send", send_all());
  while (got.frames.size() < kBatches) road.run_one();
  BOOST_TEST(most < kLimit + 101'000);
  for (int i = 0; i < kBatches; ++i)
    BOOST_TEST(got.frames[static_cast<size_t>(i)].payload[0] == static_cast<char>('a' + i % 26));
}

BOOST_FIXTURE_TEST_CASE(a_call_on_drained_may_end_the_connection, Half) {
  connection->on_drained([this] { connection.reset(); });
  connection->send(FrameType::ping);
  turn();
  BOOST_TEST(connection.get() == nullptr);
  BOOST_TEST(taken().size() == kFramePrefixBytes);
}

BOOST_AUTO_TEST_CASE(a_message_that_is_none) {
  Frame f;
  f.type = FrameType::ack;
  f.header = "\xFF\xFF\xFF";
  proto::Ack ack;
  const auto r = parse_message(f, ack);
  BOOST_REQUIRE(!r);
  BOOST_TEST((r.error().kind == Error::Kind::corrupt));
  BOOST_TEST(r.error().text == "a frame of type 16 is no tailrace.proto.Ack");
}

BOOST_AUTO_TEST_SUITE_END()
