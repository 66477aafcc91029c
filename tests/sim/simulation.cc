#include "tests/sim/simulation.h"

#include <algorithm>

#include "control.pb.h"
#include "tests/audit/store_audit.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kMinuteMs = 60'000;
// A Center that was fenced often waits up to five minutes before it takes a lane again, and a
// Local holds back for as long as an empty answer costs it.
constexpr int64_t kCalmMs = 15 * kMinuteMs;
constexpr int64_t kForEverMs = 1'000 * kMinuteMs;
constexpr int64_t kStopMs = 10 * kMinuteMs;
constexpr uint64_t kSectorBytes = 512;

std::string category_name(size_t n) { return "category-" + std::to_string(n); }
std::string center_name(size_t n) { return "center-" + std::to_string(n); }
}  // namespace

Simulation::Simulation(const Plan& plan, bool trace)
    : plan_(plan), world_(plan.seed), judge_(world_), store_(testing::MemoryStore::make()) {
  world_.trace = trace;
  world_.faults = plan.faults;
  sink_ = {world_.rng.next() | 1, world_.rng.next() | 1, "_tailrace"};
  static_cast<void>(store_->records()->make_directory("_tailrace/" + hex16(sink_.sink)).ok());
  well_ = world_.rng.below(plan.centers);
  for (uint32_t h = 0; h < plan.hosts; ++h) {
    auto host = std::make_unique<Host>();
    host->name = "host-" + std::to_string(h);
    // Some Centers it hears of by REDIRECT and PONG only.
    for (uint32_t c = 0; c < plan.centers; ++c)
      if (c == well_ || world_.rng.chance(0.5)) host->seeds.push_back(center_name(c));
    for (uint32_t c = 0; c < plan.categories; ++c)
      for (uint32_t f = 0; f < plan.files; ++f) {
        LogFile log;
        log.category = category_name(c);
        log.source = host->name + "/" + log.category + "/" + std::to_string(f);
        log.path = "/var/log/" + log.source;
        proto::FileIdentity identity;
        identity.set_inode(host->logs.size() + 1);
        log.identity = identity.SerializeAsString();
        host->logs.push_back(std::move(log));
      }
    hosts_.push_back(std::move(host));
  }
  machines_.resize(plan.centers);
  for (size_t c = 0; c < machines_.size(); ++c) {
    machines_[c].name = center_name(c);
    machines_[c].state_uuid = world_.rng.next() | 1;
  }
}

// --- what goes on of itself ----------------------------------------------------------------------

void Simulation::write_lines() {
  for (uint32_t n = 0; n < plan_.lines;) {
    const auto at = static_cast<int64_t>(world_.rng.below(static_cast<uint64_t>(plan_.until_ms)));
    const auto some = static_cast<uint32_t>(1 + world_.rng.below(10));
    Host* host = hosts_[world_.rng.below(hosts_.size())].get();
    LogFile* log = &host->logs[world_.rng.below(host->logs.size())];
    world_.after(at, [this, log, some] {
      for (uint32_t i = 0; i < some; ++i) log->bytes += judge_.write(log->source);
    });
    n += some;
  }
}

testing::Fault Simulation::store_fault(const testing::StoreCall& call) {
  using testing::Fault;
  if (call.op == testing::Op::publish)
    for (const auto& [category, until_ms] : blocked_until_ms_)
      if (until_ms > world_.now_ms && call.name.starts_with(category + "/")) return Fault::refused;
  if (world_.faults.store_trouble == 0 || !world_.rng.chance(world_.faults.store_trouble))
    return Fault::none;
  return static_cast<Fault>(1 + world_.rng.below(4));
}

