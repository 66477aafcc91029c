// SEAL against a log that its owner folds meanwhile.
#include "center/seal.h"

#include <boost/test/unit_test.hpp>

#include "center/fold.h"
#include "center/store_call.h"
#include "tests/sinks/memory_store.h"

namespace tailrace::testing {
namespace {

const std::string kLog = "1700000000000-00000000000000aa";

struct SealedStore {
  explicit SealedStore(uint64_t entries) {
    BOOST_REQUIRE(records->make_directory(names.log(kLog)).ok());
    for (uint64_t n = 0; n < entries; ++n) {
      CommitRecord record = record_at(n, CommitRecord::Kind::commit);
      record.prev_crc = crc;
      record.lanes = {{lane, {{StreamKey{7, 0}, n * 10, n * 10 + 10, n + 1, 0, {}}}}};
      const std::string bytes = record.encode();
      crc = record_crc(bytes);
      call(CasRequest{names.entry(kLog, n), bytes});
    }
  }
  static CommitRecord record_at(uint64_t entry, CommitRecord::Kind kind) {
    CommitRecord record;
    record.kind = kind;
    record.cluster = 1;
    record.sink = 2;
    record.incarnation = kLog;
    record.entry = entry;
    record.uuid = entry + 1;
    return record;
  }
  StoreReply call(const StoreRequest& request) {
    return call_store(request, *records, *files, "tmp");
  }
  template <class Machine>
  void drive(Machine& machine) {
    while (const auto request = machine.next()) machine.on(call(*request));
  }
  void fold(uint64_t end) {
    Fold fold(names, {kLog, 1, end}, 5);
    drive(fold);
    BOOST_REQUIRE(!fold.error());
  }

  std::shared_ptr<MemoryStore> store = MemoryStore::make();
  std::unique_ptr<Records> records = store->records();
  std::unique_ptr<Files> files = store->files();
  StoreNames names{"_tailrace", 2};
  const Lane lane{"app", 1, 0};
  uint32_t crc = 0;
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

// A FENCE of somebody's old view stands in a hole: it ends nothing.
BOOST_AUTO_TEST_CASE(a_fence_in_a_hole_is_passed_over) {
  for (uint64_t from = 0; from < 5; ++from) {
    SealedStore s(9);
    s.fold(6);
    const CommitRecord fence = SealedStore::record_at(from, CommitRecord::Kind::fence);
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
