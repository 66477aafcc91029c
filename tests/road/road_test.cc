// All roles in one process over a folder of their own: what goes in comes out, whichever codec,
// however often the road is left in the middle.
#include "cli/road.h"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/clock.h"
#include "base/random.h"
#include "base/spawn.h"
#include "cli/progress.h"
#include "cli/published.h"
#include "flow/codec.h"
#include "tests/road/run_until.h"

namespace tailrace {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPatienceMs = 60'000;

// A folder with logs and an output, removed at the end.
class Place {
 public:
  Place() {
    std::string pattern = (fs::temp_directory_path() / "tailrace-road-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    for (const char* folder : {"logs", "out", "state/agent", "state/spool", "state/center"})
      fs::create_directories(root_ / folder);
  }
  ~Place() { fs::remove_all(root_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void append(const std::string& name, std::string_view bytes) const {
    std::ofstream file(root_ / "logs" / name, std::ios::app | std::ios::binary);
    file << bytes;
    file.close();
    BOOST_REQUIRE_MESSAGE(file, name << " could not be written");
  }

  [[nodiscard]] RoadSettings settings(Codec codec = Codec::gzip) const {
    RoadSettings settings;
    settings.center.sinks.emplace_back().root = (root_ / "out").string();
    settings.agent.sources = {{"web", {(root_ / "logs" / "*.log").string()}, {}, codec}};
    settings.agent.state_dir = (root_ / "state/agent").string();
    settings.agent.never_below = {settings.center.sinks.front().root, (root_ / "state").string()};
    settings.agent.tick_ms = 50;
    settings.local.spool_dir = (root_ / "state/spool").string();
    settings.local.segment_bytes = 8u << 20;
    settings.local.host = "test";
    settings.center.state_dir = (root_ / "state/center").string();
    return settings;
  }

  [[nodiscard]] std::vector<PublishedFile> files() const {
    std::vector<std::string> trouble;
    auto found = find_published((root_ / "out").string(), {}, trouble);
    BOOST_TEST(trouble.empty());
    return found;
  }
  // All published lines, in the order of the names.
  [[nodiscard]] std::string published() const {
    std::string all;
    for (const PublishedFile& file : files()) {
      std::ifstream in(file.path, std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), {});
      const auto inflater = make_file_inflater(file.codec);
      BOOST_REQUIRE(inflater->feed(bytes, all).ok());
      BOOST_REQUIRE(inflater->finish().ok());
    }
    return all;
  }

 private:
  fs::path root_;
};

// One life of the road; ends with the object, as by a kill that the disk survives.
class Life {
 public:
  explicit Life(const RoadSettings& settings) : road_(context_, settings) {
    const auto opened = road_.open();
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.error().text);
    spawn(context_, "the test's road", carry_out());
  }
  // Runs until `done` holds; false: it never did.
  template <class Done>
  [[nodiscard]] bool until(Done done) {
    return test::run_until(context_, kPatienceMs, done);
  }
  [[nodiscard]] bool to_its_end() {
    return until([this] { return over_; });
  }
  void for_ms(int64_t ms) {
    context_.restart();
    context_.run_for(std::chrono::milliseconds(ms));
  }
  Road& road() { return road_; }

 private:
  asio::awaitable<void> carry_out() {
    co_await road_.run();
    over_ = true;
  }
  asio::io_context context_{1};
  Road road_;
  bool over_ = false;
};

std::string some_lines(uint64_t seed, size_t bytes) {
  Rng rng(seed);
  std::string text;
  for (uint64_t n = 0; text.size() < bytes; ++n) {
    text += std::to_string(seed) + " " + std::to_string(n) + " ";
    const uint64_t kind = rng.below(100);
    const size_t length = kind < 90 ? rng.below(200) : kind < 99 ? rng.below(5000) : 70'000;
    for (size_t i = 0; i < length; ++i) {
      const char c = static_cast<char>(rng.below(256));
      text += c == '\n' ? ' ' : c;
    }
    text += '\n';
  }
  return text;
}

BOOST_AUTO_TEST_SUITE(road)

BOOST_AUTO_TEST_CASE(once_publishes_every_byte_in_each_codec) {
  for (const Codec codec : {Codec::gzip, Codec::zstd, Codec::none}) {
    const Place place;
    const std::string text = some_lines(7, 3u << 20);
    place.append("a.log", text);
    RoadSettings settings = place.settings(codec);
    settings.agent.once = true;
    Life life(settings);
    BOOST_REQUIRE(life.to_its_end());
    BOOST_TEST((place.published() == text), codec_name(codec));
    const RoadStatus status = life.road().status();
    BOOST_TEST(status.agent.files_seen == 1u);
    BOOST_TEST(status.agent.bytes_read == text.size());
    BOOST_TEST(status.agent.lines_read == status.center.sinks.front().lines_published);
    BOOST_TEST(status.center.sinks.front().raw_bytes_published == text.size());
    BOOST_TEST(status.center.sinks.front().files_published == place.files().size());
    BOOST_TEST(shortcomings(status, Shown::all).empty());
  }
}

BOOST_AUTO_TEST_CASE(drain_publishes_what_stands_in_the_files) {
  const Place place;
  Life life(place.settings());
  place.append("a.log", "one\ntwo\n");
  BOOST_REQUIRE(
      life.until([&] { return life.road().status().center.sinks.front().lines_received == 2; }));
  BOOST_TEST(place.files().empty());
  place.append("a.log", "three\nfour");
  life.road().drain();
  BOOST_REQUIRE(life.to_its_end());
  BOOST_TEST(place.published() == "one\ntwo\nthree\n");  // "four" waits for its newline
}

BOOST_AUTO_TEST_CASE(size_idle_and_age_publish_while_it_runs) {
  for (const int cause : {0, 1, 2}) {
    const Place place;
    RoadSettings settings = place.settings(Codec::none);
    if (cause == 0) settings.center.sinks.front().roll_bytes = 4096;
    if (cause == 1) settings.center.sinks.front().roll_idle_ms = 200;
    if (cause == 2) settings.center.sinks.front().roll_age_ms = 300;
    Life life(settings);
    const std::string text = some_lines(11, 5000);
    place.append("a.log", text);
    BOOST_TEST_CONTEXT("cause " << cause) {
      BOOST_REQUIRE(life.until(
          [&] { return life.road().status().center.sinks.front().files_published >= 1; }));
      BOOST_TEST((place.published() == text));
    }
  }
}

// Lives that end anywhere without a word: the next one goes on, nothing is lost, doubled or
// reordered.
BOOST_AUTO_TEST_CASE(however_often_it_is_cut_each_line_is_published_once_in_order) {
  const uint64_t seed = os_random();
  std::cout << "seed " << seed << "\n";
  Rng rng(seed);
  const Place place;
  std::string expected;
  for (int life_number = 0; life_number < 12; ++life_number) {
    RoadSettings settings = place.settings();
    settings.center.sinks.front().roll_idle_ms = 30;
    settings.center.sinks.front().roll_bytes = 64 << 10;
    Life life(settings);
    for (uint64_t piece = rng.below(6); piece > 0; --piece) {
      const std::string text = some_lines(rng.next(), rng.below(200'000));
      expected += text;
      place.append("a.log", text);
      life.for_ms(static_cast<int64_t>(rng.below(80)));
    }
  }
  RoadSettings settings = place.settings();
  settings.agent.once = true;
  Life life(settings);
  BOOST_REQUIRE(life.to_its_end());
  const std::string published = place.published();
  BOOST_TEST(published.size() == expected.size());
  BOOST_TEST((published == expected));
}

BOOST_AUTO_TEST_CASE(leave_ends_soon_and_the_next_life_goes_on) {
  const Place place;
  const std::string text = some_lines(3, 1u << 20);
  place.append("a.log", text);
  {
    Life life(place.settings());
    life.for_ms(20);
    life.road().leave();
    BOOST_REQUIRE(life.to_its_end());
  }
  RoadSettings settings = place.settings();
  settings.agent.once = true;
  Life life(settings);
  BOOST_REQUIRE(life.to_its_end());
  BOOST_TEST((place.published() == text));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
