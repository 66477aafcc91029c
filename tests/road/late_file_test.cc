// A file whose upload ends when its Center's session is long over: nobody's record names it, and
// the janitor of its log looked before it was there.
#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <future>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/spawn.h"
#include "center/center.h"
#include "cli/published.h"
#include "local/local.h"
#include "sinks/store/directory_store.h"
#include "tests/road/run_until.h"

namespace tailrace {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPatienceMs = 60'000;

// What the two uploads of the test wait for.
struct Gate {
  std::promise<void> slow_waits, let_go, slow_is_over;
  std::shared_future<void> waits = slow_waits.get_future().share();
  std::shared_future<void> open = let_go.get_future().share();
  std::shared_future<void> over = slow_is_over.get_future().share();
  bool slow = true, bad = true;  // still to come; each is touched by one category's uploads
};

// As on HDFS: nothing stands under the staged name before finish(). The first file of `slow` waits
// there, the first of `bad` is refused meanwhile, which ends the session.
class HeldFile final : public StagedFile {
 public:
  HeldFile(Files& files, std::string staged, std::shared_ptr<Gate> gate)
      : files_(files), staged_(std::move(staged)), gate_(std::move(gate)) {}
  Result<void> append(const std::vector<std::string_view>& pieces) override {
    for (const std::string_view piece : pieces) bytes_ += piece;
    return {};
  }
  Result<std::string> read(uint64_t offset, size_t n) override { return bytes_.substr(offset, n); }
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
  Result<void> finish() override {
    if (staged_.starts_with("bad/") && std::exchange(gate_->bad, false)) {
      gate_->waits.wait();
      return Error{Error::Kind::rejected, "by the test"};
    }
    const bool waits = staged_.starts_with("slow/") && std::exchange(gate_->slow, false);
    if (waits) {
      gate_->slow_waits.set_value();
      gate_->open.wait();
    }
    auto file = files_.stage(staged_);
    if (!file) return file.error();
    if (auto appended = (*file)->append({bytes_}); !appended) return appended;
    auto finished = (*file)->finish();
    if (waits) gate_->slow_is_over.set_value();
    return finished;
  }

 private:
  Files& files_;
  const std::string staged_;
  std::shared_ptr<Gate> gate_;
  std::string bytes_;
};

class HeldFiles final : public Files {
 public:
  HeldFiles(std::unique_ptr<Files> files, std::shared_ptr<Gate> gate)
      : files_(std::move(files)), gate_(std::move(gate)) {}
  Result<std::unique_ptr<StagedFile>> stage(const std::string& staged) override {
    return std::unique_ptr<StagedFile>(std::make_unique<HeldFile>(*files_, staged, gate_));
  }
  Result<Published> publish(const std::string& staged, const std::string& final_path) override {
    return files_->publish(staged, final_path);
  }
  Result<void> remove(const std::string& staged) override { return files_->remove(staged); }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    return files_->list(directory);
  }

 private:
  std::unique_ptr<Files> files_;
  std::shared_ptr<Gate> gate_;
};

