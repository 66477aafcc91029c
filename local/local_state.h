// A Local's shell: what it holds and its loops, each a coroutine. Private to local/local*.cc.
// Thread: the road.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bell.h"
#include "base/random.h"
#include "base/sparingly.h"
#include "base/worker.h"
#include "local/agent_session.h"
#include "local/center_search.h"
#include "local/figures.h"
#include "local/local.h"
#include "local/spool.h"
#include "local/spool_disk.h"
#include "local/uplinks.h"

namespace tailrace {

inline constexpr size_t kPooledBatches = 64;

struct Local::State : std::enable_shared_from_this<State> {
  State(asio::io_context& r, LocalSettings s, Connect c, LookUp l)
      : road(r),
        settings(std::move(s)),
        connect_center(std::move(c)),
        look_up(std::move(l)),
        search(Rng(os_random())),
        disk(std::make_shared<SpoolDisk>(settings.spool_dir)),
        batches(kPooledBatches),
        writer(r, "spool"),
        reader(r, "spool-read"),
        group_bell(r),
        agent_bell(r),
        center_bell(r),
        tick_bell(r),
        run_bell(r) {}

  Result<void> open();
  void accept_agent(StreamSocket socket);
  asio::awaitable<void> run(std::shared_ptr<State> self);
  void leave();

  // Coroutines; each holds `self`, and run() waits for their end.
  void begin(const char* name, asio::awaitable<void> task);
  asio::awaitable<void> counted(asio::awaitable<void> task, std::shared_ptr<State> self);
  asio::awaitable<void> commit_groups();
  asio::awaitable<void> write_group();
  asio::awaitable<void> shut_down();
  asio::awaitable<void> serve_agent(std::shared_ptr<Connection> connection);
  asio::awaitable<void> serve_centers();
  asio::awaitable<void> serve_center(std::string address);
  asio::awaitable<void> serve_connection(StreamSocket socket);
  asio::awaitable<void> read_cold(std::string address, ColdRead read);
  asio::awaitable<void> quarantine(RefusedBatch batch);
  asio::awaitable<void> keep_holes();
  asio::awaitable<void> find_centers();
  asio::awaitable<void> keep_list();
  asio::awaitable<void> tick();
  void say_trouble();
  void say_given_up();
  void look_for_centers();
  void say_refused(const std::string& peer, const std::string& why);

  // What the machines want done, carried out.
  void settle_agent();
  void settle_center(const std::string& address);
  void settle_centers();
  static void say(const std::vector<std::string>& alarms);
  void wake_committer();
  [[nodiscard]] int64_t group_due_ms() const;

  asio::io_context& road;
  LocalSettings settings;
  Connect connect_center;
  LookUp look_up;  // empty: there is nobody to ask
  CenterSearch search;
  std::shared_ptr<SpoolDisk> disk;  // the workers' jobs hold it too
  std::unique_ptr<Spool> spool;
  uint64_t quota_bytes = 0;
  Pool<Batch> batches;
  Worker writer;
  Worker reader;  // a cold read must not wait for an fsync, nor a group for a backlog
  Bell group_bell, agent_bell, center_bell, tick_bell, run_bell;
  bool committer_sleeps = false;  // without a time to wake
  bool served = false;            // what recovery found is safe
  bool leaving = false;
  bool aside = false;              // the spool must never be used again
  std::vector<uint64_t> replaces;  // spools that a person has set aside for this one
  size_t tasks = 0;

  struct GroupJob {
    SpoolGroup group;
    Result<void> outcome;
  };
  std::shared_ptr<GroupJob> job = std::make_shared<GroupJob>();

  std::shared_ptr<Connection> agent;
  std::unique_ptr<AgentSession> session;
  bool agent_read = true;  // false: reading waits for the disk
  AgentActions agent_actions;
  std::string said_trouble;
  Spool::LinesGivenUp said_given_up;
  int64_t given_up_ms = INT64_MIN / 2;  // when that was
  uint64_t lines_taken = 0;             // of sessions that have ended
  uint64_t refused = 0;
  std::map<std::string, uint64_t> lines_refused;  // by earlier sessions, by category
  Sparingly refusals;

  std::map<std::string, std::shared_ptr<Connection>> centers;  // by address: those that stand
  std::unique_ptr<Uplinks> uplinks;
  std::unique_ptr<LocalFigures> figures;
  UplinkActions uplink_actions;
  std::vector<std::string> kept;  // the list of Centers on the disk, sorted
  bool keeps = false;             // it is being written
};

}  // namespace tailrace
