// `tailrace files`: what a store's logs say was published, folded or not.
#include "center/history.h"

#include <boost/test/unit_test.hpp>

#include "center/names.h"
#include "tests/center/logged_store.h"

namespace tailrace::testing {
namespace {

constexpr int64_t kStart = 1'764'000'000'000;
const std::string kLog = "1764000000000-00000000000000aa";

// A store with one log; an entry a minute commits one file each.
struct Store : LoggedStore {
  explicit Store(uint64_t entries) {
    SinkIdentity identity;
    identity.sink = 2;
    identity.cluster = 1;
    identity.control = kDefaultControl;
    write(std::string(kSinkIdentityName), identity.encode());
    make_log(kLog, entries, [](CommitRecord& record) {
      const uint64_t n = record.entry;
      record.time_ms = time_of(n);
      record.files = {file_of(n)};
      record.lanes = {{{"web", 1, 0}, {{StreamKey{7, 0}, n * 10, n * 10 + 10, n + 1, 0, {}}}}};
    });
  }
  static int64_t time_of(uint64_t entry) { return kStart + static_cast<int64_t>(entry) * 60'000; }
  static CommittedFile file_of(uint64_t entry) {
    CommittedFile file;
    file.stage = stage_path("web", kLog, entry + 1);
    file.final_path = final_path(
        "web/2025-11-24", {"web", time_of(entry) / 1'000, "center-1", kLog, entry, 0, Codec::gzip});
    file.bytes = 100 + entry;
    file.lines = 10;
    file.category = "web";
    file.codec = Codec::gzip;
    return file;
  }
  void fold(uint64_t end) { LoggedStore::fold(kLog, end); }
  std::vector<uint64_t> bytes_since(uint64_t entry) {
    const auto history = read_history(*records, *files, time_of(entry));
    BOOST_REQUIRE(history.ok());
    std::vector<uint64_t> out;
    for (const HistoryFile& of : *history) out.push_back(of.file.bytes);
    return out;
  }
};

using Sizes = std::vector<uint64_t>;

BOOST_AUTO_TEST_CASE(the_newest_come_first_and_old_ones_not_at_all) {
  Store store(4);
  BOOST_TEST(store.bytes_since(0) == (Sizes{103, 102, 101, 100}), boost::test_tools::per_element());
  BOOST_TEST(store.bytes_since(2) == (Sizes{103, 102}), boost::test_tools::per_element());
  BOOST_TEST(store.bytes_since(9).empty());
}

BOOST_AUTO_TEST_CASE(what_is_folded_is_listed_as_before) {
  Store store(9);
  store.fold(6);
  const auto names = store.records->list(store.names.log(kLog));
  BOOST_REQUIRE(names.ok());
  BOOST_REQUIRE(names->size() < 9u);
  BOOST_TEST(store.bytes_since(0).size() == 9u);
  BOOST_TEST(store.bytes_since(4) == (Sizes{108, 107, 106, 105, 104}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_still_staged_is_not_published_yet) {
  Store store(2);
  auto staged = store.files->stage(Store::file_of(1).stage);
  BOOST_REQUIRE(staged.ok());
  BOOST_REQUIRE((*staged)->append({"x"}).ok());
  BOOST_REQUIRE((*staged)->finish().ok());
  const auto history = read_history(*store.records, *store.files, 0);
  BOOST_REQUIRE(history.ok());
  BOOST_TEST(history->at(0).pending);
  BOOST_TEST(!history->at(1).pending);
  BOOST_TEST(history->at(0).center == "center-1");
}

BOOST_AUTO_TEST_CASE(a_record_that_is_not_one_is_named) {
  Store store(1);
  store.write(store.names.entry(kLog, 1), "rubbish");
  const auto history = read_history(*store.records, *store.files, 0);
  BOOST_REQUIRE(!history.ok());
  BOOST_TEST(history.error().text.find("0000000001") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(where_nobody_ever_published_there_is_no_history) {
  const auto empty = MemoryStore::make();
  BOOST_TEST(!read_history(*empty->records(), *empty->files(), 0).ok());
}

}  // namespace
}  // namespace tailrace::testing
