// A sink that was added in the middle of a stream.
#include <boost/test/unit_test.hpp>

#include "tests/local/spool_on_paper.h"

using namespace tailrace;
using namespace tailrace::test;
using Taken = Spool::Taken;

BOOST_TEST_DONT_PRINT_LOG_VALUE(Spool::Taken)

BOOST_AUTO_TEST_SUITE(spool_origins)

const std::pair<uint64_t, StreamId> kWay{kSinkB, 1};

BOOST_AUTO_TEST_CASE(an_origin_is_no_cursor_until_something_is_committed_there) {
  SpoolOnPaper p;
  p.stream(1, "nginx");
  p.spool->add_sink(kSinkA, 0);
  for (int i = 0; i < 60; ++i) {
    BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
    p.commit();
    if (i < 50) BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 1, p.at(1), 0));
  }
  const std::pair<uint64_t, StreamId> way{kSinkB, 1};
  for (int start = 0; start < 3; ++start) {  // the store knows nothing yet: it is told each time
    p.spool->add_sink(kSinkB, 0);
    BOOST_TEST(p.spool->origins().contains(way));
    BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
    p.commit();
    p.start();
    BOOST_TEST(!p.spool->tables().cursors.contains(way));
  }
  p.spool->add_sink(kSinkB, 0);
  const Position end = p.at(1);
  BOOST_REQUIRE(p.spool->advance_cursor(kSinkB, 1, end, 0));
  BOOST_TEST(p.spool->origins().empty());
  p.commit();
  p.start();
  BOOST_TEST((p.spool->cursor(kSinkB, 1) == end));
  BOOST_TEST(p.spool->origins().empty());
}

// A damaged record may be all that was known of a sink which has committed nothing.
BOOST_AUTO_TEST_CASE(a_sink_whose_cursor_is_damaged_gets_what_it_waits_for) {
  SpoolOnPaper p;
  p.spool->add_sink(kSinkA, 0);
  p.spool->add_sink(kSinkB, 0);
  p.stream(1, "nginx");
  p.commit();
  for (int i = 0; i < 40; ++i) {
    BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
    p.commit();
  }
  BOOST_REQUIRE(p.spool->advance_cursor(kSinkA, 1, p.at(1), 0));
  p.commit();
  SpoolImage image = p.disk.durable();
  std::string cursor;
  encode_cursor({kSinkB, 1, {}}, cursor);
  size_t hurt = 0;
  for (auto& [name, bytes] : image.content)
    for (size_t at = bytes.find(cursor); at != std::string::npos; at = bytes.find(cursor, at)) {
      bytes[at] ^= 0x10;
      ++hurt;
    }
  BOOST_REQUIRE(hurt > 0u);
  p.disk = VirtualDisk(image);
  p.start();
  BOOST_REQUIRE(p.damaged);
  BOOST_REQUIRE(!p.spool->tables().cursors.contains(kWay));
  for (int i = 0; i < 3; ++i) {
    BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
    p.commit();
  }
  p.spool->add_sink(kSinkA, 0);  // a Center names them
  p.spool->add_sink(kSinkB, 0);
  BOOST_TEST(p.spool->origins().empty());
  BOOST_TEST(p.spool->cursor(kSinkB, 1).seq == 0u);
  BOOST_TEST(p.spool->find(1, 0).has_value());
}

using Ways = std::set<std::pair<uint64_t, StreamId>>;

// A lost spool's lines are read again for A; B has them.
struct Ahead : SpoolOnPaper {
  Ahead() {
    spool->add_sink(kSinkA, 0);
    spool->add_sink(kSinkB, 0);
    StreamInfo s;
    s.stream = 1;
    s.category = "nginx";
    BOOST_REQUIRE(spool->define_stream(s, 0, {kSinkB}).ok());
    commit();
  }
  void take(int batches) {
    for (int i = 0; i < batches; ++i) BOOST_REQUIRE(append(1, 2, 300) == Taken::appended);
    commit();
  }
};

