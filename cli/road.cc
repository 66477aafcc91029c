#include "cli/road.h"

#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "cli/stop_signals.h"
#include "sinks/kafka/kafka_keytab.h"
#include "sinks/store/hdfs_store.h"
#include "sinks/store/late_directory.h"

namespace tailrace {

namespace {

SinkStore open_directory_sink(const SinkSettings& sink) {
  LateDirectory store = late_directory_store(sink.root);
  return SinkStore{std::move(store.records), std::move(store.files), 1, 1, std::move(store.reopen)};
}

Result<SinkStore> open_hdfs_sink(const SinkSettings& sink, const std::string& state_dir) {
  constexpr size_t kUploads = 4, kCalls = 8;
  auto store = open_hdfs_store(hdfs_settings(sink, state_dir + "/spill"));
  if (!store) return store.error();
  return SinkStore{std::move(store->records), std::move(store->files), kUploads, kCalls, {}};
}

}  // namespace

HdfsSettings hdfs_settings(const SinkSettings& sink, std::string spill_dir) {
  HdfsSettings settings;
  settings.servers = sink.hdfs;
  settings.user = sink.hdfs_user;
  settings.root = sink.root;
  settings.spill_dir = std::move(spill_dir);
  settings.access = sink.hdfs_access;
  settings.writing = sink.hdfs_writing;
  return settings;
}

Result<std::vector<SinkStore>> open_stores(const CenterSettings& settings) {
  std::vector<SinkStore> stores;
  for (const SinkSettings& sink : settings.sinks)
    if (auto keytab = use_kafka_keytab(sink.kafka); !keytab)
      return keytab.error().within("the sink '" + sink.name + "'");
  for (const SinkSettings& sink : settings.sinks) {
    if (sink.is_kafka()) {  // the Center's own affair
      stores.emplace_back();
      continue;
    }
    auto store = sink.hdfs.empty() ? Result<SinkStore>(open_directory_sink(sink))
                                   : open_hdfs_sink(sink, settings.state_dir);
    if (!store) return store.error();
    stores.push_back(std::move(*store));
  }
  return stores;
}

Result<void> open_center(Center& center, const CenterSettings& settings) {
  constexpr unsigned kPauseMs = 100, kAskMs = 2'000, kSayEach = 30;
  std::string away;
  for (const SinkSettings& sink : settings.sinks) {
    if (!sink.hdfs.empty()) away = "HDFS";
    if (sink.is_kafka()) away = away.empty() ? "Kafka" : "HDFS and Kafka";
  }
  for (unsigned tries = 0;; ++tries) {
    auto opened = center.open();
    if (opened || away.empty() || opened.error().kind != Error::Kind::retry_later) return opened;
    if (tries % kSayEach == 0) log::warning("waiting for " + away + ": " + opened.error().text);
    for (unsigned waited = 0; waited < kAskMs; waited += kPauseMs) {
      if (StopSignals::came()) return opened;
      ::usleep(kPauseMs * 1'000);
    }
  }
}

Road::Road(asio::io_context& road, RoadSettings settings)
    : road_(road), settings_(std::move(settings)), bell_(road) {}

Road::~Road() = default;

Result<void> Road::open() {
  auto stores = open_stores(settings_.center);
  if (!stores) return stores.error();
  center_ = std::make_unique<Center>(road_, settings_.center, std::move(*stores));
  if (auto opened = open_center(*center_, settings_.center); !opened) return opened;

  settings_.local.cluster = center_->cluster();
  settings_.local.sinks = center_->sinks();
  settings_.local.centers = {"this process"};
  local_ = std::make_unique<Local>(road_, settings_.local,
                                   [this](std::string) { return connect_center(); });
  if (auto opened = local_->open(); !opened) return opened;

  agent_ = std::make_unique<Agent>(road_, settings_.agent, [this] { return connect_local(); });
  return agent_->open();
}

Result<StreamSocket> Road::connect_local() {
  auto ends = socket_pair(road_);
  if (!ends) return ends.error();
  local_->accept_agent(std::move(ends->second));
  return std::move(ends->first);
}

asio::awaitable<Result<StreamSocket>> Road::connect_center() {
  auto ends = socket_pair(road_);
  if (!ends) co_return ends.error();
  center_->accept_local(std::move(ends->second));
  co_return std::move(ends->first);
}

asio::awaitable<void> Road::run_agent() {
  co_await agent_->run();
  agent_runs_ = false;
  bell_.ring();
}
asio::awaitable<void> Road::run_local() {
  co_await local_->run();
  local_runs_ = false;
  bell_.ring();
}
asio::awaitable<void> Road::run_center() {
  co_await center_->run();
  center_runs_ = false;
  bell_.ring();
}

// From the source to the sink, each role ends when the one before it has handed everything on: the
// Agent when all it read is committed, the Center when all is published, then the Local.
asio::awaitable<void> Road::run() {
  agent_runs_ = local_runs_ = center_runs_ = true;
  spawn(road_, "center", run_center());
  spawn(road_, "local", run_local());
  spawn(road_, "agent", run_agent());
  while (agent_runs_ && local_runs_ && center_runs_ && !leaving_) co_await bell_.wait();
  if (!leaving_) center_->stop(true);
  while (center_runs_ && !leaving_) co_await bell_.wait();
  agent_->leave();
  center_->leave();
  local_->leave();
  while (agent_runs_ || local_runs_ || center_runs_) co_await bell_.wait();
}

void Road::drain() { agent_->drain(); }
void Road::drain_for_good() { agent_->drain_for_good(); }

void Road::leave() {
  leaving_ = true;
  bell_.ring();
}

RoadStatus Road::status() const {
  RoadStatus status;
  if (agent_) status.agent = agent_->status();
  if (local_) status.local = local_->status();
  if (center_) status.center = center_->status();
  return status;
}

}  // namespace tailrace