// All roles over a folder, with such a store.
class Rig {
 public:
  explicit Rig(const std::shared_ptr<Gate>& gate) {
    std::string pattern = (fs::temp_directory_path() / "late-file-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    for (const char* folder : {"logs", "out", "agent", "spool", "center"})
      fs::create_directories(root_ / folder);
    auto store = open_directory_store((root_ / "out").string());
    BOOST_REQUIRE(store.ok());
    CenterSettings center;
    center.sinks.emplace_back().roll_idle_ms = 100;
    center.state_dir = (root_ / "center").string();
    std::vector<SinkStore> stores;
    SinkStore& held = stores.emplace_back();
    held.records = std::move(store->records);
    held.files = std::make_unique<HeldFiles>(std::move(store->files), gate);
    held.uploads = 2;
    center_ = std::make_unique<Center>(context_, center, std::move(stores));
    BOOST_REQUIRE(center_->open().ok());
    LocalSettings local;
    local.spool_dir = (root_ / "spool").string();
    local.segment_bytes = 1u << 20;
    local.host = "test";
    local.cluster = center_->cluster();
    local.sinks = center_->sinks();
    local.centers = {"this process"};
    local_ =
        std::make_unique<Local>(context_, local, [this](std::string) { return connect_center(); });
    BOOST_REQUIRE(local_->open().ok());
    AgentSettings agent;
    for (const char* category : {"slow", "bad"})
      agent.sources.push_back({category, {(root_ / "logs" / category).string()}, {}, Codec::none});
    agent.state_dir = (root_ / "agent").string();
    agent.tick_ms = 50;
    agent_ = std::make_unique<Agent>(context_, agent, [this] { return connect_local(); });
    BOOST_REQUIRE(agent_->open().ok());
    spawn(context_, "center", center_->run());
    spawn(context_, "local", local_->run());
    spawn(context_, "agent", agent_->run());
  }
  ~Rig() {
    agent_->leave();
    center_->leave();
    local_->leave();
    context_.restart();
    context_.run();
    fs::remove_all(root_);
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void write(const char* category, std::string_view line) const {
    std::ofstream(root_ / "logs" / category) << line;
  }
  template <class Done>
  [[nodiscard]] bool until(Done done) {
    return test::run_until(context_, kPatienceMs, done);
  }
  [[nodiscard]] uint64_t lines_published() const {
    return center_->status().sinks.front().lines_published;
  }
  // Names below a folder of the control directory, "live" or "logs".
  [[nodiscard]] std::vector<std::string> control(const char* folder) const {
    std::vector<std::string> names;
    for (const auto& sink : fs::directory_iterator(root_ / "out" / "_tailrace"))
      if (fs::is_directory(sink.path() / folder))
        for (const auto& entry : fs::directory_iterator(sink.path() / folder))
          names.push_back(entry.path().filename().string());
    return names;
  }
  [[nodiscard]] std::vector<std::string> staged() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root_ / "out"))
      if (entry.is_regular_file() && entry.path().string().find("/_stage/") != std::string::npos)
        names.push_back(entry.path().string());
    return names;
  }

 private:
  Result<StreamSocket> connect_local() {
    auto ends = socket_pair(context_);
    if (!ends) return ends.error();
    local_->accept_agent(std::move(ends->second));
    return std::move(ends->first);
  }
  asio::awaitable<Result<StreamSocket>> connect_center() {
    auto ends = socket_pair(context_);
    if (!ends) co_return ends.error();
    center_->accept_local(std::move(ends->second));
    co_return std::move(ends->first);
  }

  fs::path root_;
  asio::io_context context_{1};
  std::unique_ptr<Center> center_;
  std::unique_ptr<Local> local_;
  std::unique_ptr<Agent> agent_;
};

BOOST_AUTO_TEST_SUITE(late_file)

BOOST_AUTO_TEST_CASE(an_upload_that_outlives_its_session_leaves_nothing) {
  const auto gate = std::make_shared<Gate>();
  Rig rig(gate);
  rig.write("slow", "one\n");
  rig.write("bad", "two\n");
  BOOST_REQUIRE(rig.until([&] { return rig.control("live").size() == 1; }));
  const std::string first = rig.control("live").front();
  // The next session has finished the log of the first one, and published all.
  BOOST_REQUIRE(rig.until([&] {
    const auto live = rig.control("live");
    return live.size() == 1 && live.front() != first && rig.lines_published() == 2;
  }));
  BOOST_TEST(rig.staged().empty());
  gate->let_go.set_value();
  const auto is_over = [&] {
    return gate->over.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  BOOST_REQUIRE(rig.until(is_over));
  BOOST_TEST(rig.until([&] { return rig.staged().empty(); }));
  BOOST_TEST(rig.lines_published() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tailrace