BOOST_FIXTURE_TEST_CASE(a_sink_that_waits_has_no_cursor_until_it_is_told_where_it_begins, Ahead) {
  for (int life = 0; life < 3; ++life) {
    take(3);
    start();
    spool->add_sink(kSinkB, 0);
    BOOST_TEST((spool->tables().waits == Ways{kWay}));
    BOOST_TEST(!spool->tables().cursors.contains(kWay));
    BOOST_TEST(spool->tables().cursors.contains({kSinkA, 1}));
    BOOST_TEST((spool->cursor(kSinkB, 1) == at(1)));
  }
  BOOST_TEST(!spool->set_origin(kSinkB, 1, 17, 0));  // no batch ends there
  BOOST_TEST(!spool->set_origin(kSinkA, 1, 18, 0));  // it does not wait
  const Position origin = at(1);
  BOOST_REQUIRE(spool->set_origin(kSinkB, 1, origin.seq, 0));
  BOOST_TEST(!spool->set_origin(kSinkB, 1, origin.seq, 0));
  for (int life = 0; life < 3; ++life) {  // with and without a SNAPSHOT of it
    take(1);
    start();
    BOOST_TEST(spool->tables().waits.empty());
    BOOST_TEST((spool->cursor(kSinkB, 1) == origin));
    BOOST_TEST((spool->origins() == Ways{kWay}));
    if (life == 1) static_cast<void>(disk.apply(spool->begin_shutdown(0)));
    if (life == 1) start();
  }
  BOOST_REQUIRE(spool->advance_cursor(kSinkB, 1, at(1), 0));
  commit();
  start();
  BOOST_TEST(spool->origins().empty());
  BOOST_TEST((spool->cursor(kSinkB, 1) == at(1)));
}

// It holds nothing up: else a spool that is full before it begins would stay so.
BOOST_FIXTURE_TEST_CASE(what_a_sink_that_waits_has_is_trimmed, Ahead) {
  for (int i = 0; i < 200; ++i) {
    take(1);
    BOOST_REQUIRE(spool->advance_cursor(kSinkA, 1, at(1), 0));
    commit();
  }
  BOOST_TEST(segments() < 25u);
  BOOST_TEST(spool->tables().streams.at(1).oldest.seq > 0u);
  const Position origin = at(1);
  BOOST_REQUIRE(spool->set_origin(kSinkB, 1, origin.seq, 0));
  for (int i = 0; i < 200; ++i) {  // from here on it does
    if (append(1, 2, 300) != Taken::appended) break;
    commit();
    BOOST_REQUIRE(spool->advance_cursor(kSinkA, 1, at(1), 0));
    commit();
  }
  BOOST_TEST(spool->tables().streams.at(1).oldest.seq <= origin.seq);
  BOOST_TEST(spool->find(1, origin.seq).has_value());
}

BOOST_AUTO_TEST_CASE(nothing_is_trimmed_while_only_sinks_that_were_ahead_are_known) {
  SpoolOnPaper p;
  StreamInfo s;
  s.stream = 1;
  s.category = "nginx";
  BOOST_REQUIRE(p.spool->define_stream(s, 0, {kSinkB}).ok());
  for (int life = 0; life < 3; ++life) {
    for (int i = 0; i < 30; ++i) {
      BOOST_REQUIRE(p.append(1, 2, 300) == Taken::appended);
      p.commit();
    }
    p.start();
    if (life == 1) BOOST_REQUIRE(p.spool->set_origin(kSinkB, 1, p.at(1).seq, 0));
  }
  BOOST_TEST(p.spool->tables().streams.at(1).oldest.seq == 0u);
  p.spool->add_sink(kSinkA, 0);
  BOOST_TEST((p.spool->cursor(kSinkA, 1) == Position{}));
}

BOOST_FIXTURE_TEST_CASE(who_is_ahead_is_said_before_the_first_line, Ahead) {
  BOOST_TEST(spool->await_origins(1, {}, 0));
  BOOST_TEST(spool->await_origins(1, {kSinkB}, 0));
  BOOST_TEST(spool->await_origins(1, {kSinkA, kSinkB}, 0));  // nothing was taken yet
  commit();
  start();
  BOOST_TEST((spool->tables().waits == Ways{{kSinkA, 1}, kWay}));
  BOOST_REQUIRE(spool->set_origin(kSinkA, 1, 0, 0));
  take(1);
  BOOST_TEST(spool->await_origins(1, {kSinkB}, 0));
  BOOST_TEST(!spool->await_origins(1, {kSinkA, kSinkB}, 0));
}

BOOST_AUTO_TEST_SUITE_END()
