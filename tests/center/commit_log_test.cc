#include "center/commit_log.h"

#include <boost/test/unit_test.hpp>

namespace tailrace {
namespace {

Closing closing_of(const std::string& category, uint64_t number) {
  Closing closing;
  closing.category = category;
  Closing::ClosedFile file;
  file.file.stage = stage_path(category, "1-0000000000000001", number);
  file.file.category = category;
  file.file.lines = 1;
  file.directory = category;
  closing.files.push_back(file);
  return closing;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(commit_log)

// Readers take files in the order of their names, and names begin with a time: where the clock goes
// back, or a caller's view of it is older than the last one's, the time of a record does not.
BOOST_AUTO_TEST_CASE(final_names_are_in_the_order_of_entries) {
  CommitLog log(StoreNames(kDefaultControl, 7), {}, 1, 7, "center", "1-0000000000000001");
  std::vector<FinalName> names;
  uint64_t number = 0;
  for (const int64_t now_ms :
       {1'700'000'002'500, 1'700'000'001'900, 1'700'000'002'499, 1'700'000'003'000}) {
    log.queue(closing_of("app", ++number));
    BOOST_REQUIRE(log.begin(number, now_ms));
    const CommitRecord record = log.won();
    BOOST_REQUIRE_EQUAL(record.files.size(), 1);
    const auto name = parse_final_path(record.files[0].final_path);
    BOOST_REQUIRE(name);
    names.push_back(*name);
  }
  for (size_t i = 1; i < names.size(); ++i) {
    BOOST_CHECK_LE(names[i - 1].closed_s, names[i].closed_s);
    BOOST_CHECK_LT(names[i - 1].entry, names[i].entry);
  }
  BOOST_CHECK_EQUAL(names.back().closed_s, 1'700'000'003);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
