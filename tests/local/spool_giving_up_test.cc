// A full spool and a sink that is not required.
#include <boost/test/unit_test.hpp>

#include "local/position_check.h"
#include "tests/local/spool_on_paper.h"

using namespace tailrace;
using namespace tailrace::test;
using Taken = Spool::Taken;

BOOST_TEST_DONT_PRINT_LOG_VALUE(Spool::Taken)
BOOST_TEST_DONT_PRINT_LOG_VALUE(PositionCheck::Verdict)

namespace {
constexpr uint64_t kSinkC = 0xC;

// A is required and B is not; the quota is eight segments.
struct TwoSinks : SpoolOnPaper {
  TwoSinks() {
    options.quota_bytes = 8 * 4096;
    options.category_share_percent = 100;
    start();
    stream(1, "nginx");
    spool->add_sink(kSinkA, 0);
    spool->add_sink(kSinkB, 0);
    spool->set_required(kSinkB, false);
    commit();
  }
  // A batch of two lines that A commits.
  void put(StreamId id = 1) {
    BOOST_REQUIRE(append(id, 2, 300) == Taken::appended);
    commit();
    BOOST_REQUIRE(spool->advance_cursor(kSinkA, id, at(id), 0));
    commit();
  }
  // A and B have got some, then C comes, which is not required: where it begins in stream 1.
  Position begin_in_the_middle() {
    while (spool->tables().streams.at(1).oldest.seq == 0) put_for_both();
    spool->add_sink(kSinkC, 0);
    spool->set_required(kSinkC, false);
    return spool->cursor(kSinkC, 1);
  }
  void put_for_both() {
    put();
    BOOST_REQUIRE(spool->advance_cursor(kSinkB, 1, at(1), 0));
  }
  [[nodiscard]] const GapInfo* gap() const {
    const auto place = spool->find(1, spool->cursor(kSinkB, 1).seq);
    return place ? place->gap : nullptr;
  }
};
}  // namespace

BOOST_FIXTURE_TEST_SUITE(spool_giving_up, TwoSinks)

BOOST_AUTO_TEST_CASE(what_only_a_sink_wants_that_is_not_required_makes_room) {
  for (int i = 0; i < 40; ++i) put();
  BOOST_TEST(gap() == nullptr);  // there was room
  for (int i = 0; i < 300; ++i) {
    put();
    BOOST_REQUIRE(spool->used_bytes() <= 9 * 4096u);
  }
  BOOST_REQUIRE(gap() != nullptr);
  BOOST_TEST(gap()->first_seq == 0u);
  BOOST_TEST(gap()->given_up());
  BOOST_TEST(spool->tables().gaps.size() == 1u);
  const Position kept = spool->settled(kSinkB, 1);
  BOOST_TEST(kept.seq == gap()->end_seq());
  BOOST_TEST(kept.chain == gap()->chain_after);
  BOOST_TEST((spool->cursor(kSinkB, 1) == Position{}));
  BOOST_TEST((spool->settled(kSinkA, 1) == at(1)));
  BOOST_TEST((spool->lines_given_up() == Spool::LinesGivenUp{{{kSinkB, "nginx"}, kept.seq}}));
  BOOST_TEST(spool->find(1, kept.seq)->gap == nullptr);
  BOOST_TEST(at(1).seq - kept.seq > 40u);  // no more than needed

  for (int times = 0; times < 2; ++times) {
    start();  // who is required is not known yet
    BOOST_TEST(!damaged);
    BOOST_REQUIRE(gap() != nullptr);
    BOOST_TEST(gap()->end_seq() == kept.seq);
    BOOST_TEST((spool->settled(kSinkB, 1) == kept));
    BOOST_TEST(spool->find(1, kept.seq)->gap == nullptr);
  }
  BOOST_REQUIRE(spool->advance_cursor(kSinkB, 1, kept, 0));
  commit();
  BOOST_TEST(spool->tables().gaps.empty());
  BOOST_TEST((spool->tables().streams.at(1).oldest == kept));
  BOOST_REQUIRE(spool->advance_cursor(kSinkB, 1, at(1), 0));
}

