// A person's hand in a store: records spoilt, logs moved, files taken away; and what may be missing
// because of that. Thread: one.
#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"
#include "center/names.h"
#include "tests/sim/simulation.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kLookMs = 1'000;

// Another cluster's or sink's record under this name: whole, but for whose it is.
void give_away(std::string& record, uint64_t of) {
  std::string id;
  ByteWriter(id).u64(of);
  if (const size_t at = record.find(id); at != std::string::npos) record[at] ^= 1;
}

std::string spoilt(std::string record, const SinkIdentity& sink, Rng& rng) {
  constexpr size_t kVersionAt = 4, kCrcBytes = 4;
  if (record.size() <= kVersionAt + kCrcBytes) return "spoilt";
  const uint64_t how = rng.below(5);
  if (how == 0) return std::string(record.size(), '\0');
  if (how == 1) return record.substr(0, rng.below(record.size()));
  if (how == 2) {
    record[rng.below(record.size())] ^= static_cast<char>(1 << rng.below(8));
    return record;
  }
  if (how == 3)
    record[kVersionAt] = static_cast<char>(record[kVersionAt] + 1);  // a later version's
  else
    give_away(record, rng.chance(0.5) ? sink.cluster : sink.sink);
  const uint32_t crc = crc32c(std::string_view(record).substr(0, record.size() - kCrcBytes));
  std::string seal;
  ByteWriter(seal).u32(crc);
  return record.replace(record.size() - kCrcBytes, kCrcBytes, seal);
}

// One of those for which `wanted` is true; empty: none is.
std::string any_of_paths(const std::map<std::string, std::string>& content, Rng& rng,
                         const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> found;
  for (const auto& [path, bytes] : content)
    if (wanted(path)) found.push_back(path);
  return found.empty() ? std::string() : found[rng.below(found.size())];
}
}  // namespace

testing::StoreFindings Simulation::Sink::audit() const {
  if (topics) return topics->audit();
  std::set<std::string> gone;
  for (const auto& [path, bytes] : taken) gone.insert(path);
  return testing::audit_store(store->content(), base(), gone, origins);
}

bool Simulation::strike_by_hand(const Disaster& d) {
  using Kind = Disaster::Kind;
  Sink& sink = sinks_[d.who % sinks_.size()];
  switch (d.kind) {
    case Kind::spoil_record: spoil_record(sink, d.ms); return true;
    case Kind::move_log: move_log(sink, d.ms); return true;
    case Kind::take_staged: take(sink, true); return true;
    case Kind::take_published: take(sink, false); return true;
    default: return false;
  }
}

// Nobody may take what he cannot read, nor pass over it.
void Simulation::spoil_record(Sink& sink, int64_t ms) {
  const auto content = sink.store->content();
  const std::string path = any_of_paths(content, world_.rng, [&](const std::string& p) {
    const bool record = p.starts_with(sink.base() + "/logs/") ||
                        p.starts_with(sink.base() + "/lanes/") ||
                        p.starts_with(sink.base() + "/live/");
    return record && !sink.aside.contains(p);
  });
  if (path.empty()) return;
  const std::string& bytes = content.at(path);
  std::string instead = spoilt(bytes, sink.identity, world_.rng);
  if (instead == bytes) return;
  world_.say("HAND", "spoils " + path);
  sink.store->put(path, instead);
  sink.aside[path] = {bytes, std::move(instead), world_.now_ms + ms};
  put_back_in(sink, path, ms);
}

// Whoever's it is, he is FENCED; nobody makes it again.
void Simulation::move_log(Sink& sink, int64_t ms) {
  const auto content = sink.store->content();
  const std::string logs = sink.base() + "/logs/";
  const std::string any = any_of_paths(content, world_.rng, [&](const std::string& p) {
    return p.starts_with(logs) && !sink.aside.contains(p);
  });
  if (any.empty()) return;
  const std::string log = any.substr(0, any.find('/', logs.size()));
  world_.say("HAND", "moves " + log);
  for (const auto& host : hosts_) {
    host->log_moved = true;
    if (host->agent) host->agent->may_hold = true;
    if (host->local) host->local->may_hold = true;
  }
  for (const auto& [path, bytes] : content) {
    if (!path.starts_with(log + "/")) continue;
    if (sink.aside.contains(path)) put_back(sink, path);
    sink.aside[path] = {*sink.store->bytes_of(path), std::nullopt, world_.now_ms + ms};
    put_back_in(sink, path, ms);
  }
  sink.store->erase(log);
}

void Simulation::put_back_in(Sink& sink, const std::string& path, int64_t ms) {
  world_.after(ms, [this, &sink, path] {
    const auto aside = sink.aside.find(path);
    if (aside != sink.aside.end() && aside->second.until_ms <= world_.now_ms) put_back(sink, path);
  });
}

void Simulation::put_back(Sink& sink, const std::string& path) {
  const auto aside = sink.aside.extract(path);
  if (aside.empty()) return;
  const auto stands = sink.store->bytes_of(path);
  const auto& [bytes, instead, until_ms] = aside.mapped();
  world_.say("HAND", "puts back " + path);
  if (!instead && stands) return world_.violated("a log's directory was made again: " + path);
  // Its owner may have removed it meanwhile.
  if (!instead || (stands && *stands == *instead)) sink.store->put(path, bytes);
}

void Simulation::take(Sink& sink, bool staged) {
  const auto content = sink.store->content();
  const std::string path = any_of_paths(content, world_.rng, [&](const std::string& p) {
    return staged ? p.find("/_stage/") != std::string::npos : parse_final_path(p).has_value();
  });
  if (path.empty()) return;
  world_.say("HAND", "takes " + path);
  if (!staged) sink.judge->look(*sink.store, path);
  sink.store->erase(path);
  sink.taken[path] = content.at(path);
  if (!staged) sink.judge->taken(path);
}

// --- what is missing because of that -------------------------------------------------------------

void Simulation::said_lost(const std::string& path) {
  for (Sink& sink : sinks_)
    if (sink.judge->knows(path) && !sink.taken.contains(path))
      world_.violated("LOST is said of " + path + ", which was published");
  for (Sink& sink : sinks_) sink.said_lost.insert(path);
}

// The lines of a committed file that was taken while it was staged, once somebody has said so.
void Simulation::settle_lost() {
  if (world_.now_ms < next_lost_ms_) return;
  next_lost_ms_ = world_.now_ms + kLookMs;
  for (Sink& sink : sinks_) {
    if (sink.taken.empty() || sink.said_lost.empty()) continue;
    for (const auto& [path, stage] : sink.audit().lost)
      if (sink.said_lost.contains(path)) sink.judge->lost(path, sink.taken.at(stage));
  }
}

// Nobody can know before the log is finished, which may be after the last Center has stopped.
void Simulation::judge_lost(const Sink& sink, const testing::StoreFindings& found) {
  const auto finished = [&sink](const std::string& stage) {  // CATEGORY/_stage/INCARNATION/...
    const size_t at = stage.find("/_stage/") + 8;
    const std::string log = stage.substr(at, stage.find('/', at) - at);
    return !sink.store->bytes_of(sink.base() + "/live/" + log);
  };
  for (const auto& [path, stage] : found.lost) {
    if (!sink.said_lost.contains(path) && finished(stage))
      world_.violated("nobody said that " + path + " is lost, whose staged file was taken away");
    else if (sink.taken.contains(stage))
      sink.judge->lost(path, sink.taken.at(stage));
  }
}

}  // namespace tailrace::sim
