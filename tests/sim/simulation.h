// A cluster in one thread: hosts with log files, Centers, a store; a plan of what goes wrong; then
// calm, in which everything must arrive; then the judges. Thread: one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/audit/store_audit.h"
#include "tests/sim/center_process.h"
#include "tests/sim/host.h"
#include "tests/sim/judge.h"
#include "tests/sim/plan.h"
#include "tests/sim/world.h"

namespace tailrace::sim {

struct Outcome {
  std::string violation;  // empty: none
  uint64_t lines = 0;
  uint64_t files = 0;
  uint64_t commits = 0;
  uint64_t fences = 0;
  uint64_t kills = 0;
  uint64_t splits = 0;
  uint64_t cuts = 0;  // files that something was cut out of
  int64_t virtual_ms = 0;
  uint64_t fingerprint = 0;  // of all that happened
  std::array<uint64_t, kRarePoints> fired{};
};

class Simulation {
 public:
  Simulation(const Plan& plan, bool trace);
  Outcome run();

 private:
  struct Backup {
    test::SpoolImage spool;
    AgentProcess::Storage journal;
    std::vector<size_t> log_bytes;
    uint64_t local_id = 0;
  };
  struct Host {
    std::string name;
    std::vector<LogFile> logs;
    AgentProcess::Storage journal;
    test::VirtualDisk disk;
    std::shared_ptr<AgentProcess> agent;
    std::shared_ptr<LocalProcess> local;
    std::weak_ptr<Wire> agent_wire;
    std::map<std::string, std::weak_ptr<Wire>> center_wires;  // by Center
    std::map<std::string, int64_t> no_way_until_ms;           // to that Center
    std::vector<std::string> seeds;
    int64_t clock_ms = 0;
    uint64_t local_id = 0;
    std::set<uint64_t> local_ids;  // of all the spools that it had
    bool gone = false;             // for good
    bool put_back = false;         // to an earlier state
    bool hurt = false;             // its spool
    bool excused = false;          // its lines: nobody waits for those that are missing
    [[nodiscard]] bool owes_account() const { return hurt && !put_back && !gone && !excused; }
    bool cloned = false;     // there are two of it
    bool log_moved = false;  // somebody took records away, for a while: it may find a HOLE
    [[nodiscard]] bool may_hold() const {
      return put_back || hurt || cloned || log_moved || (local && local->small && local->may_hold);
    }
    std::map<int64_t, Backup> backups;  // by when they will be put back
    std::vector<test::VirtualDisk> lost_spools;
    bool journal_torn = false;  // what it lost may still be in the spool, and nowhere else
  };
  struct Machine {
    std::string name;
    uint64_t state_uuid = 0;
    std::shared_ptr<CenterProcess> center;
    int64_t clock_ms = 0;
    bool ill = false;  // for good: stopped, cut off from the store, or
    bool dead = false;
    bool cut_off = false;
  };
  struct Sink {
    SinkIdentity identity;
    bool optional = false;  // not required
    std::shared_ptr<testing::MemoryStore> store;
    std::shared_ptr<Topics> topics;  // of a sink that is Kafka: nothing is in its store
    std::unique_ptr<Judge> judge;
    testing::StoreOrigins origins;                    // of streams that begin in the middle here
    int64_t away_until_ms = 0;                        // nothing of it answers until then
    std::map<std::string, int64_t> blocked_until_ms;  // categories that cannot be published
    // What somebody took away for a while, by path; what stands in its place, if anything does.
    struct Aside {
      std::string bytes;
      std::optional<std::string> instead;
      int64_t until_ms = 0;
    };
    std::map<std::string, Aside> aside;
    std::map<std::string, std::string> taken;  // for good: staged and published files
    std::set<std::string> said_lost;           // by Centers, where each was to be published
    [[nodiscard]] std::string base() const { return "_tailrace/" + hex16(identity.sink); }
    [[nodiscard]] testing::StoreFindings audit() const;
  };
  void make_sinks();
  void write_lines();
  uint32_t write_some(Host& host, int64_t ms);
  Codec draw_codec();
  void start_agent(Host& host);
  void start_local(Host& host);
  std::shared_ptr<Wire> connect(Host& host, LocalProcess& local, const std::string& center);
  SinkSettings draw_settings();
  void start_center(Machine& machine);
  void end_sessions(Machine& machine);
  void kill(std::shared_ptr<AgentProcess>& agent, bool silently);
  void kill(std::shared_ptr<LocalProcess>& local, bool silently);
  void kill(Machine& machine, bool silently = false);
  // Disasters (disasters.cc).
  void plan_disasters();
  void strike(const Disaster& disaster);
  void strike(const Disaster& disaster, Host& host);
  void strike(const Disaster& disaster, Machine& machine);
  void stop_host(Host& host, bool silently);
  void start_host_in(Host& host, int64_t ms);
  void power_cut(Host& host);
  void power_cut_of_stores(int64_t ms);
  void lose(Host& host);
  void restore(Host& host, const Disaster& disaster);
  bool journal_torn(Host& host);
  void flip_bits(Host& host);
  void clone(Host& host, int64_t ms);
  void lose_spool(Host& host, int64_t ms, bool back);
  // A person's hand in a store (hand.cc).
  bool strike_by_hand(const Disaster& disaster);
  void spoil_record(Sink& sink, int64_t ms);
  void move_log(Sink& sink, int64_t ms);
  void take(Sink& sink, bool staged);
  void put_back(Sink& sink, const std::string& path);
  void put_back_in(Sink& sink, const std::string& path, int64_t ms);
  void said_lost(const std::string& path);
  void settle_lost();
  void judge_lost(const Sink& sink, const testing::StoreFindings& found);
  void keep_alive();
  void run_late();
  void calm();
  void leave_late();
  void leave_ill(Machine& machine);
  [[nodiscard]] static bool held(const Host& host);
  [[nodiscard]] bool drained(const Host& host) const;
  bool account_for(Host& host);
  bool account_for_given_up(Sink& sink);
  bool lacks_what_is_lost(const Sink& sink, const Host& host, const testing::StoreFindings& found);
  void excuse(Host& host);
  // All is published at the sinks that are there, but for what somebody has said to be lost.
  bool settled();
  bool drained();
  void cut_off(Machine& machine, int64_t ms);
  void drain_beside_the_dead();
  void block_for_ever();
  void drain_beside_the_blocked();
  std::string waiting() const;
  void run_until(int64_t ms, const char* what, const std::function<bool()>& done);
  void count(const CenterProcess& center);
  void judge_after_all();
  [[nodiscard]] uint64_t fingerprint() const;
  testing::Fault store_fault(size_t sink, const testing::StoreCall& call);

  Plan plan_;
  World world_;
  std::vector<Sink> sinks_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<Machine> machines_;
  size_t well_ = 0;  // a Center that does not stay ill
  bool calm_ = false;
  bool stopping_ = false;
  std::string unaccounted_;  // of a hurt spool: what was missing when that was counted last
  int64_t next_account_ms_ = 0;
  int64_t next_lost_ms_ = 0;
  Outcome outcome_;
};

}  // namespace tailrace::sim
