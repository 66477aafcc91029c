// The whole Local on a real disk, between an agent and a Center made of frames: what its tests
// share. Thread: the one that runs the road.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <filesystem>
#include <map>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/spawn.h"
#include "control.pb.h"
#include "local/local.h"
#include "tests/local/paper_spool.h"

namespace tailrace::test {

inline constexpr StreamId kStream = 3;
inline constexpr FileId kFile = 5;
inline const std::string kSink = hex16(0xABCD);

struct TempDirectory {
  TempDirectory() {
    char name[] = "/tmp/tailrace-local-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~TempDirectory() { std::filesystem::remove_all(path); }
  std::string path;
};

// One end of a hop: sends, and keeps what comes.
struct Peer {
  Peer(asio::io_context& road, StreamSocket socket) : connection(road, std::move(socket), "peer") {}
  template <class Message>
  Message last(FrameType type) const {
    Message message;
    for (auto it = frames.rbegin(); it != frames.rend(); ++it)
      if (it->type == type) {
        BOOST_REQUIRE(parse_message(*it, message));
        return message;
      }
    return message;
  }
  size_t count(FrameType type) const {
    size_t n = 0;
    for (const Frame& frame : frames) n += frame.type == type;
    return n;
  }
  static asio::awaitable<void> listen(std::shared_ptr<Peer> self,
                                      std::function<void(Frame&)> each) {
    for (;;) {
      Frame frame;
      const Result<void> read = co_await self->connection.read(frame);
      if (!read) break;
      self->frames.push_back(frame);
      if (each) each(frame);
    }
    self->gone = true;
  }
  Connection connection;
  std::vector<Frame> frames;
  bool gone = false;
};

// A Center of one sink that keeps its promises across connections.
struct FakeCenter {
  void on(Frame& frame) {
    switch (frame.type) {
      case FrameType::hello: {
        proto::Hello hello;
        BOOST_REQUIRE(parse_message(frame, hello));
        hellos.push_back(hello);
        proto::Welcome welcome;
        welcome.set_center("center");
        welcome.set_cluster("c1");
        welcome.add_sinks()->set_sink(kSink);
        welcome.mutable_sinks(0)->set_required(true);
        next = committed;
        if (hello.streams_size() > 0) *welcome.add_positions() = position(committed);
        peer->connection.send(FrameType::welcome, welcome);
        granted = 0;
        grant(1u << 20);
        break;
      }
      case FrameType::stream_def: say_committed(); break;
      case FrameType::ping: peer->connection.send(FrameType::pong, proto::Pong()); break;
      case FrameType::flush: ++flushes; break;
      case FrameType::data: {
        BOOST_REQUIRE(ByteReader(frame.header).u32() == 1);
        const std::string_view bytes = std::string_view(frame.header).substr(4);
        const Result<BatchHead> head = BatchHead::parse(bytes);
        BOOST_REQUIRE(head);
        grant(bytes.size() + frame.payload.size());
        const BatchFields& f = head->fields();
        if (f.first_seq != next.seq) break;  // sent before, on another connection
        BOOST_REQUIRE(f.chain_before == next.chain);
        next = {f.end_seq(), f.chain_after};
        received += frame.payload;
        if (commits) commit();
        break;
      }
      default: break;
    }
  }
  void commit() {
    committed = next;
    text += std::exchange(received, {});
    if (peer) say_committed();
  }
  void say_committed() {
    proto::Committed message;
    *message.add_positions() = position(committed);
    peer->connection.send(FrameType::committed, message);
  }
  void grant(uint64_t bytes) {
    proto::Credit credit;
    credit.set_sink(kSink);
    credit.set_category("web");
    credit.set_bytes(granted += bytes);
    peer->connection.send(FrameType::credit, credit);
  }
  static proto::SinkStreamPosition position(Position at) {
    proto::SinkStreamPosition p;
    p.set_sink(kSink);
    p.set_stream(kStream);
    p.set_seq(at.seq);
    p.set_chain(at.chain);
    return p;
  }

