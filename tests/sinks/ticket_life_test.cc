#include "sinks/store/ticket_life.h"

#include <boost/test/unit_test.hpp>

using namespace tailrace;

BOOST_AUTO_TEST_SUITE(ticket_life)

BOOST_AUTO_TEST_CASE(tickets_are_got_anew_from_the_middle_of_their_life) {
  TicketLife life;
  BOOST_TEST(!life.usable(0));
  BOOST_TEST(life.due(0));
  life.got(1'000, 60'000);
  BOOST_TEST(life.usable(1'000));
  BOOST_TEST(!life.due(30'999));
  BOOST_TEST(life.due(31'000));
  BOOST_TEST(life.usable(60'999));
  BOOST_TEST(!life.usable(61'000));
}

BOOST_AUTO_TEST_CASE(a_failure_is_not_repeated_at_once_and_takes_no_tickets_away) {
  TicketLife life;
  life.got(0, 60'000);
  life.failed(40'000);
  BOOST_TEST(life.usable(40'000));
  BOOST_TEST(!life.may_ask(44'999));
  BOOST_TEST(!life.due(44'999));
  BOOST_TEST(life.due(45'000));
  life.got(45'000, 60'000);
  BOOST_TEST(life.may_ask(45'000));
  BOOST_TEST(!life.due(45'000));
}

BOOST_AUTO_TEST_CASE(tickets_that_a_server_refuses_are_got_anew_after_a_pause) {
  TicketLife life;
  life.got(0, 3'600'000);
  life.refused(10'000);
  BOOST_TEST(life.usable(10'000));
  BOOST_TEST(!life.due(14'999));
  life.refused(14'000);  // again, and the turn does not move away
  BOOST_TEST(life.due(15'000));
}

BOOST_AUTO_TEST_SUITE_END()
