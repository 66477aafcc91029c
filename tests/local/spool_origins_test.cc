// A sink that was added in the middle of a stream.
#include <boost/test/unit_test.hpp>

#include "tests/local/spool_on_paper.h"

using namespace tailrace;
using namespace tailrace::test;
using Taken = Spool::Taken;

BOOST_TEST_DONT_PRINT_LOG_VALUE(Spool::Taken)

BOOST_AUTO_TEST_SUITE(spool_origins)

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

BOOST_AUTO_TEST_SUITE_END()