void Simulation::run_late() {
  store_->run_late(world_.rng.below(3));
  world_.after(1 + static_cast<int64_t>(world_.rng.below(8'000)), [this] { run_late(); });
}

// --- processes -----------------------------------------------------------------------------------

void Simulation::start_agent(Host& host) {
  if (host.agent) return;
  host.agent = std::make_shared<AgentProcess>(world_, host.name + "a", host.logs, host.journal,
                                              [&host, this](AgentProcess& agent) {
                                                std::shared_ptr<Wire> wire;
                                                if (!host.local) return wire;
                                                wire = Wire::make(world_, agent, *host.local);
                                                host.agent_wire = wire;
                                                host.local->accept(wire);
                                                return wire;
                                              });
  host.agent->clock_ms = host.clock_ms;
  host.agent->start();
}

void Simulation::start_local(Host& host) {
  if (host.local) return;
  host.local = std::make_shared<LocalProcess>(
      world_, host.name + "l", hex16(sink_.cluster), host.disk, host.seeds,
      [&host, this](LocalProcess& local, const std::string& center) {
        return connect(host, local, center);
      });
  host.local->clock_ms = host.clock_ms;
  host.local->start();
}

std::shared_ptr<Wire> Simulation::connect(Host& host, LocalProcess& local,
                                          const std::string& center) {
  for (const Machine& machine : machines_) {
    if (machine.name != center) continue;
    if (!machine.center || !machine.center->takes() || host.no_way_until_ms[center] > world_.now_ms)
      return nullptr;
    const auto wire = Wire::make(world_, local, *machine.center);
    host.center_wires[center] = wire;
    machine.center->accept(wire, host.name);
    return wire;
  }
  return nullptr;
}

void Simulation::start_center(Machine& machine) {
  if (machine.center || stopping_ || machine.dead) return;
  HubOptions options;
  options.settings.name = machine.name;
  options.settings.address = machine.name;
  options.settings.roll_bytes = plan_.roll_bytes;
  options.settings.roll_age_ms = 6'000;
  options.settings.roll_idle_ms = 2'000;
  options.settings.bucket_grace_ms = 1'000;
  options.settings.bucket_jitter_ms = 1'000;
  options.sink = sink_;
  options.layout = *Layout::parse("{category}/dt={date}/hr={hour}");
  options.state_uuid = machine.state_uuid;
  options.reclaim_entries = plan_.reclaim_entries;
  options.collect_ms = 10'000;
  machine.center = std::make_shared<CenterProcess>(world_, judge_, machine.name, std::move(options),
                                                   store_, machine.clock_ms);
  if (machine.cut_off) machine.center->cut_off_for(kForEverMs);
  machine.center->start();
}

void Simulation::kill(std::shared_ptr<AgentProcess>& agent, bool silently) {
  if (!agent) return;
  agent->die(silently);
  agent.reset();
  ++outcome_.kills;
}

void Simulation::kill(std::shared_ptr<LocalProcess>& local, bool silently) {
  if (!local) return;
  local->die(silently);
  local.reset();
  ++outcome_.kills;
}

void Simulation::kill(Machine& machine) {
  if (!machine.center) return;
  outcome_.fences += machine.center->fences();
  machine.center->die(false);
  machine.center.reset();
  ++outcome_.kills;
}

// Those that ended by their own doing start again, as a supervisor would see to it.
void Simulation::keep_alive() {
  for (auto& host : hosts_)
    if (host->local && host->local->ended()) {
      kill(host->local, false);
      world_.after(100, [this, h = host.get()] { start_local(*h); });
    }
  for (Machine& machine : machines_)
    if (machine.center && machine.center->ended()) {
      kill(machine);
      world_.after(1 + static_cast<int64_t>(world_.rng.below(5'000)),
                   [this, &machine] { start_center(machine); });
    }
  if (!calm_ || !drained()) world_.after(50, [this] { keep_alive(); });
}

// --- disasters -----------------------------------------------------------------------------------

void Simulation::power_cut(Host& host, int64_t ms) {
  kill(host.agent, true);
  kill(host.local, true);
  AgentProcess::Storage& journal = host.journal;
  const size_t unsynced = journal.journal.size() - journal.synced;
  journal.journal.resize(journal.synced + world_.rng.below(unsynced + 1));
  std::vector<test::SpoolImage> left;
  host.disk.after_power_cut(kSectorBytes, 4, world_.rng,
                            [&left](const test::SpoolImage& image) { left.push_back(image); });
  if (!left.empty()) host.disk = test::VirtualDisk(left[world_.rng.below(left.size())]);
  world_.after(ms, [this, h = &host] {
    start_local(*h);
    start_agent(*h);
  });
}

void Simulation::strike(const Disaster& d) {
  if (calm_) return;
  using Kind = Disaster::Kind;
  using Fault = test::VirtualDisk::Fault;
  Host& host = *hosts_[d.who % hosts_.size()];
  Machine& machine = machines_[d.who / hosts_.size() % machines_.size()];
  const auto cut = [](const std::weak_ptr<Wire>& wire) {
    if (const auto alive = wire.lock()) alive->cut("connection reset");
  };
  const auto fail_disk = [&host, this](Fault::Kind kind) {
    host.disk.set_fault({kind, host.disk.ops_done() + 1 + world_.rng.below(10)});
  };
  world_.say("DISASTER", std::string(name_of(d.kind)) + " " + std::to_string(d.who) + ", " +
                             std::to_string(d.ms) + " ms");
  switch (d.kind) {
    case Kind::kill_agent:
      kill(host.agent, false);
      return world_.after(d.ms, [this, h = &host] { start_agent(*h); });
    case Kind::kill_local:
      kill(host.local, false);
      return world_.after(d.ms, [this, h = &host] { start_local(*h); });
    case Kind::kill_center:
      kill(machine);
      return world_.after(d.ms, [this, &machine] { start_center(machine); });
    case Kind::pause_center:
      if (machine.center) machine.center->stop_for(d.ms);
      return;
    case Kind::leave_center:
      if (machine.center) machine.center->drain(false);
      return;
    case Kind::power_cut: return power_cut(host, d.ms);
    case Kind::disk_error:
      return fail_disk(world_.rng.chance(0.5) ? Fault::Kind::error : Fault::Kind::short_write);
    case Kind::disk_full: return fail_disk(Fault::Kind::no_space);
    case Kind::cut_agent: return cut(host.agent_wire);
    case Kind::cut_local: return cut(host.center_wires[machine.name]);
    case Kind::half_open:
      if (const auto wire = host.center_wires[machine.name].lock()) wire->swallow();
      return;
    case Kind::cut_off:
      if (machine.center) machine.center->cut_off_for(d.ms);
      return;
    case Kind::block:
      blocked_until_ms_[category_name(d.who % plan_.categories)] = world_.now_ms + d.ms;
      return;
    case Kind::clock_host:
      host.clock_ms = d.ms;
      if (host.agent) host.agent->clock_ms = d.ms;
      if (host.local) host.local->clock_ms = d.ms;
      return;
    case Kind::clock_center:
      machine.clock_ms = d.ms;
      if (machine.center) machine.center->clock_ms = d.ms;
      return;
    case Kind::no_way:
      for (auto& h : hosts_) {
        if (world_.rng.chance(0.3)) continue;
        h->no_way_until_ms[machine.name] = world_.now_ms + d.ms;
        const auto wire = h->center_wires[machine.name].lock();
        if (!wire) continue;
        world_.rng.chance(0.5) ? wire->cut("connection reset") : wire->swallow();
      }
      return;
  }
}

// --- the end -------------------------------------------------------------------------------------

void Simulation::calm() {
  calm_ = true;
  world_.say("CALM", plan_.core ? "some Centers stay ill" : "nothing more goes wrong");
  world_.faults = {};
  blocked_until_ms_.clear();
  for (auto& host : hosts_) {
    host->disk.set_fault({});
    host->no_way_until_ms.clear();
    start_local(*host);
    start_agent(*host);
  }
  for (Machine& machine : machines_) {
    if (plan_.core && &machine != &machines_[well_] && world_.rng.chance(0.5)) {
      leave_ill(machine);
      continue;
    }
    machine.clock_ms = 0;
    if (machine.center) {
      machine.center->clock_ms = 0;
      machine.center->wake();
      machine.center->cut_off_for(0);
    }
    start_center(machine);
  }
}

void Simulation::leave_ill(Machine& machine) {
  machine.ill = true;
  start_center(machine);
  switch (world_.rng.below(3)) {
    case 0: machine.dead = true; return kill(machine);
    case 1: return machine.center->stop_for(kForEverMs);
    default: machine.cut_off = true; return machine.center->cut_off_for(kForEverMs);
  }
}

bool Simulation::drained() const {
  return judge_.complete() && std::all_of(hosts_.begin(), hosts_.end(), [](const auto& host) {
           return host->agent && host->agent->all_final();
         });
}

std::string Simulation::waiting() const {
  if (!judge_.complete()) return "; unpublished: " + judge_.missing();
  for (const auto& host : hosts_)
    if (!host->agent || !host->agent->all_final()) return "; " + host->name + " does not know it";
  return "";
}

void Simulation::run_until(int64_t ms, const char* what, const std::function<bool()>& done) {
  const int64_t end_ms = world_.now_ms + ms;
  while (!done()) {
    if (world_.now_ms >= end_ms)
      return world_.violated(std::string("LIVENESS: ") + what + " after " +
                             std::to_string(ms / 1000) + " s of calm" + waiting());
    if (!world_.step()) return;
  }
}

Outcome Simulation::run() {
  world_.say("PLAN", plan_.text());
  store_->set_faults([this](const testing::StoreCall& call) { return store_fault(call); });
  write_lines();
  for (const Disaster& disaster : plan_.disasters)
    world_.after(disaster.at_ms, [this, disaster] { strike(disaster); });
  for (Machine& machine : machines_) start_center(machine);
  for (auto& host : hosts_) {
    start_local(*host);
    start_agent(*host);
  }
  keep_alive();
  run_late();
  const int64_t end_ms = world_.now_ms + plan_.until_ms;
  while (world_.now_ms < end_ms && world_.step()) continue;
  calm();
  run_until(kCalmMs, "not all is published and final", [this] { return drained(); });
  stopping_ = true;
  for (Machine& machine : machines_)
    if (machine.center) machine.center->drain(true);
  run_until(kStopMs, "a Center does not leave", [this] {
    return std::all_of(machines_.begin(), machines_.end(), [](const Machine& m) {
      return !m.center || m.ill || m.center->drained() || m.center->ended();
    });
  });
  judge_after_all();
  outcome_.violation = world_.violation;
  outcome_.lines = judge_.written();
  outcome_.files = judge_.files();
  outcome_.virtual_ms = world_.now_ms;
  for (Machine& machine : machines_)
    if (machine.center) outcome_.fences += machine.center->fences();
  return outcome_;
}

void Simulation::judge_after_all() {
  if (world_.trace)
    for (const auto& [name, bytes] : store_->content())
      world_.say("STORE", name + ", " + std::to_string(bytes.size()) + " bytes");
  if (!world_.violation.empty()) return;
  store_->run_late();
  judge_.look_at_all(*store_);
  const testing::StoreFindings found =
      testing::audit_store(store_->content(), "_tailrace/" + hex16(sink_.sink));
  outcome_.commits = found.commits;
  if (!found.wrong.empty()) world_.violated(found.wrong);
}

}  // namespace tailrace::sim
