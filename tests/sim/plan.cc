#include "tests/sim/plan.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tailrace::sim {

namespace {
// Seldom nothing, mostly little, now and then much.
double rate(Rng& rng, double most) {
  const uint64_t kind = rng.below(4);
  if (kind == 0) return 0;
  const double part = static_cast<double>(1 + rng.below(100)) / 100;
  return most * (kind == 3 ? part : part / 5);
}

int64_t duration_of(Disaster::Kind kind, Rng& rng) {
  using Kind = Disaster::Kind;
  switch (kind) {
    case Kind::pause_center:
    case Kind::cut_off:
    case Kind::block:
    case Kind::no_way:
    case Kind::spoil_record:
    case Kind::move_log:
    case Kind::sink_away:
      return 200 + static_cast<int64_t>(rng.below(rng.chance(0.3) ? 60'000 : 8'000));
    case Kind::kill_center:
    case Kind::cut_store:
    case Kind::leave_center: return 100 + static_cast<int64_t>(rng.below(20'000));
    case Kind::clock_host:
    case Kind::clock_center:
      return (rng.chance(0.5) ? 1 : -1) * static_cast<int64_t>(rng.below(3'600'000));
    case Kind::restore_spool:
    case Kind::restore_host: return static_cast<int64_t>(rng.below(20'000));
    default: return 50 + static_cast<int64_t>(rng.below(5'000));
  }
}

uint64_t most_of(Disaster::Kind kind, Rng& rng) {
  using Kind = Disaster::Kind;
  switch (kind) {
    // A host that may hold proves little else, and so does one that is gone.
    case Kind::restore_spool:
    case Kind::restore_host:
    case Kind::clone_host: return rng.chance(0.05) ? 1 : 0;
    case Kind::flip_bits: return rng.chance(0.1) ? 1 : 0;
    case Kind::lose_host: return rng.chance(0.2) ? 1 : 0;
    case Kind::cut_store: return rng.chance(0.15) ? 1 + rng.below(3) : 0;
    case Kind::spoil_record:
    case Kind::move_log:
    case Kind::take_published: return rng.chance(0.08) ? 1 + rng.below(4) : 0;
    case Kind::take_staged: return rng.chance(0.08) ? 1 + rng.below(6) : 0;
    default: return rng.chance(0.5) ? rng.below(rng.chance(0.3) ? 30 : 6) : 0;
  }
}

// Lanes that are loud soon, and files that stay open while lanes come and go.
void draw_split(Rng& rng, Plan& plan) {
  if (rng.chance(0.6)) return;
  plan.settings = plan.settings && rng.chance(0.3);
  plan.hosts = static_cast<uint32_t>(4 + rng.below(7));
  plan.categories = rng.chance(0.8) ? 1 : 2;
  plan.files = 1;
  plan.lines += static_cast<uint32_t>(rng.below(1'000));
  plan.until_ms += 30'000;
  plan.split.bytes = plan.split.sequence_bytes = 10 + rng.below(200);
  plan.split.each_ms = 300 + static_cast<int64_t>(rng.below(3'000));
  plan.takeover_after_ms = 3'000 + static_cast<int64_t>(rng.below(9'000));
  if (rng.chance(0.6)) {
    plan.roll_bytes += rng.below(3'000);
    plan.roll_age_ms = 20'000 + static_cast<int64_t>(rng.below(40'000));
    plan.roll_idle_ms = -1;
  }
  if (rng.chance(0.5)) plan.codec = Codec::gzip;
  // Each that leaves and comes back has lanes given to it again; before that a host may be lost.
  const auto draw = [&](Disaster::Kind kind, int64_t at_ms) {
    Disaster d;
    d.kind = kind;
    d.at_ms = at_ms;
    d.who = static_cast<uint32_t>(rng.below(60));
    plan.disasters.push_back(d);
  };
  const auto some = [&rng](int64_t below) {
    return static_cast<int64_t>(rng.below(static_cast<uint64_t>(below)));
  };
  for (uint64_t leaves = rng.below(12); leaves > 0; --leaves) {
    const int64_t at_ms = some(plan.until_ms);
    draw(Disaster::Kind::leave_center, at_ms);
    if (rng.chance(0.25))
      draw(Disaster::Kind::lose_host, std::max<int64_t>(0, at_ms - 15'000 + some(18'000)));
  }
}

struct RarePoint {
  const char* name;
  double chance;
};
constexpr std::array<RarePoint, kRarePoints> kRare = {{
#define TAILRACE_RARE_POINT(name, chance, text) {#name, chance},
    TAILRACE_RARE_LIST(TAILRACE_RARE_POINT)
#undef TAILRACE_RARE_POINT
}};

// One seed in four has none; else each is there in one of four.
void draw_rare(Rng& rng, Plan& plan) {
  if (rng.chance(0.25)) return;
  for (size_t point = 0; point < kRarePoints; ++point)
    if (rng.chance(0.25)) plan.rare[point] = kRare[point].chance;
  // Half of what each segment could hold is left empty: what waits for a dead sink needs the room.
  if (plan.dead_sink >= 0) plan.rare[static_cast<size_t>(Rare::segment_early)] = 0;
}
}  // namespace

const char* name_of_rare(size_t point) { return kRare[point].name; }

const char* name_of(Disaster::Kind kind) {
  static constexpr const char* kNames[Disaster::kKinds] = {
      "kill agent",   "kill Local",    "kill Center",     "pause Center",
      "leave Center", "power cut",     "disk error",      "disk full",
      "cut agent",    "cut Local",     "half open",       "cut off Center",
      "block",        "clock of host", "clock of Center", "no way to Center",
      "lose host",    "restore spool", "restore host",    "flip bits",
      "flush",        "lose spool",    "spool back",      "sink away",
      "clone host",   "cut store",     "spoil record",    "move log",
      "take staged",  "take published"};
  return kNames[static_cast<size_t>(kind)];
}

Plan draw_plan(uint64_t seed) {
  Rng rng(mix64(seed));
  Plan plan;
  plan.seed = rng.next();
  plan.hosts = static_cast<uint32_t>(1 + rng.below(4));
  plan.categories = static_cast<uint32_t>(1 + rng.below(3));
  plan.centers = static_cast<uint32_t>(2 + rng.below(4));
  plan.files = static_cast<uint32_t>(1 + rng.below(2));
  plan.lines = static_cast<uint32_t>(200 + rng.below(800));
  plan.until_ms = 10'000 + static_cast<int64_t>(rng.below(80'000));
  plan.core = rng.chance(0.5);
  plan.settings = rng.chance(0.3);
  plan.roll_bytes = 200 + rng.below(2'000);
  plan.reclaim_entries = 2 + rng.below(30);
  plan.faults.call_lost = rate(rng, 0.2);
  plan.faults.answer_lost = rate(rng, 0.2);
  plan.faults.call_late = rate(rng, 0.2);
  plan.faults.slow = rate(rng, 0.2);
  plan.faults.store_trouble = rate(rng, 0.2);
  draw_split(rng, plan);
  if (rng.chance(0.4)) {
    plan.sinks = 2;
    plan.kafka = rng.chance(0.6);
    plan.faults.second_trouble = rate(rng, 0.2);
    plan.optional = rng.chance(0.3);
    if (plan.optional) {
      plan.lines += static_cast<uint32_t>(500 + rng.below(1'500));
      if (rng.chance(0.5)) plan.dead_sink = 1;
    } else if (plan.lines < 250 * plan.hosts && rng.chance(0.7)) {
      // Until a spool is full a dead sink holds nobody up: these have room for all.
      plan.dead_sink = static_cast<int>(rng.below(2));
    }
    plan.dead_from_start = plan.dead_sink >= 0 && rng.chance(0.5);
  }
  // Some kinds of disaster, each as often as it pleases.
  for (int kind = 0; kind < Disaster::kKinds; ++kind) {
    const uint64_t most = most_of(static_cast<Disaster::Kind>(kind), rng);
    for (uint64_t i = 0; i < most; ++i) {
      Disaster d;
      d.kind = static_cast<Disaster::Kind>(kind);
      d.at_ms = static_cast<int64_t>(rng.below(static_cast<uint64_t>(plan.until_ms)));
      d.who = static_cast<uint32_t>(rng.below(60));
      d.ms = duration_of(d.kind, rng);
      plan.disasters.push_back(d);
    }
  }
  if (rng.chance(0.4)) plan.faults.wrong_view = rate(rng, 0.05);
  draw_rare(rng, plan);
  if (rng.chance(0.2)) plan.format = FileFormat::sequence;
  if (plan.core && plan.categories > 1 && plan.dead_sink < 0 && !plan.optional && rng.chance(0.4))
    plan.blocked = static_cast<int>(rng.below(plan.categories));
  plan.leaves = plan.dead_sink < 0 && !plan.core && rng.chance(0.4);
  std::stable_sort(plan.disasters.begin(), plan.disasters.end(),
                   [](const Disaster& a, const Disaster& b) { return a.at_ms < b.at_ms; });
  return plan;
}

std::string Plan::text() const {
  char line[500];
  std::snprintf(
      line, sizeof line,
      "%u hosts, %u categories with %u files each, %u Centers%s, %u sinks%s%s%s; %u lines "
      "until %.3f s, files of %llu bytes%s, split above %llu in %lld ms; calls lost %.3f, "
      "late %.3f, answers lost %.3f, slow %.3f, store trouble %.3f and %.3f, "
      "wrong views %.4f; %zu "
      "disasters%s\n",
      hosts, categories, files, centers, core ? " of which some stay ill" : "", sinks,
      kafka ? " (Kafka is one)" : "", optional ? " (one is not required)" : "",
      dead_sink < 0     ? ""
      : dead_from_start ? " of which one is away"
                        : " of which one goes",
      lines, static_cast<double>(until_ms) / 1000, static_cast<unsigned long long>(roll_bytes),
      format == FileFormat::sequence ? " (SequenceFiles)" : "",
      static_cast<unsigned long long>(split.bytes), static_cast<long long>(split.each_ms),
      faults.call_lost, faults.call_late, faults.answer_lost, faults.slow, faults.store_trouble,
      faults.second_trouble, faults.wrong_view, disasters.size(),
      blocked < 0 ? ""
                  : ("; " + category_name(static_cast<size_t>(blocked)) + " is blocked").c_str());
  std::string out = line;
  for (size_t point = 0; point < kRarePoints; ++point)
    if (rare[point] > 0) out += std::string("  ") + name_of_rare(point) + "\n";
  for (const Disaster& d : disasters) {
    std::snprintf(line, sizeof line, "  %9.3f %s %u, %lld ms\n",
                  static_cast<double>(d.at_ms) / 1000, name_of(d.kind), d.who,
                  static_cast<long long>(d.ms));
    out += line;
  }
  return out;
}

}  // namespace tailrace::sim
