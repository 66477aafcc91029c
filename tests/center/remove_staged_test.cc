// What a session that is over leaves in the store is taken away, but for what a record may name.
#include "center/remove_staged.h"

#include <boost/test/unit_test.hpp>

#include "tests/center/center_rig.h"

namespace tailrace {
namespace {

using testing::MemoryStore;

constexpr const char* kEntry = "logs/3";
const std::string kIncarnation = incarnation_name(IncarnationId{1, 2});

// Carried out at a store that holds two staged files, and `stands` as the entry of the record that
// names the second: what is left of them.
std::vector<std::string> left_of(const std::optional<std::string>& stands) {
  const auto store = MemoryStore::make();
  store->put("app/_stage/1/unnamed", "a\n");
  store->put("app/_stage/1/named", "b\n");
  if (stands) store->put(kEntry, *stands);
  const auto records = store->records();
  const auto files = store->files();
  RemoveStaged remove({"app/_stage/1/unnamed", "app/_stage/1/never-there"},
                      {kEntry, kIncarnation, 3, {"app/_stage/1/named"}});
  while (const auto request = remove.next())
    remove.on(call_store(*request, *records, *files, "tmp"));
  std::vector<std::string> left;
  for (const auto& [path, bytes] : store->content())
    if (path.starts_with("app/")) left.push_back(path);
  return left;
}

std::string record(CommitRecord::Kind kind, uint64_t entry) {
  CommitRecord out;
  out.kind = kind;
  out.incarnation = kIncarnation;
  out.entry = entry;
  return out.encode();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(remove_staged)

BOOST_AUTO_TEST_CASE(what_a_record_may_name_stays_unless_a_fence_has_its_place) {
  const std::vector<std::string> named{"app/_stage/1/named"};
  BOOST_TEST(left_of(std::nullopt) == named);  // the record may still come
  BOOST_TEST(left_of(record(CommitRecord::Kind::commit, 3)) == named);
  BOOST_TEST(left_of(record(CommitRecord::Kind::fence, 2)) == named);
  BOOST_TEST(left_of("overwritten by somebody") == named);
  BOOST_TEST(left_of(record(CommitRecord::Kind::fence, 3)).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
