// SEAL against a log that its owner folds meanwhile.
#include "center/seal.h"

#include <boost/test/unit_test.hpp>

#include "tests/center/logged_store.h"

namespace tailrace::testing {
namespace {

const std::string kLog = "1700000000000-00000000000000aa";

struct SealedStore : LoggedStore {
  explicit SealedStore(uint64_t entries) {
    make_log(kLog, entries, [this](CommitRecord& record) {
      const uint64_t n = record.entry;
      record.lanes = {{lane, {{StreamKey{7, 0}, n * 10, n * 10 + 10, n + 1, 0, {}}}}};
    });
  }
  void fold(uint64_t end) { LoggedStore::fold(kLog, end); }

  const Lane lane{"app", 1, 0};
};

BOOST_AUTO_TEST_CASE(what_was_folded_is_read_from_its_manifest) {
  for (uint64_t from = 0; from < 9; ++from) {
    SealedStore s(9);
    s.fold(6);
    Seal seal(s.names, 1, 2, kLog, from, 77, 0);
    s.drive(seal);
    BOOST_REQUIRE(seal.outcome() == Seal::Outcome::sealed);
    BOOST_TEST(seal.log().lanes.at(s.lane).at(StreamKey{7, 0}).seq == 90u);
    BOOST_TEST(seal.log().last.value().entry == 8u);
  }
}

// Between any two of its steps the owner may fold: the end is where it was.
BOOST_AUTO_TEST_CASE(a_fold_in_the_middle_moves_no_end) {
  for (uint64_t from = 0; from < 9; ++from)
    for (int when = 0; when < 12; ++when) {
      SealedStore s(9);
      Seal seal(s.names, 1, 2, kLog, from, 77, 0);
      for (int step = 0; const auto request = seal.next(); ++step) {
        if (step == when) s.fold(7);
        seal.on(s.call(*request));
      }
      BOOST_REQUIRE(seal.outcome() == Seal::Outcome::sealed);
      BOOST_TEST(seal.log().lanes.at(s.lane).at(StreamKey{7, 0}).seq == 90u);
      const auto fence = s.call(ReadRequest{s.names.entry(kLog, 9)});
      BOOST_REQUIRE(fence.record);
      BOOST_TEST((CommitRecord::decode(*fence.record)->kind == CommitRecord::Kind::fence));
    }
}

// The log of a dead Center has many lanes, and a lane may have an older claim than another.
BOOST_AUTO_TEST_CASE(what_is_known_of_a_log_is_not_read_again) {
  for (const uint64_t folded : {0, 4, 6})
    for (uint64_t later = 0; later < 10; ++later)
      for (uint64_t from = 0; from < later; ++from) {
        SealedStore s(9);
        if (folded > 0) s.fold(folded);
        Seal first(s.names, 1, 2, kLog, later, 77, 0);
        s.drive(first);
        BOOST_REQUIRE(first.outcome() == Seal::Outcome::sealed);
        s.reads.clear();
        Seal second(s.names, 1, 2, kLog, from, 78, 0,
                    std::make_shared<const SealedLog>(first.log()));
        s.drive(second);
        BOOST_REQUIRE(second.outcome() == Seal::Outcome::sealed);
        BOOST_TEST(second.log().from_entry == from);
        BOOST_TEST(second.log().lanes.at(s.lane).at(StreamKey{7, 0}).seq == 90u);
        BOOST_TEST(second.log().last.value().entry == 8u);
        for (const std::string& name : s.reads)
          for (uint64_t entry = std::max(later, folded); entry < 9; ++entry)
            BOOST_TEST(name != s.names.entry(kLog, entry));
      }
}

BOOST_AUTO_TEST_CASE(entries_of_a_long_log_are_read_at_the_same_time) {
  SealedStore s(100);
  Seal seal(s.names, 1, 2, kLog, 0, 77, 0);
  int requests = 0;
  while (const auto request = seal.next()) {
    ++requests;
    seal.on(s.call(*request));
  }
  BOOST_REQUIRE(seal.outcome() == Seal::Outcome::sealed);
  BOOST_TEST(seal.log().last.value().entry == 99u);
  BOOST_TEST(requests < 25);
  BOOST_TEST(s.reads.size() < 100u + 16);
}

BOOST_AUTO_TEST_CASE(those_who_need_a_log_walk_through_it_one_at_a_time) {
  SealedStore s(9);
  Acquirer me = s.acquirer("1700000000001-00000000000000bb", "b:1", 5);
  SealedLogs logs;
  std::vector<std::unique_ptr<TakeOver>> all;
  for (const uint64_t from : {5, 7, 2, 5, 9})
    all.push_back(std::make_unique<TakeOver>(me, logs, kLog, from, 77, 0));
  for (bool some = true; some;) {
    some = false;
    for (const auto& one : all) {
      const auto request = one->next();
      if (!request) continue;
      some = true;
      one->on(std::holds_alternative<PauseRequest>(*request) ? StoreReply() : s.call(*request));
    }
  }
  std::map<std::string, int> reads;
  for (const std::string& name : s.reads) ++reads[name];
  for (const auto& one : all) {
    BOOST_REQUIRE((one->outcome() == TakeOver::Outcome::sealed));
    BOOST_TEST(one->log().last.value().entry == 8u);
  }
  for (uint64_t entry = 2; entry < 8; ++entry) BOOST_TEST(reads[s.names.entry(kLog, entry)] == 1);
}

// Whoever walks may end before the log does: its lane is not wanted any more.
BOOST_AUTO_TEST_CASE(a_walk_that_was_given_up_holds_up_nobody) {
  SealedStore s(9);
  SealedLogs logs;
  auto first = logs.walk(s.names, 1, 2, kLog, 0, 77, 0);
  first->on(s.call(*first->next()));
  BOOST_TEST(!logs.walk(s.names, 1, 2, kLog, 3, 78, 0));
  first.reset();
  BOOST_TEST(logs.walk(s.names, 1, 2, kLog, 3, 78, 0) != nullptr);
}

// A FENCE of somebody's old view stands in a hole: it ends nothing.
BOOST_AUTO_TEST_CASE(a_fence_in_a_hole_is_passed_over) {
  for (uint64_t from = 0; from < 5; ++from) {
    SealedStore s(9);
    s.fold(6);
    const CommitRecord fence = SealedStore::record_of(kLog, from, CommitRecord::Kind::fence);
    BOOST_REQUIRE(from == 0 ||
                  s.call(CasRequest{s.names.entry(kLog, from), fence.encode()}).cas == Cas::won);
    Seal seal(s.names, 1, 2, kLog, from, 77, 0);
    s.drive(seal);
    BOOST_REQUIRE(seal.outcome() == Seal::Outcome::sealed);
    BOOST_TEST(seal.log().lanes.at(s.lane).at(StreamKey{7, 0}).seq == 90u);
  }
}

}  // namespace
}  // namespace tailrace::testing
