// A host of the simulation: log files, a disk that may forget, and the two processes that run on
// it, made of the agent's and the Local's machines. Thread: one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal.h"
#include "agent/session.h"
#include "local/agent_session.h"
#include "local/spool.h"
#include "local/uplinks.h"
#include "tests/local/virtual_disk.h"
#include "tests/sim/judge.h"
#include "tests/sim/world.h"

namespace tailrace::sim {

struct LogFile {
  std::string category;
  std::string identity;  // serialised proto::FileIdentity
  std::string path;
  std::string source;  // for the judge
  std::string bytes;
};

class LocalProcess;

// The agent's shell, as thin as agent/agent.cc: it reads the host's log files, keeps the journal.
class AgentProcess final : public Process {
 public:
  struct Storage {  // what outlives it
    std::string journal;
    size_t synced = 0;
  };
  using Connect = std::function<std::shared_ptr<Wire>(AgentProcess&)>;
  // `codec` of the files that its lines are for.
  AgentProcess(World& world, const std::string& name, std::vector<LogFile>& logs, Storage& storage,
               Codec codec, Connect connect);

  void start();
  [[nodiscard]] bool all_final() const;
  [[nodiscard]] std::string waits_for() const;  // for a person
  [[nodiscard]] const std::string& held() const { return session_.held(); }
  void flush();
  [[nodiscard]] const Session& session() const { return session_; }

  bool may_hold = false;  // else it is a violation
  [[nodiscard]] bool anything_final() const;

 private:
  struct Place {  // how far a log file is read
    FilePosition at;
    FileId id = 0;
    uint32_t generation = 0;
  };
  void connect();
  void tick();
  void take(Frame& frame);
  void place_all();
  void place_again();
  void read();
  bool read_some(const std::string& category);
  void carry_out();
  void keep_journal();
  void fold();
  void sync(std::function<void()> then);

  std::vector<LogFile>& logs_;
  Storage& storage_;
  const Codec codec_;
  Connect connect_;
  Journal journal_;
  Session session_;
  std::vector<Place> places_;  // of logs_
  bool settling_ = false;
  bool placed_ = false;
  std::shared_ptr<Wire> wire_;
  int64_t pinged_ms_ = 0;
};

// The Local's shell, as thin as local/local.cc.
class LocalProcess final : public Process {
 public:
  using Connect = std::function<std::shared_ptr<Wire>(LocalProcess&, const std::string& address)>;
  LocalProcess(World& world, const std::string& name, const std::string& cluster,
               test::VirtualDisk& disk, std::vector<std::string> seeds, Connect connect);

  void start();
  void accept(std::shared_ptr<Wire> wire);  // side 1 is ours
  [[nodiscard]] const Spool& spool() const { return *spool_; }
  [[nodiscard]] bool runs() const { return spool_ != nullptr; }
  // Or why it does not run.
  [[nodiscard]] std::string held() const {
    return uplinks_ ? uplinks_->delivery().held() : broken_;
  }
  // It ended, for its spool must never be used again.
  [[nodiscard]] bool aside() const { return aside_; }

  bool may_hold = false;     // else it is a violation
  bool may_be_hurt = false;  // its spool: else that is one
  bool odd = false;          // its settings are drawn
  // Its spool is small: full soon, and of what it has given up it remembers little (a few positions
  // for each KiB of a segment), so that it may hold for a position that it cannot prove.
  bool small = false;
  // It was told that a stream of its spool begins there for a sink.
  std::function<void(uint64_t local_id, const std::string& category, const SinkPlace&)> on_origin;

 private:
  void tick();
  void settle_agent();
  void settle_center(const std::string& address);
  void settle_centers();
  void wake_committer();
  void write_group();
  void dial();
  void connect_center(const std::string& address);
  void lost_center(const std::string& address, const std::string& why);
  void read_cold(const std::string& address, const ColdRead& read);

  std::string cluster_;
  std::string broken_;
  test::VirtualDisk& disk_;
  std::vector<std::string> seeds_;
  Connect connect_center_;
  std::unique_ptr<Spool> spool_;
  Pool<Batch> batches_{64};
  std::unique_ptr<Uplinks> uplinks_;
  UplinkActions uplink_actions_;
  std::map<std::string, std::shared_ptr<Wire>> centers_;  // by address
  bool dialing_ = false;
  std::shared_ptr<Wire> agent_;
  std::unique_ptr<AgentSession> session_;
  AgentActions agent_actions_;
  bool writing_ = false;
  bool served_ = false;
  bool aside_ = false;
};

}  // namespace tailrace::sim