BOOST_AUTO_TEST_CASE(what_a_required_sink_wants_stays) {
  while (append(1, 2, 300) == Taken::appended) commit();
  BOOST_TEST(append(1, 2, 300) == Taken::full);
  BOOST_REQUIRE(spool->advance_cursor(kSinkB, 1, at(1), 0));
  commit();
  BOOST_TEST(append(1, 2, 300) == Taken::full);
  BOOST_TEST(gap() == nullptr);
  BOOST_TEST(spool->tables().gaps.empty());
}

// Whoever was required before a start is so until somebody says otherwise.
BOOST_AUTO_TEST_CASE(a_start_asks_again_who_is_required) {
  for (int i = 0; i < 40; ++i) put();
  start();
  while (append(1, 2, 300) == Taken::appended) {
    commit();
    BOOST_REQUIRE(spool->advance_cursor(kSinkA, 1, at(1), 0));
  }
  BOOST_TEST(gap() == nullptr);
  spool->set_required(kSinkB, false);
  commit();
  BOOST_TEST(gap() != nullptr);
  BOOST_TEST(spool->has_room());
}

BOOST_AUTO_TEST_CASE(nothing_goes_before_the_gap_is_on_the_disk) {
  while (gap() == nullptr) {
    BOOST_REQUIRE(append(1, 2, 300) == Taken::appended);
    BOOST_REQUIRE(spool->advance_cursor(kSinkA, 1, spool->durable(1), 0));
    const auto first = spool->find(1, 0);
    while (spool->group_due_ms(true, 0) == 0) {
      SpoolGroup group = spool->begin_group(0);
      if (gap() != nullptr && first->gap == nullptr) {
        BOOST_TEST((spool->settled(kSinkB, 1) == Position{}));
        for (const SpoolOp& op : group.ops) BOOST_TEST(op.name != first->segment);
        BOOST_TEST(disk.cached().content.contains(first->segment));
      }
      BOOST_REQUIRE(disk.apply(group).ok());
      spool->group_done(0);
    }
  }
  BOOST_TEST(spool->settled(kSinkB, 1).seq > 0u);
}

// Its Center may have committed some of it meanwhile.
BOOST_AUTO_TEST_CASE(where_batches_ended_in_what_was_given_up_is_known) {
  std::vector<Position> ends;
  while (gap() == nullptr || gap()->count < 100) {
    put();
    ends.push_back(at(1));
  }
  const uint64_t end = gap()->end_seq();
  BOOST_REQUIRE(end > ends[5].seq);
  using Verdict = PositionCheck::Verdict;
  const auto verdict = [&](Position where, uint64_t sent) {
    return check_position(*spool, kSinkB, 1, where, sent).verdict;
  };
  for (int times = 0; times < 2; ++times) {
    for (int i = 0; i < 20; ++i) BOOST_TEST(verdict(ends[i], 0) == Verdict::good);
    BOOST_TEST(verdict({ends[5].seq, 0x77}, end) == Verdict::broken);
    BOOST_TEST(verdict({end, 0x77}, end) == Verdict::broken);
    BOOST_TEST(verdict({end + 1, 0x77}, end) == Verdict::broken);
    BOOST_TEST(verdict({7, 0x77}, 6) == Verdict::broken);  // another host's
    BOOST_TEST(verdict({7, 0x77}, 7) == Verdict::good);    // what was sent is its
    start();
  }
  BOOST_REQUIRE(!spool->advance_cursor(kSinkB, 1, {ends[5].seq, 0x77}, 0));
  BOOST_REQUIRE(spool->advance_cursor(kSinkB, 1, ends[5], 0));
  commit();
  start();
  BOOST_TEST((spool->cursor(kSinkB, 1) == ends[5]));
  BOOST_REQUIRE(gap() != nullptr);
  BOOST_TEST(gap()->end_seq() == end);
  BOOST_TEST(spool->find(1, ends[5].seq)->gap->end_seq() == end);
  spool->set_required(kSinkB, false);
  while (gap()->end_seq() == end) put();
  BOOST_TEST(spool->tables().gaps.size() == 1u);
  BOOST_TEST(spool->lines_given_up().at({kSinkB, "nginx"}) == gap()->end_seq() - end);
}

