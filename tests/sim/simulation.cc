#include "tests/sim/simulation.h"

#include <algorithm>

#include "control.pb.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kMinuteMs = 60'000;
// A Center that was fenced often waits up to five minutes before it takes a lane again, and a
// Local holds back for as long as an empty answer costs it.
constexpr int64_t kCalmMs = 15 * kMinuteMs;
constexpr int64_t kForEverMs = 1'000 * kMinuteMs;
constexpr int64_t kAccountMs = 1'000;
constexpr int64_t kStopMs = 10 * kMinuteMs;

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
    world_.after(at, [this, host, log, some] {
      if (host->gone) return;
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

// An agent's settings may be others each time that it starts.
Codec Simulation::draw_codec() {
  if (!plan_.settings) return plan_.codec;
  return static_cast<Codec>(world_.rng.below(3));
}

void Simulation::start_agent(Host& host) {
  if (host.agent || host.gone) return;
  host.agent = std::make_shared<AgentProcess>(world_, host.name + "a", host.logs, host.journal,
                                              draw_codec(), [&host, this](AgentProcess& agent) {
                                                std::shared_ptr<Wire> wire;
                                                if (!host.local || !host.local->runs()) return wire;
                                                wire = Wire::make(world_, agent, *host.local);
                                                host.agent_wire = wire;
                                                host.local->accept(wire);
                                                return wire;
                                              });
  host.agent->clock_ms = host.clock_ms;
  host.agent->may_hold = host.may_hold();
  host.agent->start();
}

void Simulation::start_local(Host& host) {
  if (host.local || host.gone) return;
  host.local = std::make_shared<LocalProcess>(
      world_, host.name + "l", hex16(sink_.cluster), host.disk, host.seeds,
      [&host, this](LocalProcess& local, const std::string& center) {
        return connect(host, local, center);
      });
  host.local->clock_ms = host.clock_ms;
  host.local->may_hold = host.may_hold();
  host.local->may_be_hurt = host.hurt;
  host.local->odd = plan_.settings;
  host.local->start();
  if (host.local->runs()) host.local_id = host.local->spool().local_id();
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
  options.settings.roll_age_ms = plan_.roll_age_ms;
  options.settings.roll_idle_ms = plan_.roll_idle_ms;
  options.settings.bucket_grace_ms = 1'000;
  options.settings.bucket_jitter_ms = 1'000;
  if (plan_.settings) {
    options.settings.roll_bytes = plan_.roll_bytes / 2 + world_.rng.below(plan_.roll_bytes * 2);
    options.settings.roll_age_ms = 1'000 + static_cast<int64_t>(world_.rng.below(30'000));
    options.settings.roll_idle_ms = 500 + static_cast<int64_t>(world_.rng.below(20'000));
  }
  const bool by_day = plan_.settings && world_.rng.chance(0.3);
  options.sink = sink_;
  options.layout =
      *Layout::parse(by_day ? "{category}/dt={date}" : "{category}/dt={date}/hr={hour}");
  options.state_uuid = machine.state_uuid;
  options.reclaim_entries = plan_.reclaim_entries;
  options.collect_ms = 10'000;
  options.takeover_after_ms = plan_.takeover_after_ms;
  options.split = plan_.split;
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
  count(*machine.center);
  if (!machine.center->drained()) judge_.over(machine.center->session());
  machine.center->die(false);
  machine.center.reset();
  ++outcome_.kills;
}

// Those that ended by their own doing start again, as a supervisor would see to it.
void Simulation::keep_alive() {
  for (auto& host : hosts_)
    if (host->local && host->local->ended()) {
      if (host->local->aside()) host->disk = test::VirtualDisk();
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
  judge_.over(machine.center->session());
  switch (world_.rng.below(3)) {
    case 0: machine.dead = true; return kill(machine);
    case 1: return machine.center->stop_for(kForEverMs);
    default: machine.cut_off = true; return machine.center->cut_off_for(kForEverMs);
  }
}

bool Simulation::held(const Host& host) {
  return host.local && host.agent && !(host.local->held().empty() && host.agent->held().empty());
}

bool Simulation::drained(const Host& host) const {
  if (host.gone || (host.may_hold() && held(host))) return true;
  return host.agent && host.agent->all_final();
}

bool Simulation::drained() {
  for (const auto& host : hosts_)
    if (!drained(*host)) return false;
  for (const auto& host : hosts_) {
    if (host->may_hold() && (held(*host) || (host->put_back && host->hurt))) {
      host->excused = true;
      judge_.excuse_host(host->name);
    }
    if (host->owes_account() && !account_for(*host)) return false;
  }
  return judge_.complete();
}

// What a hurt spool has lost is said, line by line: neither more nor less is missing.
bool Simulation::account_for(Host& host) {
  if (world_.now_ms < next_account_ms_) return false;
  next_account_ms_ = world_.now_ms + kAccountMs;
  const testing::StoreFindings found =
      testing::audit_store(store_->content(), "_tailrace/" + hex16(sink_.sink));
  for (size_t c = 0; c < plan_.categories; ++c) {
    const auto said = found.gap_lines.find({category_name(c), host.local_id});
    const uint64_t lost = said == found.gap_lines.end() ? 0 : said->second;
    if (judge_.missing(host.name, category_name(c)) != lost) return false;
  }
  host.excused = true;
  judge_.excuse_host(host.name);
  return true;
}

std::string Simulation::waiting() const {
  for (const auto& host : hosts_)
    if (!drained(*host)) return "; " + host->name + " does not know that all is final";
  for (const auto& host : hosts_)
    if (host->owes_account())
      return "; what is missing of " + host->name + " is not what was said to be lost";
  return "; unpublished: " + judge_.missing();
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
  plan_disasters();
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
    if (machine.center) count(*machine.center);
  return outcome_;
}

void Simulation::count(const CenterProcess& center) {
  outcome_.fences += center.fences();
  outcome_.cuts += center.cuts();
}

void Simulation::judge_after_all() {
  if (world_.trace)
    for (const auto& [name, bytes] : store_->content())
      world_.say("STORE", name + ", " + std::to_string(bytes.size()) + " bytes");
  if (!world_.violation.empty()) return;
  for (const Machine& machine : machines_)
    if (machine.center && machine.center->ended() && !machine.center->drained())
      judge_.over(machine.center->session());
  store_->run_late();
  judge_.look_at_all(*store_);
  const testing::StoreFindings found =
      testing::audit_store(store_->content(), "_tailrace/" + hex16(sink_.sink));
  outcome_.commits = found.commits;
  outcome_.splits = found.splits;
  if (!found.wrong.empty()) world_.violated(found.wrong);
}

}  // namespace tailrace::sim
