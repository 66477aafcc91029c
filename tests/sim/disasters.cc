// What goes wrong in a run, and what becomes of it. Thread: one.
#include <algorithm>

#include "tests/sim/simulation.h"

namespace tailrace::sim {

namespace {
constexpr uint64_t kSectorBytes = 512;
constexpr int64_t kNoticedMs = 12'000;

bool has_spool(const test::SpoolImage& image) {
  return std::any_of(image.content.begin(), image.content.end(),
                     [](const auto& file) { return file.first.ends_with(".seg"); });
}

// The segment that is written to, or any file where there is none.
std::map<std::string, std::string>::iterator newest_segment(
    std::map<std::string, std::string>& files) {
  for (auto file = files.end(); file != files.begin();)
    if ((--file)->first.ends_with(".seg")) return file;
  return files.begin();
}
}  // namespace

// What will be put back is copied when it is as old as that.
void Simulation::plan_disasters() {
  using Kind = Disaster::Kind;
  for (const Disaster& d : plan_.disasters) {
    for (Sink& sink : sinks_) {
      sink.judge->told_of_batches = sink.judge->told_of_batches || d.kind == Kind::lose_host;
      if (d.kind == Kind::cut_store) sink.store->may_lose_power();
    }
    if (d.kind == Kind::restore_spool || d.kind == Kind::restore_host)
      world_.after(std::max<int64_t>(0, d.at_ms - d.ms), [this, d] {
        Host& host = *hosts_[d.who % hosts_.size()];
        Backup& backup = host.backups[d.at_ms];
        backup.spool = host.disk.cached();
        backup.local_id = host.local_id;
        backup.journal = host.journal;
        for (const LogFile& log : host.logs) backup.log_bytes.push_back(log.bytes.size());
      });
    world_.after(d.at_ms, [this, d] { strike(d); });
  }
}

void Simulation::stop_host(Host& host, bool silently) {
  kill(host.agent, silently);
  kill(host.local, silently);
}

void Simulation::start_host_in(Host& host, int64_t ms) {
  world_.after(ms, [this, h = &host] {
    start_local(*h);
    start_agent(*h);
  });
}

void Simulation::power_cut(Host& host) {
  stop_host(host, true);
  AgentProcess::Storage& journal = host.journal;
  const size_t unsynced = journal.journal.size() - journal.synced;
  journal.journal.resize(journal.synced + world_.rng.below(unsynced + 1));
  host.journal_torn = host.journal_torn || unsynced > 0;
  std::vector<test::SpoolImage> left;
  host.disk.after_power_cut(kSectorBytes, 4, world_.rng,
                            [&left](const test::SpoolImage& image) { left.push_back(image); });
  if (!left.empty()) host.disk = test::VirtualDisk(left[world_.rng.below(left.size())]);
}

// The machine that has the stores and all Centers: what an answer did not promise may be gone, and
// nobody is told.
void Simulation::power_cut_of_stores(int64_t ms) {
  const bool silently = world_.rng.chance(0.5);
  for (Machine& machine : machines_) kill(machine, silently);
  for (Sink& sink : sinks_) {
    sink.store->power_cut(world_.rng);
    sink.judge->look_again(*sink.store);
  }
  for (Machine& machine : machines_)
    world_.after(ms + static_cast<int64_t>(world_.rng.below(2'000)),
                 [this, &machine] { start_center(machine); });
}

// Whether the journal lacks lines that only the spool knows. Then the spool loses nothing (nor does
// the journal, at the moment when that does: docs/protocol.md, "What is not covered").
bool Simulation::journal_torn(Host& host) {
  const bool whole = host.agent && host.agent->session().placed() && host.agent->all_final();
  host.journal_torn = host.journal_torn && !whole;
  if (!host.journal_torn) host.journal.synced = host.journal.journal.size();
  return host.journal_torn;
}

// What is put back to before it would not know of it.
void Simulation::lose_spool(Host& host, int64_t ms, bool back) {
  if (journal_torn(host) || (back && host.lost_spools.empty())) return;
  if (host.gone || host.may_hold() || !host.backups.empty()) return;
  kill(host.local, false);
  test::VirtualDisk next;
  if (back) {
    const size_t which = world_.rng.below(host.lost_spools.size());
    next = host.lost_spools[which];
    host.lost_spools.erase(host.lost_spools.begin() + static_cast<std::ptrdiff_t>(which));
  }
  host.lost_spools.push_back(std::exchange(host.disk, next));
  world_.after(ms, [this, h = &host] { start_local(*h); });
  // Until its agent says that it was given up, such a Local sends what it has.
  if (!back || world_.rng.chance(0.5)) return;
  kill(host.agent, false);
  const auto late_ms = static_cast<int64_t>(world_.rng.below(20'000));
  world_.after(ms + late_ms, [this, h = &host] { start_agent(*h); });
}

// The last copy of what no Center has is gone with it. A Center that gives lanes away just then
// cannot know yet; what it holds once it does, it owes.
void Simulation::lose(Host& host) {
  stop_host(host, world_.rng.chance(0.5));
  host.gone = true;
  for (Sink& sink : sinks_) sink.judge->excuse_host(host.name);
  if (host.hurt) return;  // a GAP is held until it is committed, and was never sent as lines
  world_.after(kNoticedMs, [this, h = &host] {
    for (const Machine& machine : machines_) {
      if (!machine.center || machine.center->ended() || machine.ill) continue;
      for (size_t c = 0; c < plan_.categories; ++c)
        for (size_t at = 0; at < sinks_.size(); ++at) {
          // At Kafka a lane is lost alone: which lines it had been given before nobody counts here.
          if (sinks_[at].topics || sinks_[at].optional) continue;  // nor gaps
          const std::string category = category_name(c);
          const uint64_t held = machine.center->held(at, category, {h->local_id, 0});
          if (held > 0)
            sinks_[at].judge->owes(machine.center->session(at), h->name, category, held);
        }
    }
  });
}

void Simulation::restore(Host& host, const Disaster& d) {
  const Backup backup = std::move(host.backups[d.at_ms]);
  if (!has_spool(backup.spool)) return;  // it would be a new one: nobody could know
  // What another spool published meanwhile nothing that is put back would know.
  if (d.kind == Disaster::Kind::restore_host && backup.local_id != host.local_id) return;
  stop_host(host, world_.rng.chance(0.5));
  host.put_back = true;
  host.disk = test::VirtualDisk(backup.spool);
  if (d.kind == Disaster::Kind::restore_spool) return;
  host.backups.clear();  // of log files that are no more
  host.journal = backup.journal;
  host.journal.synced = host.journal.journal.size();
  for (size_t i = 0; i < host.logs.size(); ++i) {
    std::string& bytes = host.logs[i].bytes;
    for (size_t at = backup.log_bytes[i]; at < bytes.size(); at = bytes.find('\n', at) + 1)
      for (Sink& sink : sinks_)
        sink.judge->excuse_line(bytes.substr(at, bytes.find('\n', at) - at));
    bytes.resize(std::min(bytes.size(), backup.log_bytes[i]));
  }
}

// The last group may well look as if it had never been synced.
void Simulation::flip_bits(Host& host) {
  if (journal_torn(host)) return;
  stop_host(host, world_.rng.chance(0.5));
  host.hurt = true;
  test::SpoolImage image = host.disk.cached();
  if (image.content.empty()) return;
  for (uint64_t n = 1 + world_.rng.below(5); n > 0; --n) {
    auto file = std::next(image.content.begin(),
                          static_cast<std::ptrdiff_t>(world_.rng.below(image.content.size())));
    if (world_.rng.chance(0.5)) file = newest_segment(image.content);
    std::string& bytes = file->second;
    if (bytes.empty()) continue;
    // Most of a file is empty: rather where something stands.
    size_t at = world_.rng.below(bytes.size());
    for (int tries = 0; bytes[at] == 0 && tries < 20; ++tries) at = world_.rng.below(bytes.size());
    char& hurt = bytes[at];
    hurt = static_cast<char>(hurt ^ (1 << world_.rng.below(8)));
  }
  host.disk = test::VirtualDisk(image);
}

// What both have of before is the same; what each writes from then on is its own. One of them holds
// at the latest where their lines differ.
void Simulation::clone(Host& host, int64_t ms) {
  const test::SpoolImage spool = host.disk.cached();
  if (host.gone || host.may_hold() || !host.lost_spools.empty() || !has_spool(spool)) return;
  auto twin = std::make_unique<Host>();
  twin->name = host.name + "-twin";
  twin->logs = host.logs;
  for (LogFile& log : twin->logs) log.source = twin->name + log.source.substr(host.name.size());
  twin->journal = host.journal;
  twin->journal.synced = twin->journal.journal.size();
  twin->disk = test::VirtualDisk(spool);
  twin->seeds = host.seeds;
  twin->clock_ms = host.clock_ms;
  twin->local_id = host.local_id;
  twin->cloned = host.cloned = true;
  if (host.agent) host.agent->may_hold = true;
  if (host.local) host.local->may_hold = true;
  start_host_in(*twin, ms);
  hosts_.push_back(std::move(twin));
  for (uint64_t n = world_.rng.below(20); n > 0; --n)
    write_some(*hosts_.back(), ms + static_cast<int64_t>(world_.rng.below(20'000)));
}

void Simulation::strike(const Disaster& d) {
  if (calm_) return;
  world_.say("DISASTER", std::string(name_of(d.kind)) + " " + std::to_string(d.who) + ", " +
                             std::to_string(d.ms) + " ms");
  if (strike_by_hand(d)) return;
  strike(d, *hosts_[d.who % hosts_.size()]);
  strike(d, machines_[d.who / hosts_.size() % machines_.size()]);
}

void Simulation::strike(const Disaster& d, Host& host) {
  using Kind = Disaster::Kind;
  using Fault = test::VirtualDisk::Fault;
  const auto fail_disk = [&host, this](Fault::Kind kind) {
    host.disk.set_fault({kind, host.disk.ops_done() + 1 + world_.rng.below(10)});
  };
  switch (d.kind) {
    case Kind::kill_agent:
      kill(host.agent, false);
      return world_.after(d.ms, [this, h = &host] { start_agent(*h); });
    case Kind::kill_local:
      kill(host.local, false);
      return world_.after(d.ms, [this, h = &host] { start_local(*h); });
    case Kind::power_cut: power_cut(host); return start_host_in(host, d.ms);
    case Kind::lose_spool: return lose_spool(host, d.ms, false);
    case Kind::spool_back: return lose_spool(host, d.ms, true);
    case Kind::disk_error:
      return fail_disk(world_.rng.chance(0.5) ? Fault::Kind::error : Fault::Kind::short_write);
    case Kind::disk_full: return fail_disk(Fault::Kind::no_space);
    case Kind::cut_agent:
      if (const auto wire = host.agent_wire.lock()) wire->cut("connection reset");
      return;
    case Kind::clock_host:
      host.clock_ms = d.ms;
      if (host.agent) host.agent->clock_ms = d.ms;
      if (host.local) host.local->clock_ms = d.ms;
      return;
    case Kind::lose_host:
      if (!host.gone && !host.cloned) lose(host);
      return;
    case Kind::restore_spool:
    case Kind::restore_host:
      if (host.gone) return;
      restore(host, d);
      return start_host_in(host, d.ms);
    case Kind::flip_bits:
      if (host.gone || host.cloned) return;  // what it says is lost its twin may have
      flip_bits(host);
      return start_host_in(host, d.ms);
    case Kind::clone_host: return clone(host, d.ms);
    case Kind::flush:
      if (host.agent) host.agent->flush();
      return;
    case Kind::block:
      sinks_[d.who / plan_.categories % sinks_.size()]
          .blocked_until_ms[category_name(d.who % plan_.categories)] = world_.now_ms + d.ms;
      return;
    case Kind::sink_away: {
      int64_t& until_ms = sinks_[d.who % sinks_.size()].away_until_ms;
      until_ms = std::max(until_ms, world_.now_ms + d.ms);
      return;
    }
    default: return;
  }
}

void Simulation::strike(const Disaster& d, Machine& machine) {
  using Kind = Disaster::Kind;
  Host& host = *hosts_[d.who % hosts_.size()];
  switch (d.kind) {
    case Kind::kill_center:
      kill(machine);
      return world_.after(d.ms, [this, &machine] { start_center(machine); });
    case Kind::cut_store: return power_cut_of_stores(d.ms);
    case Kind::pause_center:
      if (machine.center) machine.center->stop_for(d.ms);
      return;
    case Kind::leave_center:
      if (machine.center) machine.center->leave_in_time();
      return;
    case Kind::cut_off:
      // From all of them, or from one.
      if (machine.center && d.who % 3 == 0) return cut_off(machine, d.ms);
      if (machine.center) machine.center->cut_off_for(d.who % sinks_.size(), d.ms);
      return;
    case Kind::clock_center:
      machine.clock_ms = d.ms;
      if (machine.center) machine.center->clock_ms = d.ms;
      return;
    case Kind::cut_local:
      if (const auto wire = host.center_wires[machine.name].lock()) wire->cut("connection reset");
      return;
    case Kind::half_open:
      if (const auto wire = host.center_wires[machine.name].lock()) wire->swallow();
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
    default: return;
  }
}

}  // namespace tailrace::sim
