// All three roles in one process: Agent, Local and Center joined by socket pairs, over the same
// sessions, spool, lanes and commit log as separate processes. This is the wiring diagram.
// Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/bell.h"
#include "base/result.h"
#include "center/center.h"
#include "local/local.h"
#include "sinks/store/hdfs_client.h"

namespace tailrace {

struct RoadSettings {
  AgentSettings agent;
  LocalSettings local;
  CenterSettings center;
};

// How the HDFS of a sink is reached. `spill_dir`: where files wait that are to be sent; "" for who
// only looks.
[[nodiscard]] HdfsSettings hdfs_settings(const SinkSettings& sink, std::string spill_dir = {});
// The stores of a Center's sinks; roots on this machine are made when they are first asked.
[[nodiscard]] Result<std::vector<SinkStore>> open_stores(const CenterSettings& settings);
// Opens the Center. While HDFS cannot be asked it says so and waits, until it can or a signal to
// stop came: then the error is returned. Blocks.
[[nodiscard]] Result<void> open_center(Center& center, const CenterSettings& settings);

struct RoadStatus {
  AgentStatus agent;
  LocalStatus local;
  CenterStatus center;
};

class Road {
 public:
  Road(asio::io_context& road, RoadSettings settings);
  ~Road();

  // The store first (it names the cluster), then the spool, then the journal. Blocks, as
  // open_center() does.
  Result<void> open();
  // Runs until everything is published after drain() (or with agent.once), or leave() was called,
  // or a role cannot go on: status() tells.
  asio::awaitable<void> run();
  // Take in what stands in the files now, publish everything, then run() ends.
  void drain();
  void drain_for_good();  // as Agent's
  // run() ends soon, without waiting for anything to become final; nothing is lost.
  void leave();
  [[nodiscard]] RoadStatus status() const;

 private:
  Result<StreamSocket> connect_local();
  asio::awaitable<Result<StreamSocket>> connect_center();
  asio::awaitable<void> run_agent();
  asio::awaitable<void> run_local();
  asio::awaitable<void> run_center();

  asio::io_context& road_;
  RoadSettings settings_;
  Bell bell_;
  std::unique_ptr<Center> center_;
  std::unique_ptr<Local> local_;
  std::unique_ptr<Agent> agent_;
  bool agent_runs_ = false;
  bool local_runs_ = false;
  bool center_runs_ = false;
  bool leaving_ = false;
};

}  // namespace tailrace
