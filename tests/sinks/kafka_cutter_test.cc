#include "sinks/kafka/kafka_cutter.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <vector>

namespace tailrace::testing {
namespace {

constexpr size_t kBesides = 150;  // of a record and its batch, beside what is counted here

KafkaBatch batch_of(const std::string& lines) {
  KafkaBatch out;
  out.key = {0xab, 2};
  out.host = "web-1";
  out.fields.first_seq = 7;
  out.fields.count = static_cast<uint32_t>(std::count(lines.begin(), lines.end(), '\n'));
  out.fields.raw_len = static_cast<uint32_t>(lines.size());
  out.fields.payload_codec = Codec::none;
  out.payload = std::make_shared<const std::string>(lines);
  return out;
}

struct Record {
  std::string value;
  std::map<std::string, std::string> headers;
  size_t bytes = 0;  // of all of these
};

std::vector<Record> records_of(const KafkaBatch& batch, const KafkaSettings& settings,
                               size_t most_bytes, bool whole = true) {
  KafkaCutter cutter;
  KafkaCutter::Inflaters inflaters;
  BOOST_TEST(cutter.begin(batch, settings, most_bytes, inflaters) == whole);
  std::vector<Record> out;
  do {
    Record& record = out.emplace_back(Record{std::string(cutter.value()), {}, 0});
    record.bytes = record.value.size();
    for (const auto& [name, value] : cutter.headers()) {
      record.headers[std::string(name)] = value;
      record.bytes += name.size() + value.size();
    }
  } while (cutter.next());
  BOOST_TEST(!cutter.begun());
  return out;
}

BOOST_AUTO_TEST_CASE(each_line_is_a_record) {
  const auto records = records_of(batch_of("one\n\nthree\n"), {}, 1'000'000);
  BOOST_REQUIRE(records.size() == 3u);
  BOOST_TEST(records[0].value == "one");
  BOOST_TEST(records[1].value.empty());
  BOOST_TEST(records[2].value == "three");
  BOOST_TEST((records[2].headers ==
              std::map<std::string, std::string>{
                  {"host", "web-1"}, {"stream", "00000000000000ab/2"}, {"seq", "9"}}));
}

BOOST_AUTO_TEST_CASE(a_long_line_is_cut_and_says_so) {
  const std::string line(10'000, 'x');
  KafkaSettings settings;
  settings.headers = {"none"};
  const auto records = records_of(batch_of("a\n" + line + "\nb\n"), settings, 4'000);
  std::string joined;
  for (size_t i = 1; i + 1 < records.size(); ++i) {
    BOOST_TEST(records[i].headers.at("split") == std::to_string(joined.size()) + "/10000");
    BOOST_TEST(records[i].headers.at("seq") == "8");
    BOOST_TEST(records[i].headers.size() == 3u);
    joined += records[i].value;
  }
  BOOST_TEST(joined == line);
  BOOST_TEST(records.front().headers.empty());
  BOOST_TEST(records.back().value == "b");
  BOOST_TEST(records.back().headers.empty());
}

// A record that is too large is refused for ever, and its category with it.
BOOST_AUTO_TEST_CASE(no_record_is_larger_than_its_topic_takes_whatever_its_headers) {
  for (const KafkaForm form : {KafkaForm::lines, KafkaForm::packed})
    for (const size_t path : {10u, 500u, 1'000u, 4'000u})
      for (const size_t most : {1'024u, 4'000u, 20'000u})
        for (const size_t size : {500u, 3'000u, 3'500u, 19'000u}) {
          KafkaSettings settings;
          settings.form = form;
          settings.headers = {"host", "path", "stream", "seq"};
          KafkaBatch batch =
              batch_of(std::string(size - 300, 'x') + "\n" + std::string(300, 'y') + "\n");
          batch.host = std::string(64, 'h');
          for (const char of : {'a', 'b'})
            batch.sources.push_back({1, std::make_shared<const std::string>(path, of)});
          std::string lines;
          for (const Record& record : records_of(batch, settings, most)) {
            BOOST_TEST(record.bytes + kBesides <= most);
            lines += record.value;
          }
          std::erase(lines, '\n');
          BOOST_TEST(lines.size() == size);
        }
}

BOOST_AUTO_TEST_CASE(a_path_that_has_room_is_that_of_its_line) {
  KafkaSettings settings;
  settings.headers = {"path"};
  KafkaBatch batch = batch_of("1\n2\n3\n4\n");
  batch.sources = {{2, std::make_shared<const std::string>("/a")},
                   {1, nullptr},
                   {1, std::make_shared<const std::string>("/b")}};
  const auto records = records_of(batch, settings, 4'000);
  BOOST_REQUIRE(records.size() == 4u);
  BOOST_TEST(records[0].headers.at("path") == "/a");
  BOOST_TEST(records[1].headers.at("path") == "/a");
  BOOST_TEST(records[2].headers.empty());
  BOOST_TEST(records[3].headers.at("path") == "/b");
}

BOOST_AUTO_TEST_CASE(what_is_not_what_its_head_says_goes_as_it_came) {
  KafkaBatch batch = batch_of("one\ntwo\n");
  batch.fields.count = 3;
  const auto records = records_of(batch, {}, 4'000, false);
  BOOST_REQUIRE(records.size() == 1u);
  BOOST_TEST(records[0].value == "one\ntwo\n");
  BOOST_TEST(records[0].headers.at("codec") == "none");
  BOOST_TEST(records[0].headers.at("lines") == "3");
}

}  // namespace
}  // namespace tailrace::testing