BOOST_AUTO_TEST_CASE(a_category_at_its_share_gives_up_its_own_oldest) {
  options.quota_bytes = 16 * 4096;
  options.category_share_percent = 30;
  start();
  spool->set_required(kSinkB, false);
  stream(2, "quiet");
  for (int i = 0; i < 30; ++i) put(2);
  BOOST_TEST(gap() == nullptr);
  for (int refused = 0; refused < 5;) {
    const Taken taken = append(1, 2, 300);
    BOOST_REQUIRE((taken == Taken::appended || taken == Taken::category_full));
    refused += taken == Taken::category_full;
    commit();
    BOOST_REQUIRE(spool->advance_cursor(kSinkA, 1, at(1), 0));
    commit();
    BOOST_REQUIRE(spool->category_has_room("nginx"));
  }
  BOOST_TEST(gap() != nullptr);
  BOOST_TEST(spool->find(2, 0)->gap == nullptr);
  BOOST_TEST(!spool->lines_given_up().contains({kSinkB, "quiet"}));
}

// Nothing of it is known at its store; it is to hear of the gap all the same.
BOOST_AUTO_TEST_CASE(a_sink_that_began_in_the_middle_begins_there_after_a_start_too) {
  const Position begin = begin_in_the_middle();
  BOOST_REQUIRE(begin.seq > 0);
  while (spool->settled(kSinkC, 1) == begin) put_for_both();
  start();
  BOOST_TEST((spool->cursor(kSinkC, 1) == begin));
  BOOST_TEST(spool->origins().contains({kSinkC, 1}));
  BOOST_REQUIRE(spool->find(1, begin.seq).has_value());
  BOOST_TEST(spool->find(1, begin.seq)->gap != nullptr);
}

// It wants nothing of the one stream that is in the oldest segments, and all of the other.
BOOST_AUTO_TEST_CASE(segments_below_where_a_sink_began_go_too) {
  stream(2, "other");
  put(2);
  BOOST_REQUIRE(begin_in_the_middle().seq > spool->cursor(kSinkC, 2).seq);
  for (int i = 0; i < 300; ++i) {
    put();
    if (i % 3 == 0) put(2);
    BOOST_REQUIRE(spool->advance_cursor(kSinkB, 1, at(1), 0));
    BOOST_REQUIRE(spool->used_bytes() <= 9 * 4096u);
  }
  BOOST_TEST(spool->settled(kSinkB, 2).seq > 0u);
  BOOST_TEST(spool->settled(kSinkC, 1).seq > 0u);
}

// A damaged spool does not know what a sink has that waits for its origin: nothing can be given up.
BOOST_AUTO_TEST_CASE(what_a_sink_may_have_that_waits_is_not_given_up) {
  StreamInfo third;
  third.stream = 3;
  third.category = "third";
  BOOST_REQUIRE(spool->define_stream(third, 0, {kSinkB}).ok());
  put(3);
  SpoolImage image = disk.durable();
  std::string cursor;
  encode_cursor({kSinkB, 1, {}}, cursor);
  for (auto& [name, bytes] : image.content)
    if (const size_t at = bytes.find(cursor); at != std::string::npos) bytes[at] ^= 0x10;
  disk = VirtualDisk(image);
  start();
  BOOST_REQUIRE(damaged);
  spool->add_sink(kSinkA, 0);
  spool->add_sink(kSinkB, 0);
  spool->set_required(kSinkB, false);
  BOOST_REQUIRE(spool->tables().waits.contains({kSinkB, 3}));
  while (append(3, 2, 300) == Taken::appended) {
    commit();
    BOOST_REQUIRE(spool->advance_cursor(kSinkA, 3, at(3), 0));
    commit();
    BOOST_REQUIRE(at(3).seq < 1'000);
  }
  BOOST_TEST(spool->find(3, 0)->gap == nullptr);
  BOOST_REQUIRE(spool->set_origin(kSinkB, 3, at(3).seq, 0));
  commit();
  BOOST_TEST(spool->has_room());
}

BOOST_AUTO_TEST_CASE(where_no_sink_is_required_the_oldest_goes) {
  spool->set_required(kSinkA, false);
  for (int i = 0; i < 300; ++i) {
    BOOST_REQUIRE(append(1, 2, 300) == Taken::appended);
    commit();
  }
  BOOST_TEST(gap() != nullptr);
  BOOST_TEST(spool->lines_given_up().size() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()
