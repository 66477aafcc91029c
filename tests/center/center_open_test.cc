// What a Center finds in its store before it has an incarnation.
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "center/center.h"
#include "sinks/store/directory_store.h"

namespace tailrace {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "center-open-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()));
    path = name;
    fs::create_directories(path / "out" / "_tailrace");
  }
  ~Folder() { fs::remove_all(path); }
  [[nodiscard]] Result<void> open_center(const std::string& state = "state") const {
    asio::io_context road;
    auto store = open_directory_store((path / "out").string());
    BOOST_REQUIRE(store.ok());
    CenterSettings settings;
    settings.state_dir = (path / state).string();
    settings.sinks.emplace_back();
    std::vector<SinkStore> stores;
    stores.push_back({std::move(store->records), std::move(store->files)});
    Center center(road, settings, std::move(stores));
    return center.open();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(center_open)

// kill -9 between writing the sink's identity and giving it its name.
BOOST_AUTO_TEST_CASE(a_first_start_that_died_early_is_started_again) {
  const Folder folder;
  std::ofstream(folder.path / "out" / "_tailrace" / "tmp-00000000deadbeef") << "half an iden";
  BOOST_CHECK(folder.open_center().ok());
  BOOST_CHECK(fs::exists(folder.path / "out" / "_tailrace.sink"));
  const auto control = fs::directory_iterator(folder.path / "out" / "_tailrace");
  BOOST_TEST(std::distance(begin(control), end(control)) == 1);  // the sink's directory
}

// kill -9 between making the sink's directory and giving the sink its name.
BOOST_AUTO_TEST_CASE(an_empty_directory_of_a_sink_without_a_name_is_passed_over) {
  const Folder folder;
  fs::create_directories(folder.path / "out" / "_tailrace" / "0000000000000001");
  BOOST_CHECK(folder.open_center().ok());
  BOOST_CHECK(folder.open_center().ok());
}

BOOST_AUTO_TEST_CASE(a_sink_whose_records_are_gone_is_refused) {
  const Folder folder;
  BOOST_REQUIRE(folder.open_center().ok());
  fs::remove_all(folder.path / "out" / "_tailrace");
  const auto opened = folder.open_center();
  BOOST_REQUIRE(!opened.ok());
  BOOST_TEST(opened.error().text.find("restore them") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_control_directory_whose_sink_is_gone_is_refused) {
  const Folder folder;
  fs::create_directories(folder.path / "out" / "_tailrace" / "0000000000000001" / "logs");
  BOOST_CHECK(!folder.open_center().ok());
}

BOOST_AUTO_TEST_CASE(Centers_that_start_at_once_at_a_new_store_share_it) {
  for (int round = 0; round < 20; ++round) {
    const Folder folder;
    std::vector<pid_t> starts;
    for (const char* state : {"a", "b", "c", "d"}) {
      starts.push_back(::fork());
      if (starts.back() == 0) ::_exit(folder.open_center(state).ok() ? 0 : 1);
    }
    for (const pid_t start : starts) {
      int status = 0;
      BOOST_REQUIRE(::waitpid(start, &status, 0) == start);
      BOOST_TEST(status == 0);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
