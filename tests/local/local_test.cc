// The whole Local: a real spool on a real disk, between an agent and a Center that are made of
// frames.
#include "local/local.h"

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
#include "tests/local/paper_spool.h"

namespace tailrace {
namespace {

using test::make_batch;

constexpr StreamId kStream = 3;
constexpr FileId kFile = 5;
const std::string kSink = hex16(0xABCD);

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
    settings.segment_bytes = segment_bytes;
    settings.quota_bytes = quota_bytes;
    center.peer = nullptr;
    local = std::make_unique<Local>(road, settings, [this] { return connect(); });
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
  Result<StreamSocket> connect() {
    if (!center.reachable) return Error{Error::Kind::retry_later, "nobody there"};
    auto pair = socket_pair(road);
    BOOST_REQUIRE(pair.ok());
    center.received.clear();
    center.peer = std::make_shared<Peer>(road, std::move(pair->second));
    spawn(road, "center", Peer::listen(center.peer, [this](Frame& frame) { center.on(frame); }));
    return std::move(pair->first);
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
      peer->connection.send(FrameType::append, "", batches[sent], kFramePush);
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

void append(Peer& peer, std::shared_ptr<Batch> batch, bool push = true) {
  peer.connection.send(FrameType::append, "", std::move(batch), push ? kFramePush : uint16_t{0});
}

BOOST_AUTO_TEST_SUITE(local)

BOOST_AUTO_TEST_CASE(lines_are_acked_sent_and_committed_in_this_order) {
  TempDirectory directory;
  FakeCenter center;
  center.commits = false;
  Source source;
  Host host(directory.path, center);
  const auto agent = host.agent();
  append(*agent, source.next(1000));
  BOOST_REQUIRE(
      host.until([&] { return agent->last<proto::Ack>(FrameType::ack).next_seq() == source.seq; }));
  BOOST_TEST(agent->last<proto::Ack>(FrameType::ack).stream() == kStream);
  BOOST_REQUIRE(host.until([&] { return center.next.seq == source.seq; }));
  BOOST_TEST(center.received == source.text);
  BOOST_TEST(agent->count(FrameType::committed) == 0u);
  BOOST_TEST(host.local->status().lines_taken == source.seq);
  BOOST_TEST(host.local->status().lines_committed == 0u);
  center.commit();
  BOOST_REQUIRE(host.until([&] { return agent->count(FrameType::committed) > 0; }));
  const auto committed = agent->last<proto::Committed>(FrameType::committed).positions(0);
  BOOST_TEST(committed.sink() == kSink);
  BOOST_TEST(committed.seq() == source.seq);
  BOOST_TEST(host.local->status().lines_committed == source.seq);
  agent->connection.send(FrameType::flush, proto::Flush());
  append(*agent, source.next(1000));
  agent->connection.send(FrameType::flush, proto::Flush(), kFramePush);
  BOOST_REQUIRE(host.until([&] { return center.flushes > 0; }));
  BOOST_TEST(center.received.size() > 900u);
  host.leave();
  BOOST_TEST(host.until([&] { return agent->gone; }));
}

// Without a push the 200 ms are the net.
BOOST_AUTO_TEST_CASE(a_batch_that_nobody_pushes_is_acked_after_a_while) {
  TempDirectory directory;
  FakeCenter center;
  Source source;
  Host host(directory.path, center);
  const auto agent = host.agent();
  const int64_t begin_ms = mono_ms();
  append(*agent, source.next(1000), false);
  BOOST_REQUIRE(host.until([&] { return agent->count(FrameType::ack) > 0; }));
  BOOST_TEST(mono_ms() - begin_ms >= 150);
}

BOOST_AUTO_TEST_CASE(what_was_acked_is_there_after_a_crash_and_reaches_the_center) {
  TempDirectory directory;
  FakeCenter center;
  center.reachable = false;
  Source source;
  uint64_t local_id = 0, acked = 0;
  {
    Host host(directory.path, center);
    const auto agent = host.agent();
    local_id = agent->last<proto::LocalWelcome>(FrameType::welcome).local_id();
    for (int i = 0; i < 50; ++i) append(*agent, source.next(20'000));
    BOOST_REQUIRE(host.until([&] {
      acked = agent->last<proto::Ack>(FrameType::ack).next_seq();
      return acked > source.seq / 2;
    }));
  }
  center.reachable = true;
  Host host(directory.path, center);
  const auto agent = host.agent();
  const auto welcome = agent->last<proto::LocalWelcome>(FrameType::welcome);
  BOOST_TEST(welcome.local_id() == local_id);
  const uint64_t next = welcome.streams(0).next_seq();
  BOOST_TEST(next >= acked);
  BOOST_TEST(next <= source.seq);
  BOOST_REQUIRE(host.until([&] { return center.committed.seq == next; }));
  BOOST_TEST((center.text == source.text.substr(0, welcome.files(0).next())));
  BOOST_TEST(center.hellos.back().local_id() == local_id);
  BOOST_TEST(center.hellos.back().start() != center.hellos.back().start_before());
}

BOOST_AUTO_TEST_CASE(a_second_agent_is_refused_and_the_first_goes_on) {
  TempDirectory directory;
  FakeCenter center;
  Source source;
  Host host(directory.path, center);
  auto first = host.agent();
  const auto second = host.agent(false);
  BOOST_REQUIRE(host.until([&] { return second->gone; }));
  BOOST_TEST(second->count(FrameType::reject) == 1u);
  append(*first, source.next(100));
  BOOST_REQUIRE(host.until([&] { return first->count(FrameType::ack) > 0; }));
  first->connection.close();
  BOOST_REQUIRE(host.until([&] { return first->gone; }));
  const auto third = host.agent();  // its place is free
  append(*third, source.next(100));
  BOOST_REQUIRE(host.until([&] { return third->count(FrameType::ack) > 0; }));
}

// More than the cache holds: read again from the disk, while new lines come.
BOOST_AUTO_TEST_CASE(a_backlog_is_sent_whole_and_in_order_once_the_center_comes) {
  TempDirectory directory;
  FakeCenter center;
  center.reachable = false;
  Source source;
  Host host(directory.path, center, 4u << 20);
  Sender sender(host.agent());
  for (int i = 0; i < 80; ++i) sender.batches.push_back(source.next(200'000));
  BOOST_REQUIRE(host.until([&] { return sender.step(), sender.acked == source.seq; }));
  center.reachable = true;
  BOOST_REQUIRE(host.until([&] { return center.committed.seq > 0; }));
  for (int i = 0; i < 20; ++i) sender.batches.push_back(source.next(50'000));
  BOOST_REQUIRE(host.until([&] { return sender.step(), center.committed.seq == source.seq; }));
  BOOST_TEST((center.text == source.text));
  BOOST_TEST(host.local->status().held.empty());
}

BOOST_AUTO_TEST_CASE(lost_connections_to_the_center_double_and_lose_nothing) {
  TempDirectory directory;
  FakeCenter center;
  center.commits = false;
  const uint64_t seed = os_random();
  BOOST_TEST_MESSAGE("seed " << seed);
  Rng rng(seed);
  Source source;
  Host host(directory.path, center);
  const auto agent = host.agent();
  for (int i = 0; i < 40; ++i) {
    append(*agent, source.next(1 + rng.below(50'000)));
    const uint64_t frames = rng.below(30);
    size_t turns = 0;
    (void)host.until([&] { return ++turns > frames; });
    if (rng.chance(0.4)) center.commit();
    if (rng.chance(0.3) && center.peer) center.peer->connection.close();
  }
  center.commits = true;
  append(*agent, source.next(10));
  BOOST_REQUIRE(host.until([&] { return center.committed.seq == source.seq; }));
  BOOST_TEST((center.text == source.text));
  BOOST_TEST(host.local->status().held.empty());
}

BOOST_AUTO_TEST_CASE(a_full_spool_pauses_the_agent_until_the_center_commits) {
  TempDirectory directory;
  FakeCenter center;
  center.commits = false;
  Source source;
  Host host(directory.path, center, 1u << 20, 4u << 20);
  Sender sender(host.agent());
  for (int i = 0; i < 60; ++i) sender.batches.push_back(source.next(100'000));
  int64_t paused_ms = 0;  // longer than the moment in which a segment is made
  BOOST_REQUIRE(host.until([&] {
    sender.step();
    if (!sender.paused) paused_ms = mono_ms();
    return mono_ms() - paused_ms > 500;
  }));
  BOOST_TEST(sender.acked > 10'000u);
  BOOST_TEST(sender.acked < source.seq);
  BOOST_TEST(host.local->status().spool_bytes <= 5u << 20);
  const size_t pauses = sender.pauses;
  center.commit();
  center.commits = true;
  BOOST_REQUIRE(host.until([&] { return sender.step(), center.committed.seq == source.seq; }));
  BOOST_TEST((center.text == source.text));
  BOOST_TEST(pauses < 10u);
}

BOOST_AUTO_TEST_CASE(a_clean_end_leaves_a_spool_that_goes_on) {
  TempDirectory directory;
  FakeCenter center;
  Source source;
  for (int i = 0; i < 3; ++i) {
    Host host(directory.path, center);
    const auto agent = host.agent();
    const auto welcome = agent->last<proto::LocalWelcome>(FrameType::welcome);
    const uint64_t before = source.seq;
    if (i > 0) BOOST_TEST(welcome.streams(0).next_seq() == source.seq);
    if (i > 0) BOOST_TEST(welcome.committed(0).seq() == source.seq);
    append(*agent, source.next(5'000));
    BOOST_REQUIRE(host.until([&] { return center.committed.seq == source.seq; }));
    BOOST_REQUIRE(
        host.until([&] { return host.local->status().lines_committed == source.seq - before; }));
    host.leave();
  }
  BOOST_TEST((center.text == source.text));
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_protocol_harm_nobody_else) {
  TempDirectory directory;
  FakeCenter center;
  Source source;
  Host host(directory.path, center);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n aaaaaaaaaa"),
        std::string("\x16\x03\x01 tls tls tls tls tls"), std::string(200, '\0'),
        std::string("TLR1\x01\x0e\0\0\xff\xff\xff\xff\xff\xff\xff\xff....", 20)}) {
    auto pair = socket_pair(host.road);
    BOOST_REQUIRE(pair.ok());
    host.local->accept_agent(std::move(pair->first));
    BOOST_REQUIRE_EQUAL(::write(pair->second.native_handle(), bytes.data(), bytes.size()),
                        static_cast<ssize_t>(bytes.size()));
    const auto peer = std::make_shared<Peer>(host.road, std::move(pair->second));
    spawn(host.road, "peer", Peer::listen(peer, nullptr));
    BOOST_REQUIRE(host.until([&] { return peer->gone; }));
  }
  const auto agent = host.agent();
  append(*agent, source.next(100));
  BOOST_REQUIRE(host.until([&] { return center.committed.seq == source.seq; }));
}

// A disk that refuses a write ends the process with 70, and nothing of it was acked.
BOOST_AUTO_TEST_CASE(a_write_error_ends_the_process_without_an_ack) {
  TempDirectory directory;
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    FakeCenter center;
    center.reachable = false;
    Source source;
    Host host(directory.path, center);
    const auto agent = host.agent();
    append(*agent, source.next(1'000));
    if (!host.until([&] { return agent->count(FrameType::ack) > 0; })) ::_exit(1);
    const rlimit limit{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    append(*agent, source.next(1'000));
    (void)host.until([&] { return agent->count(FrameType::ack) > 1; });
    ::_exit(agent->count(FrameType::ack) > 1 ? 2 : 3);
  }
  int status = 0;
  BOOST_REQUIRE_EQUAL(::waitpid(child, &status, 0), child);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 70);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