  std::shared_ptr<Peer> peer;
  bool reachable = true;
  bool commits = true;
  uint64_t granted = 0;
  Position next, committed;
  std::string received, text;  // the latter: committed
  size_t flushes = 0;
  std::vector<proto::Hello> hellos;
};

// A road with a Local on it; thrown away without a word, it is a crash.
struct Host {
  Host(const std::string& directory, FakeCenter& c, uint64_t segment_bytes = 1u << 20,
       uint64_t quota_bytes = 64u << 20)
      : center(c) {
    LocalSettings settings;
    settings.spool_dir = directory;
    settings.host = "h";
    settings.cluster = "c1";
    settings.centers = {"center"};
    settings.segment_bytes = segment_bytes;
    settings.quota_bytes = quota_bytes;
    center.peer = nullptr;
    local = std::make_unique<Local>(road, settings, [this](std::string) { return connect(); });
    const Result<void> opened = local->open();
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.error().text);
    spawn(road, "local", [](Host* host) -> asio::awaitable<void> {
      co_await host->local->run();
      host->ended = true;
    }(this));
  }
  ~Host() {
    local.reset();
    center.peer = nullptr;
  }
  asio::awaitable<Result<StreamSocket>> connect() {
    if (!center.reachable) co_return Error{Error::Kind::retry_later, "nobody there"};
    auto pair = socket_pair(road);
    BOOST_REQUIRE(pair.ok());
    center.received.clear();  // both, or a commit before HELLO would skip what was not kept
    center.next = center.committed;
    center.peer = std::make_shared<Peer>(road, std::move(pair->second));
    spawn(road, "center", Peer::listen(center.peer, [this](Frame& frame) { center.on(frame); }));
    co_return std::move(pair->first);
  }
  std::shared_ptr<Peer> agent(bool greet = true) {
    auto pair = socket_pair(road);
    BOOST_REQUIRE(pair.ok());
    auto peer = std::make_shared<Peer>(road, std::move(pair->second));
    local->accept_agent(std::move(pair->first));
    spawn(road, "agent", Peer::listen(peer, nullptr));
    if (!greet) return peer;
    proto::Hello hello;
    hello.set_role(proto::ROLE_AGENT);
    peer->connection.send(FrameType::hello, hello);
    BOOST_REQUIRE(
        until([&] { return peer->last<proto::LocalWelcome>(FrameType::welcome).last(); }));
    proto::StreamDef stream;
    stream.set_stream(kStream);
    stream.set_category("web");
    peer->connection.send(FrameType::stream_def, stream);
    proto::FileDef file;
    file.mutable_file()->set_file(kFile);
    file.mutable_file()->set_path("/web.log");
    peer->connection.send(FrameType::file_def, file);
    return peer;
  }
  // Runs the road until `done`; false after 30 s.
  bool until(const std::function<bool()>& done) {
    const int64_t end = mono_ms() + 30'000;
    while (!done()) {
      if (mono_ms() > end) return false;
      road.run_one_for(std::chrono::milliseconds(20));
      if (road.stopped()) road.restart();
    }
    return true;
  }
  void leave() {
    local->leave();
    BOOST_REQUIRE(until([&] { return ended; }));
  }

  FakeCenter& center;
  asio::io_context road;
  std::unique_ptr<Local> local;
  bool ended = false;
};

// Makes batches one after another and knows what they add up to.
struct Source {
  std::shared_ptr<Batch> next(size_t bytes) {
    std::string payload;
    for (uint32_t lines = 0; payload.size() < bytes; ++lines)
      payload += "line " + std::to_string(seq + lines) + std::string(90, 'x') + '\n';
    const auto lines = static_cast<uint32_t>(std::count(payload.begin(), payload.end(), '\n'));
    auto batch = make_batch(kStream, seq, lines, kFile, text.size(), payload);
    seq += lines;
    text += payload;
    return batch;
  }
  uint64_t seq = 0;
  std::string text;
};

// An agent in small: keeps what is not acked, goes back where EXPECT says, waits while it is
// paused.
struct Sender {
  explicit Sender(std::shared_ptr<Peer> p) : peer(std::move(p)) {}
  void step() {
    for (const Frame& frame : std::exchange(peer->frames, {})) {
      if (frame.type == FrameType::ack) {
        proto::Ack ack;
        BOOST_REQUIRE(parse_message(frame, ack));
        BOOST_TEST(ack.next_seq() > acked);
        acked = ack.next_seq();
      } else if (frame.type == FrameType::expect) {
        proto::Expect expect;
        BOOST_REQUIRE(parse_message(frame, expect));
        again_from = expect.next_seq();
        again_ms = mono_ms() + 20;  // later ones are refused too, each with an EXPECT
      } else if (frame.type == FrameType::credit) {
        proto::Credit credit;
        BOOST_REQUIRE(parse_message(frame, credit));
        BOOST_TEST(credit.category() == "web");
        paused = credit.paused();
        pauses += paused;
      }
    }
    if (paused) return;
    if (again_from != UINT64_MAX) {
      if (mono_ms() < again_ms) return;
      for (sent = 0; batches.at(sent)->fields.first_seq != again_from;) ++sent;
      again_from = UINT64_MAX;
    }
    size_t open = 0;
    for (size_t i = 0; i < sent; ++i) open += batches[i]->fields.end_seq() > acked;
    for (; sent < batches.size() && open < 8; ++sent, ++open)
      peer->connection.send(
          {.type = FrameType::append, .batch = batches[sent], .flags = kFramePush});
  }
  std::shared_ptr<Peer> peer;
  std::vector<std::shared_ptr<Batch>> batches;
  size_t sent = 0;
  uint64_t acked = 0;
  uint64_t again_from = UINT64_MAX;
  int64_t again_ms = 0;
  bool paused = false;
  size_t pauses = 0;
};

inline void append(Peer& peer, std::shared_ptr<Batch> batch, bool push = true) {
  peer.connection.send({.type = FrameType::append,
                        .batch = std::move(batch),
                        .flags = push ? kFramePush : uint16_t{0}});
}

}  // namespace tailrace::test
