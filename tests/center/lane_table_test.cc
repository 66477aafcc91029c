// Tables beside claims: what a Center writes of its lanes before it folds its log, and what whoever
// takes a lane over makes of them.
#include "center/lane_table.h"

#include <boost/test/unit_test.hpp>

#include "center/acquire.h"
#include "center/reclaim.h"
#include "center/release.h"
#include "tests/center/logged_store.h"

namespace tailrace::testing {
namespace {

const std::string kOwner = "1700000000000-00000000000000aa";
const Lane kLane{"app", 1, 0};
const StreamKey kStream{7, 0};

// A lane that is claimed from entry 1 of its owner's log on; ten lines an entry.
struct OwnedStore : LoggedStore {
  explicit OwnedStore(uint64_t entries) {
    make_log(kOwner, entries);
    write(names.claim(kLane, 1), table(1).encode());
  }
  void make_log(const std::string& incarnation, uint64_t entries) {
    LoggedStore::make_log(incarnation, entries, [](CommitRecord& record) {
      const uint64_t n = record.entry;
      if (n > 0) record.lanes = {{kLane, {{kStream, (n - 1) * 10, n * 10, n, 0, {}}}}};
    });
  }
  [[nodiscard]] LaneClaim table(uint64_t entry) const {
    LaneClaim out = owner.claim(LaneClaim::Kind::own, 1, 100 + entry);
    out.lane = kLane;
    out.claim_entry = entry;
    if (entry > 1) out.table = {{kStream, (entry - 1) * 10, entry - 1, 0}};
    return out;
  }
  void fold(uint64_t end) { LoggedStore::fold(kOwner, end); }
  Acquire acquire() {
    reads.clear();
    Acquire acquire(
        taker, sealed, kLane, [] { return 1; }, 77, 0);
    drive(acquire);
    BOOST_TEST((acquire.outcome() == Acquire::Outcome::acquired));
    return acquire;
  }
  Reclaim reclaim(uint64_t before, uint64_t entry) {
    Reclaim reclaim(
        owner, {{{kLane, before}}, 1, entry}, [&](const Lane&) { return table(entry); }, entry - 1,
        9);
    drive(reclaim);
    return reclaim;
  }
  std::vector<std::string> names_of_lane() { return call(ListRequest{names.lane(kLane)}).names; }
  bool has_read(const std::string& part) const {
    return std::any_of(reads.begin(), reads.end(), [&](const std::string& name) {
      return name.find(part) != std::string::npos;
    });
  }

  Acquirer owner = acquirer(kOwner, "a:1", 5);
  Acquirer taker = acquirer("1700000000001-00000000000000bb", "b:1", 6);
  SealedLogs sealed;
};

const std::vector<std::string> kClaimsAlone{"0000000001.own", "0000000002.own"};

BOOST_AUTO_TEST_CASE(with_a_table_the_log_is_read_from_there) {
  OwnedStore s(9);
  s.write(s.names.table(kLane, 1, 4), s.table(4).encode());
  s.write(s.names.table(kLane, 1, 6), s.table(6).encode());
  s.fold(6);
  const Acquire taken = s.acquire();
  BOOST_TEST(taken.table().at(kStream).seq == 80u);
  BOOST_TEST(!s.has_read("manifest"));
  BOOST_TEST(s.names_of_lane() == kClaimsAlone, boost::test_tools::per_element());
}

// Nothing rests on it.
BOOST_AUTO_TEST_CASE(a_table_that_says_nothing_is_passed_over) {
  OwnedStore known(9);
  const LaneClaim right = known.table(6);
  std::vector<std::string> wrong{"", "no record", right.encode().substr(0, 40)};
  for (const auto& change : std::vector<std::function<void(LaneClaim&)>>{
           [](LaneClaim& t) { t.cluster = 9; }, [](LaneClaim& t) { t.sink = 9; },
           [](LaneClaim& t) { t.epoch = 2; }, [](LaneClaim& t) { t.claim_entry = 7; },
           [](LaneClaim& t) {
             t.lane = {"other", 1, 0};
           },
           [](LaneClaim& t) { t.kind = LaneClaim::Kind::none; },
           [](LaneClaim& t) { t.incarnation = "1700000000000-00000000000000cc"; }}) {
    LaneClaim table = right;
    table.table = {{kStream, 1'000, 3, 0}};
    change(table);
    wrong.push_back(table.encode());
  }
  for (const std::string& bytes : wrong) {
    OwnedStore s(9);
    s.write(s.names.table(kLane, 1, 6), bytes);
    s.fold(6);
    BOOST_TEST(s.acquire().table().at(kStream).seq == 80u);
    BOOST_TEST(s.has_read("manifest"));
  }
}

// Who was frozen may write it long after the lane was taken over.
BOOST_AUTO_TEST_CASE(a_table_of_an_earlier_epoch_does_not_count) {
  OwnedStore s(9);
  s.acquire();
  s.make_log(s.taker.incarnation, 1);
  s.write(s.names.table(kLane, 1, 4), s.table(4).encode());
  s.taker.incarnation = "1700000000002-00000000000000dd";
  const Acquire again = s.acquire();
  BOOST_TEST(again.epoch() == 3u);
  BOOST_TEST(again.table().at(kStream).seq == 80u);
  BOOST_TEST(!s.has_read("table-"));
  BOOST_TEST(s.names_of_lane().size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_table_takes_the_place_of_the_one_before) {
  OwnedStore s(9);
  s.write(s.names.own_claim(kOwner, 1), s.table(1).encode());
  const Reclaim first = s.reclaim(0, 4);
  BOOST_TEST((first.outcome() == Reclaim::Outcome::done));
  BOOST_TEST(first.lanes().front().second == 4u);
  const std::vector<std::string> one{"0000000001.own", "table-0000000001-0000000004"};
  BOOST_TEST(s.names_of_lane() == one, boost::test_tools::per_element());

  BOOST_TEST(s.reclaim(4, 4).lanes().front().second == 4u);  // it came to this entry before
  BOOST_TEST(s.names_of_lane() == one, boost::test_tools::per_element());

  BOOST_TEST(s.reclaim(4, 7).lanes().front().second == 7u);
  const std::vector<std::string> next{"0000000001.own", "table-0000000001-0000000007"};
  BOOST_TEST(s.names_of_lane() == next, boost::test_tools::per_element());

  LaneClaim last = s.table(9);
  last.kind = LaneClaim::Kind::none;
  last.epoch = 2;
  Release release(s.owner, last, 7);
  s.drive(release);
  BOOST_TEST(release.released());
  BOOST_TEST(s.names_of_lane() == kClaimsAlone, boost::test_tools::per_element());
}

}  // namespace
}  // namespace tailrace::testing
