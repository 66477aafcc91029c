// A cluster in one thread: hosts with log files, Centers, a store; a plan of what goes wrong; then
// calm, in which everything must arrive; then the judges. Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

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
  int64_t virtual_ms = 0;
};

class Simulation {
 public:
  Simulation(const Plan& plan, bool trace);
  Outcome run();

 private:
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
  void write_lines();
  void start_agent(Host& host);
  void start_local(Host& host);
  std::shared_ptr<Wire> connect(Host& host, LocalProcess& local, const std::string& center);
  void start_center(Machine& machine);
  void kill(std::shared_ptr<AgentProcess>& agent, bool silently);
  void kill(std::shared_ptr<LocalProcess>& local, bool silently);
  void kill(Machine& machine);
  void strike(const Disaster& disaster);
  void power_cut(Host& host, int64_t ms);
  void keep_alive();
  void run_late();
  void calm();
  void leave_ill(Machine& machine);
  bool drained() const;
  std::string waiting() const;
  void run_until(int64_t ms, const char* what, const std::function<bool()>& done);
  void judge_after_all();
  testing::Fault store_fault(const testing::StoreCall& call);

  Plan plan_;
  World world_;
  Judge judge_;
  std::shared_ptr<testing::MemoryStore> store_;
  SinkIdentity sink_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<Machine> machines_;
  std::map<std::string, int64_t> blocked_until_ms_;
  size_t well_ = 0;  // a Center that does not stay ill
  bool calm_ = false;
  bool stopping_ = false;
  Outcome outcome_;
};

}  // namespace tailrace::sim
