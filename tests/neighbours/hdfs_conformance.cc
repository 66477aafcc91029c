// The assertions that every store must pass, over a real HDFS: tests/neighbours/hdfs_store_test.py
// and hdfs_access_test.py start one. Arguments behind "--": its URL, which names an empty directory
// and, where that is believed, a user; then settings as KEY=VALUE. Each scenario has a directory of
// its own in there. Thread: one.
#include <algorithm>

#include "sinks/store/hdfs_store.h"
#include "tests/sinks/conformance.h"
#include "tests/sinks/scratch_directory.h"

using namespace tailrace;
using namespace tailrace::testing;

namespace {

HdfsSettings settings(const std::string& below) {
  const auto& suite = boost::unit_test::framework::master_test_suite();
  BOOST_REQUIRE(suite.argc >= 2);
  HdfsSettings out;
  out.servers = {must(parse_hdfs_url(suite.argv[1]))};
  out.user = out.servers[0].user;
  out.root = out.servers[0].path + below;
  for (int i = 2; i < suite.argc; ++i) {
    const std::string_view word = suite.argv[i];
    const std::string_view key = word.substr(0, word.find('='));
    BOOST_REQUIRE(key.size() < word.size());
    const std::string value(word.substr(key.size() + 1));
    if (key == "ca_file")
      out.access.ca_file = value;
    else if (key == "principal")
      out.access.kerberos.principal = value;
    else if (key == "keytab")
      out.access.kerberos.keytab = value;
    else
      BOOST_FAIL("no such setting: " << key);
  }
  return out;
}

std::string file_of(std::string_view name, std::string_view bytes, Files& files) {
  const auto file = must(files.stage(std::string(name)));
  must(file->append({bytes}));
  must(file->finish());
  return std::string(name);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hdfs)

BOOST_AUTO_TEST_CASE(conforms) {
  const auto spill = std::make_shared<ScratchDirectory>();
  int scenario = 0;
  check_store([&] {
    HdfsSettings of = settings("/" + std::to_string(++scenario));
    of.spill_dir = spill->path();
    return [of, spill] {
      auto store = must(open_hdfs_store(of));
      return StoreClient{std::move(store.records), std::move(store.files)};
    };
  });
}

BOOST_AUTO_TEST_CASE(every_name_that_the_protocol_may_give_works) {
  const ScratchDirectory spill;
  HdfsSettings of = settings("/names");
  of.spill_dir = spill.path();
  auto store = must(open_hdfs_store(of));
  Names names;
  for (const char* name :
       {"a b", "a+b", "100%", "a&b=c", "dt=2026-11-29", "#;,@!", "gr\xc3\xbc\xc3\x9f"}) {
    names.emplace_back(name);
    const std::string staged = file_of("_stage/" + names.back(), "x", *store.files);
    BOOST_TEST((must(store.files->publish(staged, "d/" + names.back())) == Published::now), name);
    BOOST_TEST(must(store.records->read("d/" + names.back())).value_or("absent") == "x", name);
  }
  std::sort(names.begin(), names.end());
  BOOST_TEST(must(store.files->list("d")) == names);
}

// More names than HDFS tells at a time.
BOOST_AUTO_TEST_CASE(a_long_listing_is_whole) {
  const ScratchDirectory spill;
  HdfsSettings of = settings("/long");
  of.spill_dir = spill.path();
  auto store = must(open_hdfs_store(of));
  Names names;
  for (int i = 1000; i < 2100; ++i) {
    names.push_back(std::to_string(i));
    must(store.records->make_directory("d/" + names.back()));
  }
  BOOST_TEST(must(store.records->list("d")) == names);
}

BOOST_AUTO_TEST_CASE(a_large_file_comes_whole) {
  const ScratchDirectory spill;
  HdfsSettings of = settings("/large");
  of.spill_dir = spill.path();
  auto store = must(open_hdfs_store(of));
  const auto file = must(store.files->stage("_stage/a"));
  std::string piece(1 << 20, '\0');
  for (size_t i = 0; i < piece.size(); ++i) piece[i] = static_cast<char>(i * 31 >> 3);
  for (int i = 0; i < 24; ++i) must(file->append({piece}));
  must(file->finish());
  must(store.files->publish("_stage/a", "d/a"));
  const std::string back = must(store.records->read("d/a")).value();
  BOOST_REQUIRE(back.size() == 24 * piece.size());
  for (size_t i = 0; i < 24; ++i)
    BOOST_TEST((std::string_view(back).substr(i * piece.size(), piece.size()) == piece));
}

BOOST_AUTO_TEST_SUITE_END()
