// The whole Local: a real spool on a real disk, between an agent and a Center that are made of
// frames.
#include "local/local.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "tests/local/local_hands.h"

namespace tailrace {
namespace {

using test::append;
using test::FakeCenter;
using test::Host;
using test::kSink;
using test::kStream;
using test::Peer;
using test::Sender;
using test::Source;
using test::TempDirectory;

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
