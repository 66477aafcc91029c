#include "tests/sim/simulation.h"

#include <algorithm>

#include "base/hash.h"
#include "control.pb.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kMinuteMs = 60'000;
constexpr uint64_t kSequenceHeaderBytes = 200;  // so that a file holds as many lines as another
// A Center that was fenced often waits up to five minutes before it takes a lane again, and a
// Local holds back for as long as an empty answer costs it.
constexpr int64_t kCalmMs = 15 * kMinuteMs;
constexpr int64_t kForEverMs = 1'000 * kMinuteMs;
constexpr int64_t kStopMs = 10 * kMinuteMs;

std::string center_name(size_t n) { return "center-" + std::to_string(n); }
}  // namespace

Simulation::Simulation(const Plan& plan, bool trace) : plan_(plan), world_(plan.seed) {
  world_.trace = trace;
  world_.faults = plan.faults;
  rare_run = RareRun{plan.rare, Rng(mix64(plan.seed)), {}};
  make_sinks();
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

void Simulation::make_sinks() {
  const uint64_t cluster = world_.rng.next() | 1;
  for (uint32_t n = 0; n < plan_.sinks; ++n) {
    Sink& sink = sinks_.emplace_back();
    sink.identity = {world_.rng.next() | 1, cluster, "_tailrace"};
    sink.optional = plan_.optional && n + 1 == plan_.sinks;
    sink.store = testing::MemoryStore::make();
    sink.judge = std::make_unique<Judge>(world_);
    if (plan_.kafka && n + 1 == plan_.sinks)
      sink.topics = std::make_shared<Topics>(world_, *sink.judge);
    static_cast<void>(sink.store->records()->make_directory(sink.base()).ok());
  }
}

// --- what goes on of itself ----------------------------------------------------------------------

void Simulation::write_lines() {
  for (uint32_t n = 0; n < plan_.lines;) {
    const auto at = static_cast<int64_t>(world_.rng.below(static_cast<uint64_t>(plan_.until_ms)));
    n += write_some(*hosts_[world_.rng.below(hosts_.size())], at);
  }
}

// Into one of its log files, in `ms`; how many.
uint32_t Simulation::write_some(Host& host, int64_t ms) {
  const auto some = static_cast<uint32_t>(1 + world_.rng.below(10));
  LogFile* log = &host.logs[world_.rng.below(host.logs.size())];
  world_.after(ms, [this, host = &host, log, some] {
    if (host->gone || calm_) return;
    for (uint32_t i = 0; i < some; ++i) {
      std::string line;
      for (Sink& sink : sinks_) line = sink.judge->write(log->source);
      log->bytes += line;
    }
  });
  return some;
}

testing::Fault Simulation::store_fault(size_t at, const testing::StoreCall& call) {
  using testing::Fault;
  const Sink& sink = sinks_[at];
  if (sink.away_until_ms > world_.now_ms) return Fault::refused;
  if (call.op == testing::Op::publish)
    for (const auto& [category, until_ms] : sink.blocked_until_ms)
      if (until_ms > world_.now_ms && call.name.starts_with(category + "/")) return Fault::refused;
  const double trouble = at == 0 ? world_.faults.store_trouble : world_.faults.second_trouble;
  if (trouble == 0 || !world_.rng.chance(trouble)) return Fault::none;
  return static_cast<Fault>(1 + world_.rng.below(4));
}

void Simulation::run_late() {
  for (Sink& sink : sinks_) {
    sink.store->run_late(world_.rng.below(3));
    if (sink.topics) sink.topics->look();
  }
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
      world_, host.name + "l", hex16(sinks_.front().identity.cluster), host.disk, host.seeds,
      [&host, this](LocalProcess& local, const std::string& center) {
        return connect(host, local, center);
      });
  host.local->clock_ms = host.clock_ms;
  host.local->may_hold = host.may_hold();
  host.local->may_be_hurt = host.hurt;
  host.local->odd = plan_.settings;
  host.local->small = plan_.optional;
  host.local->on_origin = [this](uint64_t local_id, const std::string& category,
                                 const SinkPlace& origin) {
    for (Sink& sink : sinks_)
      if (sink.identity.sink == origin.sink)
        sink.origins[{category, local_id}].insert(origin.at.seq);
  };
  host.local->start();
  if (!host.local->runs()) return;
  host.local_id = host.local->spool().local_id();
  host.local_ids.insert(host.local_id);
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

SinkSettings Simulation::draw_settings() {
  SinkSettings settings;
  settings.formats.usual = plan_.format;
  settings.roll_bytes = plan_.roll_bytes;
  settings.sequence_roll_bytes = settings.roll_bytes + kSequenceHeaderBytes;
  settings.roll_age_ms = plan_.roll_age_ms;
  settings.roll_idle_ms = plan_.roll_idle_ms;
  settings.bucket_grace_ms = 1'000;
  settings.bucket_jitter_ms = 1'000;
  if (!plan_.settings) return settings;
  if (world_.rng.chance(0.3)) settings.formats.usual = FileFormat::sequence;
  settings.roll_bytes = plan_.roll_bytes / 2 + world_.rng.below(plan_.roll_bytes * 2);
  settings.sequence_roll_bytes = settings.roll_bytes + kSequenceHeaderBytes;
  settings.roll_age_ms = 1'000 + static_cast<int64_t>(world_.rng.below(30'000));
  settings.roll_idle_ms = 500 + static_cast<int64_t>(world_.rng.below(20'000));
  return settings;
}

// Nothing is owed of what it held.
void Simulation::end_sessions(Machine& machine) {
  for (size_t at = 0; at < sinks_.size(); ++at)
    if (!machine.center->drained(at)) sinks_[at].judge->over(machine.center->session(at));
}

void Simulation::start_center(Machine& machine) {
  if (machine.center || stopping_ || machine.dead) return;
  HubOptions options;
  options.settings.name = machine.name;
  options.settings.address = machine.name;
  std::vector<SinkOfSim> sinks;
  for (Sink& of : sinks_) {
    options.settings.sinks.push_back(draw_settings());
    options.settings.sinks.back().required = !of.optional;
    const bool by_day = plan_.settings && world_.rng.chance(0.3);
    options.sinks.push_back(
        {of.identity,
         *Layout::parse(by_day ? "{category}/dt={date}" : "{category}/dt={date}/hr={hour}"),
         TimeZone(), nullptr});
    if (of.topics) {
      options.settings.sinks.back().name = "kafka";
      KafkaSessionOptions& kafka = options.sinks.back().kafka.emplace();
      kafka.idle_ms = plan_.roll_age_ms * 2;
      kafka.commit_bytes = plan_.roll_bytes;
    }
    sinks.push_back({of.store, of.topics, of.judge.get(),
                     [this, &of] { return of.away_until_ms > world_.now_ms; }});
  }
  options.state_uuid = machine.state_uuid;
  options.reclaim_entries = plan_.reclaim_entries;
  options.collect_ms = 10'000;
  options.takeover_after_ms = plan_.takeover_after_ms;
  options.split = plan_.split;
  machine.center = std::make_shared<CenterProcess>(world_, machine.name, std::move(options),
                                                   std::move(sinks), machine.clock_ms);
  if (machine.cut_off) cut_off(machine, kForEverMs);
  machine.center->lost = [this](const std::string& path) { said_lost(path); };
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

void Simulation::kill(Machine& machine, bool silently) {
  if (!machine.center) return;
  count(*machine.center);
  end_sessions(machine);
  machine.center->die(silently);
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
  rare_run.chances = {};
  for (Sink& sink : sinks_) {
    sink.blocked_until_ms.clear();
    sink.away_until_ms = 0;
    while (!sink.aside.empty()) put_back(sink, std::string(sink.aside.begin()->first));
  }
  if (plan_.dead_sink >= 0) sinks_[plan_.dead_sink].away_until_ms = kForEverMs;
  if (plan_.blocked >= 0) block_for_ever();
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
      cut_off(machine, 0);
    }
    start_center(machine);
  }
}

