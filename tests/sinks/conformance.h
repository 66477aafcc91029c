// The assertions that every store must pass: run over the directory store and the one in memory,
// and real HDFS (tests/neighbours/), so that they cannot drift apart. Each scenario starts from an
// empty store.
#pragma once

#include <boost/test/unit_test.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/file.h"
#include "sinks/store/files.h"
#include "sinks/store/records.h"

namespace tailrace::testing {

struct StoreClient {
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
};
// Makes an empty store; what it returns opens another client of that store, and keeps it alive.
using EmptyStore = std::function<std::function<StoreClient()>()>;

// The value, or a failed test with the store's words.
template <class T>
T must(Result<T> result) {
  BOOST_REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().text));
  return *std::move(result);
}
inline void must(const Result<void>& result) {
  BOOST_REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().text));
}

inline constexpr auto kMake = Records::Parent::make;
inline constexpr auto kMustExist = Records::Parent::must_exist;
using Names = std::vector<std::string>;

inline void a_name_is_given_once(const std::function<StoreClient()>& client) {
  const StoreClient a = client(), b = client();
  BOOST_TEST((must(a.records->cas("c/lanes/app/1.own", "of a", kMake, "c/tmp/a/1")) == Cas::won));
  BOOST_TEST((must(b.records->cas("c/lanes/app/1.own", "of b", kMake, "c/tmp/b/1")) == Cas::lost));
  BOOST_TEST(must(b.records->read("c/lanes/app/1.own")).value() == "of a");
  // Who did not hear the answer asks again and learns that it is his.
  BOOST_TEST((must(a.records->cas("c/lanes/app/1.own", "of a", kMake, "c/tmp/a/2")) == Cas::won));
  BOOST_TEST(
      (must(b.records->cas("c/lanes/app/2.own", "of b", kMustExist, "c/tmp/b/2")) == Cas::won));
  BOOST_TEST(must(a.records->list("c/lanes/app")) == (Names{"1.own", "2.own"}));
  BOOST_TEST(must(a.records->list("c/tmp/a")).empty());
  BOOST_TEST(must(a.records->list("c/tmp/b")).empty());
}

inline void an_absent_directory_is_not_made(const std::function<StoreClient()>& client) {
  const StoreClient a = client();
  BOOST_TEST(
      (must(a.records->cas("c/logs/1/0", "x", kMustExist, "c/tmp/1/1")) == Cas::no_directory));
  BOOST_TEST(must(a.records->list("c/logs")).empty());
  must(a.records->make_directory("c/logs/1"));
  must(a.records->make_directory("c/logs/1"));
  BOOST_TEST(must(a.records->list("c/logs")) == Names{"1"});
  BOOST_TEST((must(a.records->cas("c/logs/1/0", "x", kMustExist, "c/tmp/1/2")) == Cas::won));
  BOOST_TEST(must(a.records->read("c/logs/1/0")).value() == "x");
}

inline void what_is_absent_is_no_error(const std::function<StoreClient()>& client) {
  const StoreClient a = client();
  BOOST_TEST(!must(a.records->read("nowhere/0")).has_value());
  BOOST_TEST(must(a.records->list("nowhere")).empty());
  must(a.records->remove("nowhere/0"));
  must(a.files->remove("nowhere/0"));
  BOOST_TEST(must(a.files->list("nowhere")).empty());
}

inline void records_hold_any_bytes(const std::function<StoreClient()>& client) {
  const StoreClient a = client(), b = client();
  std::string large(3 << 20, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7);
  BOOST_TEST((must(a.records->cas("top", large, kMake, "tmp/1")) == Cas::won));
  BOOST_TEST((must(b.records->read("top")).value() == large));
  BOOST_TEST((must(a.records->cas("c/empty", "", kMake, "tmp/2")) == Cas::won));
  BOOST_TEST(must(b.records->read("c/empty")).value().empty());
}

inline void removing_frees_nothing_else(const std::function<StoreClient()>& client) {
  const StoreClient a = client();
  for (const char* name : {"c/log/0", "c/log/1", "c/log/2"})
    must(a.records->cas(name, name, kMake, "c/tmp/1"));
  must(a.records->remove("c/log/1"));
  must(a.records->remove("c/log/1"));
  BOOST_TEST(must(a.records->list("c/log")) == (Names{"0", "2"}));
  BOOST_TEST(!must(a.records->read("c/log/1")).has_value());
  // A directory goes only when it is empty.
  BOOST_TEST(!a.records->remove("c/log").ok());
  must(a.records->remove("c/log/0"));
  must(a.records->remove("c/log/2"));
  must(a.records->remove("c/log"));
  BOOST_TEST((must(a.records->cas("c/log/3", "x", kMustExist, "c/tmp/2")) == Cas::no_directory));
}

inline void a_directory_in_the_way_is_an_error(const std::function<StoreClient()>& client) {
  const StoreClient a = client();
  must(a.records->make_directory("c/log/0"));
  BOOST_TEST(!a.records->cas("c/log/0", "x", kMake, "c/tmp/1").ok());
  BOOST_TEST(!a.records->read("c/log/0").ok());
  BOOST_TEST(must(a.records->list("c/log/0")).empty());
}

inline void a_file_is_staged_then_published_whole(const std::function<StoreClient()>& client) {
  const StoreClient a = client();
  const auto file = must(a.files->stage("app/_stage/1/a"));
  must(file->append({"one ", "two ", ""}));
  must(file->append({}));
  must(file->append({"three"}));
  BOOST_TEST(file->size() == 13u);
  BOOST_TEST(must(file->read(4, 5)) == "two t");
  BOOST_TEST(!file->read(10, 4).ok());
  must(file->finish());
  BOOST_TEST(must(file->read(0, 13)) == "one two three");
  BOOST_TEST(must(a.files->list("app/_stage/1")) == Names{"a"});
  BOOST_TEST((must(a.files->publish("app/_stage/1/a", "app/dt=1/hr=2/f")) == Published::now));
  BOOST_TEST(must(a.records->read("app/dt=1/hr=2/f")).value() == "one two three");
  BOOST_TEST(must(a.files->list("app/_stage/1")).empty());
  BOOST_TEST(must(a.files->list("app/dt=1/hr=2")) == Names{"f"});
}

inline void a_staged_name_is_used_once(const std::function<StoreClient()>& client) {
  const StoreClient a = client(), b = client();
  const auto file = must(a.files->stage("app/_stage/1/a"));
  must(file->append({"of a"}));
  auto again = b.files->stage("app/_stage/1/a");
  must(file->finish());
  // A store that writes elsewhere first sees it when the file is to get its name.
  if (again) must((*again)->append({"of b"}));
  const Result<void> refused = again ? (*again)->finish() : Result<void>(again.error());
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST((refused.error().kind == Error::Kind::rejected));
  BOOST_TEST(must(b.files->list("app/_stage/1")) == Names{"a"});
  BOOST_TEST(must(b.records->read("app/_stage/1/a")).value() == "of a");
}

inline void publishing_again_changes_nothing(const std::function<StoreClient()>& client) {
  const StoreClient a = client(), b = client();
  const auto file = must(a.files->stage("app/_stage/1/a"));
  must(file->append({"once"}));
  must(file->finish());
  BOOST_TEST((must(a.files->publish("app/_stage/1/a", "app/d/f")) == Published::now));
  // The final name stands: presence is proof.
  BOOST_TEST((must(b.files->publish("app/_stage/1/a", "app/d/f")) == Published::now));
  BOOST_TEST(must(b.records->read("app/d/f")).value() == "once");
  // Its owner takes it away: it was published before, and is not brought back.
  must(a.files->remove("app/d/f"));
  BOOST_TEST((must(b.files->publish("app/_stage/1/a", "app/d/f")) == Published::before));
  BOOST_TEST(must(a.files->list("app/d")).empty());
}

inline void publishing_never_replaces(const std::function<StoreClient()>& client) {
  const StoreClient a = client();
  for (const char* staged : {"app/_stage/1/a", "app/_stage/1/b"}) {
    const auto file = must(a.files->stage(staged));
    must(file->append({staged}));
    must(file->finish());
    BOOST_TEST((must(a.files->publish(staged, "app/d/f")) == Published::now));
  }
  BOOST_TEST(must(a.records->read("app/d/f")).value() == "app/_stage/1/a");
  BOOST_TEST(must(a.files->list("app/_stage/1")).empty());  // the rest of the second is gone
}

inline void an_empty_stage_directory_can_be_removed(const std::function<StoreClient()>& client) {
  const StoreClient a = client(), b = client();
  const auto file = must(a.files->stage("app/_stage/1/a"));
  must(file->append({"x"}));
  must(file->finish());
  BOOST_TEST(!b.files->remove("app/_stage/1").ok());
  must(b.files->remove("app/_stage/1/a"));
  must(b.files->remove("app/_stage/1"));
  BOOST_TEST(must(a.files->list("app/_stage")).empty());
  // Whose it was may be alive after all.
  const auto late = must(a.files->stage("app/_stage/1/b"));
  must(late->append({"y"}));
  must(late->finish());
  BOOST_TEST(must(b.files->list("app/_stage")) == Names{"1"});
}

inline void a_staged_file_taken_away_is_not_finished(const std::function<StoreClient()>& client) {
  const StoreClient a = client();
  const auto file = must(a.files->stage("app/_stage/1/a"));
  must(file->append({"x"}));
  if (must(a.files->list("app/_stage/1")).empty()) return;  // it has no name before it is whole
  must(a.files->remove("app/_stage/1/a"));
  const auto finished = file->finish();
  BOOST_REQUIRE(!finished.ok());
  BOOST_TEST((finished.error().kind == Error::Kind::rejected));
}

inline void check_store(const EmptyStore& empty_store) {
  const std::pair<const char*, void (*)(const std::function<StoreClient()>&)> scenarios[] = {
      {"a name is given once", a_name_is_given_once},
      {"an absent directory is not made", an_absent_directory_is_not_made},
      {"what is absent is no error", what_is_absent_is_no_error},
      {"records hold any bytes", records_hold_any_bytes},
      {"removing frees nothing else", removing_frees_nothing_else},
      {"a directory in the way is an error", a_directory_in_the_way_is_an_error},
      {"a file is staged then published whole", a_file_is_staged_then_published_whole},
      {"a staged name is used once", a_staged_name_is_used_once},
      {"publishing again changes nothing", publishing_again_changes_nothing},
      {"publishing never replaces", publishing_never_replaces},
      {"an empty stage directory can be removed", an_empty_stage_directory_can_be_removed},
      {"a staged file taken away is not finished", a_staged_file_taken_away_is_not_finished},
  };
  for (const auto& [name, scenario] : scenarios) BOOST_TEST_CONTEXT(name) scenario(empty_store());
}

}  // namespace tailrace::testing