// What it leaves undone shows in the calm.
void Simulation::leave_late() {
  Machine& leaver = machines_[world_.rng.below(machines_.size())];
  const auto before_ms = static_cast<int64_t>(world_.rng.below(3'000));
  world_.after(plan_.until_ms - before_ms, [&leaver, everything = world_.rng.chance(0.5)] {
    if (leaver.center) leaver.center->leave(everything);
  });
}

void Simulation::leave_ill(Machine& machine) {
  machine.ill = true;
  start_center(machine);
  end_sessions(machine);
  switch (world_.rng.below(3)) {
    case 0: machine.dead = true; return kill(machine);
    case 1: return machine.center->stop_for(kForEverMs);
    default: machine.cut_off = true; return cut_off(machine, kForEverMs);
  }
}

void Simulation::cut_off(Machine& machine, int64_t ms) {
  for (size_t at = 0; at < sinks_.size(); ++at) machine.center->cut_off_for(at, ms);
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
  return settled();
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
  for (size_t at = 0; at < sinks_.size(); ++at)
    sinks_[at].store->set_faults(
        [this, at](const testing::StoreCall& call) { return store_fault(at, call); });
  if (plan_.dead_from_start) sinks_[plan_.dead_sink].away_until_ms = kForEverMs;
  write_lines();
  plan_disasters();
  for (Machine& machine : machines_) start_center(machine);
  for (auto& host : hosts_) {
    start_local(*host);
    start_agent(*host);
  }
  keep_alive();
  run_late();
  if (plan_.leaves) leave_late();
  if (plan_.blocked >= 0)
    world_.after(plan_.until_ms - static_cast<int64_t>(world_.rng.below(10'000)),
                 [this] { block_for_ever(); });
  const int64_t end_ms = world_.now_ms + plan_.until_ms;
  while (world_.now_ms < end_ms && world_.step()) continue;
  calm();
  if (plan_.dead_sink >= 0) drain_beside_the_dead();
  if (plan_.blocked >= 0) drain_beside_the_blocked();
  run_until(kCalmMs, "not all is published and final", [this] { return drained(); });
  stopping_ = true;
  for (Machine& machine : machines_)
    if (machine.center) machine.center->leave(true);
  run_until(kStopMs, "a Center does not leave", [this] {
    return std::all_of(machines_.begin(), machines_.end(), [](const Machine& m) {
      return !m.center || m.ill || m.center->drained() || m.center->ended();
    });
  });
  judge_after_all();
  outcome_.violation = world_.violation;
  outcome_.lines = sinks_.front().judge->written();
  for (const Sink& sink : sinks_) outcome_.files += sink.judge->files();
  outcome_.virtual_ms = world_.now_ms;
  outcome_.fired = rare_run.fired;
  outcome_.fingerprint = fingerprint();
  for (Machine& machine : machines_)
    if (machine.center) count(*machine.center);
  return outcome_;
}

void Simulation::block_for_ever() {
  for (Sink& sink : sinks_)
    sink.blocked_until_ms[category_name(static_cast<size_t>(plan_.blocked))] = kForEverMs;
}

// A category that cannot be published holds up no other, whoever dies meanwhile.
void Simulation::drain_beside_the_blocked() {
  const bool certain = std::all_of(sinks_.begin(), sinks_.end(),
                                   [](const Sink& sink) { return sink.taken.empty(); }) &&
                       std::none_of(hosts_.begin(), hosts_.end(), [](const auto& h) {
                         return h->may_hold() || !h->lost_spools.empty();
                       });
  const auto published = [this](const Host& host, size_t c) {
    return host.gone || static_cast<int>(c) == plan_.blocked ||
           std::all_of(sinks_.begin(), sinks_.end(), [&](const Sink& sink) {
             return sink.judge->missing(host.name, category_name(c)) == 0;
           });
  };
  if (certain)
    run_until(kCalmMs, "a category that cannot be published holds up others", [&] {
      for (const auto& host : hosts_)
        for (size_t c = 0; c < plan_.categories; ++c)
          if (!published(*host, c)) return false;
      return true;
    });
  for (Sink& sink : sinks_) sink.blocked_until_ms.clear();
}

uint64_t Simulation::fingerprint() const {
  Xxh3 all;
  for (const Sink& sink : sinks_)
    for (const auto& [name, bytes] : sink.store->content()) {
      all.update(name);
      all.update(bytes);
    }
  return mix64(all.digest() + world_.events());
}

void Simulation::count(const CenterProcess& center) {
  outcome_.fences += center.fences();
  outcome_.cuts += center.cuts();
}

// A sink that is away holds up no other, and an agent forgets nothing that it has not got. When it
// comes back, it gets all.
void Simulation::drain_beside_the_dead() {
  // A spool that was hurt or put back gives its account when all sinks are there; what was in a
  // lost one waits for the word of each.
  if (std::none_of(hosts_.begin(), hosts_.end(), [this](const auto& h) {
        return h->may_hold() || (!h->lost_spools.empty() && !plan_.optional);
      }))
    run_until(kCalmMs, "a dead sink holds up the other", [this] { return settled(); });
  for (const auto& host : hosts_)
    if (plan_.dead_from_start && !plan_.optional && !host->may_hold() && host->agent &&
        host->agent->anything_final())
      world_.violated(host->name + " takes for final what a sink that was never there has not got");
  sinks_[plan_.dead_sink].away_until_ms = 0;
  world_.say("CALM", "the dead sink is back");
}

void Simulation::judge_after_all() {
  for (Sink& sink : sinks_) {
    if (world_.trace)
      for (const auto& [name, bytes] : sink.store->content())
        world_.say("STORE", name + ", " + std::to_string(bytes.size()) + " bytes");
    if (!world_.violation.empty()) return;
    for (const Machine& machine : machines_) {
      const size_t at = static_cast<size_t>(&sink - sinks_.data());
      if (machine.center && machine.center->ended() && !machine.center->drained(at))
        sink.judge->over(machine.center->session(at));
    }
    sink.store->run_late();
    const testing::StoreFindings found = sink.audit();
    judge_lost(sink, found);
    sink.judge->look_at_all(*sink.store);
    outcome_.commits += found.commits;
    outcome_.splits += found.splits;
    if (!found.wrong.empty()) world_.violated(found.wrong);
  }
}

}  // namespace tailrace::sim
