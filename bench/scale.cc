// bench_scale: a cluster far larger than this machine, by the objects that ship: which Center gets
// which lane (center/placement.h), which lane is loud (center/loudness.h), what stands in ZooKeeper
// (discovery/member.h). No sockets and no bytes: hours of a steady load are counted.
// Prints docs/scale.md's figures as one JSON object. `./dev scale`.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "center/center.h"
#include "center/commit_log.h"
#include "center/incarnation.h"
#include "center/loudness.h"
#include "center/placement.h"
#include "discovery/member.h"

namespace tailrace::bench {
namespace {

struct Plan {
  size_t locals = 10'000;
  size_t centers = 100;
  size_t categories = 4'000;
  double zipf = 1;
  double bytes_s = 1ull << 30;  // compressed, of the whole cluster
  size_t streams_each = 10;     // categories of a Local
  uint64_t seed = 1;
  uint64_t target = SinkSettings{}.roll_bytes;
};
constexpr double kHourS = 3'600;
constexpr int kHoursADay = 24;
constexpr int kDaysAMonth = 30;
constexpr uint64_t kLoudFiles = 4;  // as center/hub_sink.cc

struct Stream {
  StreamKey key;
  double bytes_s = 0;
};
struct Part {  // a lane and what comes of it
  Lane lane;
  std::vector<Stream> streams;
  double bytes_s = 0;
};

struct Step {
  std::string what;
  size_t centers = 0, lanes = 0, moved = 0, needless = 0;
  double busiest = 0, moved_bytes_s = 0, sent_again = 0;
};

class Cluster {
 public:
  explicit Cluster(const Plan& plan) : plan_(plan), rng_(plan.seed) {
    for (size_t i = 0; i < plan.centers; ++i) centers_.push_back(rng_.next());
    std::vector<double> weights;
    double sum = 0;
    for (size_t k = 1; k <= plan.categories; ++k) {
      weights.push_back(std::pow(1.0 / static_cast<double>(k), plan.zipf));
      sum += weights.back();
    }
    for (size_t k = 0; k < plan.categories; ++k) {
      Part part{{"category-" + std::to_string(k), 1, 0}, {}, plan.bytes_s * weights[k] / sum};
      // A loud category is on many hosts: as many as its share of all streams, one at least.
      const double wished = static_cast<double>(plan.locals * plan.streams_each) * weights[k] / sum;
      const size_t hosts = std::clamp<size_t>(static_cast<size_t>(wished), 1, plan.locals);
      for (size_t i = 0; i < hosts; ++i)
        part.streams.push_back({{rng_.next() | 1, 0}, part.bytes_s / static_cast<double>(hosts)});
      parts_.push_back(std::move(part));
    }
    place();
  }

  // One interval of SplitPolicy: what stays loud is split.
  size_t split_loud() {
    const SplitPolicy policy{kLoudFiles * plan_.target};
    std::vector<Part> next;
    size_t split = 0;
    for (Part& part : parts_) {
      Loudness loudness(0);
      for (const Stream& s : part.streams)
        loudness.add(s.key, static_cast<uint64_t>(s.bytes_s * kHourS));
      if (part.lane.parts == kMostParts || !loudness.loud(policy, policy.each_ms)) {
        next.push_back(std::move(part));
        continue;
      }
      ++split;
      const auto parts = static_cast<uint8_t>(part.lane.parts * kSplitParts);
      std::map<uint8_t, Part> eight;
      for (unsigned i = 0; i < kSplitParts; ++i) {
        const auto number = static_cast<uint8_t>(part.lane.part * kSplitParts + i);
        eight[number].lane = {part.lane.category, parts, number};
      }
      for (const Stream& s : part.streams) {
        Part& into = eight[lane_of(part.lane.category, s.key, parts).part];
        into.streams.push_back(s);
        into.bytes_s += s.bytes_s;
      }
      for (auto& [number, of] : eight) next.push_back(std::move(of));
    }
    parts_ = std::move(next);
    claims_ += split * (1 + kSplitParts);
    place();
    return split;
  }

  // Other Centers from now on.
  Step move(const std::string& what, std::vector<uint64_t> centers) {
    const std::vector<uint64_t> before = owners_, old = centers_;
    // What is open of a category at a Center when a lane of it goes: half a file on average, or
    // what an hour gives. A file worth half the target is committed first
    // (Incarnation::begin_release).
    std::map<std::pair<uint64_t, std::string>, double> open;
    for (size_t i = 0; i < parts_.size(); ++i)
      open[{owners_[i], parts_[i].lane.category}] += parts_[i].bytes_s;
    centers_ = std::move(centers);
    place();
    Step step = look(what);
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (owners_[i] == before[i]) continue;
      const bool its_center_left = !has(centers_, before[i]), came = !has(old, owners_[i]);
      ++step.moved;
      step.needless += !its_center_left && !came;
      step.moved_bytes_s += parts_[i].bytes_s;
      const double rate = open[{before[i], parts_[i].lane.category}];
      const double fill = at_some_moment(rate);
      if (fill * 2 < static_cast<double>(plan_.target) && rate > 0)
        step.sent_again += fill * parts_[i].bytes_s / rate;
    }
    claims_ += step.moved * 2;  // NONE, and the next owner's
    return step;
  }

  [[nodiscard]] Step look(const std::string& what) const {
    std::map<uint64_t, double> load;
    for (const uint64_t center : centers_) load[center] = 0;
    for (size_t i = 0; i < parts_.size(); ++i) load[owners_[i]] += parts_[i].bytes_s;
    Step step{what, centers_.size(), parts_.size()};
    for (const auto& [center, bytes_s] : load) step.busiest = std::max(step.busiest, bytes_s);
    step.busiest /= plan_.bytes_s / static_cast<double>(centers_.size());
    return step;
  }

  // Each Center makes files of its own of a category: full ones, and one at the end of the hour.
  [[nodiscard]] uint64_t files_a_day() const {
    std::map<std::pair<uint64_t, std::string>, double> at;
    for (size_t i = 0; i < parts_.size(); ++i)
      at[{owners_[i], parts_[i].lane.category}] += parts_[i].bytes_s * kHourS;
    double files = 0;
    for (const auto& [where, bytes] : at)
      if (bytes > 0) files += std::ceil(bytes / static_cast<double>(plan_.target));
    return static_cast<uint64_t>(files) * kHoursADay;
  }
  [[nodiscard]] uint64_t fair_files_a_day() const {
    return static_cast<uint64_t>(
               std::ceil(plan_.bytes_s * kHourS * kHoursADay / static_cast<double>(plan_.target))) +
           plan_.categories * kHoursADay;
  }

  // After a month: files below the control directory. `entries_a_day`: of all Centers.
  struct Control {
    uint64_t claims = 0, tables = 0, entries = 0, manifests = 0, log_claims = 0, rest = 0,
             directories = 0;
    uint64_t tables_written = 0;  // one in place of another
    [[nodiscard]] uint64_t all() const {
      return claims + tables + entries + manifests + log_claims + rest + directories;
    }
  };
  [[nodiscard]] Control control(uint64_t entries_a_day) const {
    const IncarnationOptions options;
    const uint64_t n = centers_.size();
    const double entries_each =
        static_cast<double>(entries_a_day) / static_cast<double>(n) * kDaysAMonth;
    const auto by_entries =
        static_cast<uint64_t>(entries_each / static_cast<double>(options.reclaim_entries));
    const uint64_t by_time =
        kDaysAMonth * 86'400'000ull / static_cast<uint64_t>(options.reclaim_ms);
    const uint64_t reclaims = std::max(by_entries, by_time);
    Control c;
    c.claims = claims_;
    c.tables = parts_.size();
    c.tables_written = parts_.size() * reclaims;
    c.entries =
        n * (std::min<uint64_t>(static_cast<uint64_t>(entries_each), options.reclaim_entries) + 1);
    c.manifests = n * reclaims;
    c.log_claims = n * (1 + reclaims);
    c.rest = n;                                                // announcements
    c.directories = parts_.size() + plan_.categories + n * 2;  // lanes, logs, tmp
    return c;
  }

  [[nodiscard]] const std::vector<uint64_t>& centers() const { return centers_; }
  [[nodiscard]] uint64_t other_center() { return rng_.next(); }
  [[nodiscard]] size_t lanes() const { return parts_.size(); }

 private:
  void place() {
    owners_.clear();
    for (const Part& part : parts_) owners_.push_back(center_of(part.lane, centers_));
    if (claims_ == 0) claims_ = parts_.size();
  }
  static bool has(const std::vector<uint64_t>& all, uint64_t one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  }
  // Bytes of the open file at a moment that nobody chose.
  double at_some_moment(double bytes_s) {
    const double since = bytes_s * kHourS * static_cast<double>(rng_.next() >> 11) * 0x1.0p-53;
    return std::fmod(since, static_cast<double>(plan_.target));
  }

  Plan plan_;
  Rng rng_;
  std::vector<uint64_t> centers_;
  std::vector<Part> parts_;
  std::vector<uint64_t> owners_;  // of the parts
  uint64_t claims_ = 0;
};

// One node for each Center, as production writes it; no Local has one, nor a watch.
struct ZooKeeperUse {
  size_t bytes = 0, nodes = 0, watches = 0;
};
ZooKeeperUse zookeeper(size_t centers) {
  constexpr size_t kWatchesOfACenter = 3;  // its list, the operator's pause and drain
  ZooKeeperUse use;
  for (size_t i = 0; i < centers; ++i) {
    Member member;
    member.cluster = hex16(mix64(1));
    member.name = "center-" + std::to_string(i) + ".logs.example.com";
    member.address = member.name + ":7423";
    member.version = TAILRACE_VERSION;
    member.state_uuid = mix64(i);
    member.started_ms = 1'795'000'000'000;
    for (uint64_t sink = 1; sink <= 2; ++sink)
      member.incarnations[mix64(sink)] = "1795000000000-" + hex16(mix64(i + sink));
    const auto value = member.encode();
    if (!value) std::exit(1);
    use.bytes += value->size() + member_node_name(member.name, mix64(i)).size();
  }
  use.nodes = centers + 4;  // root, centers, drain, pause
  use.watches = centers * kWatchesOfACenter;
  return use;
}

void print(const Step& s, bool last) {
  std::printf(
      "    {\"step\": \"%s\", \"centers\": %zu, \"lanes\": %zu, \"busiest\": %.2f, "
      "\"moved\": %zu, \"needless\": %zu, \"moved_mib_s\": %.1f, \"sent_again_mib\": %.0f}%s\n",
      s.what.c_str(), s.centers, s.lanes, s.busiest, s.moved, s.needless,
      s.moved_bytes_s / (1 << 20), s.sent_again / (1 << 20), last ? "" : ",");
}

std::vector<Step> grow_and_shrink(Cluster& of) {
  std::vector<Step> steps{of.look("as it starts: whole categories")};
  while (of.split_loud() > 0) steps.push_back(of.look("loud lanes split once more"));
  std::vector<uint64_t> centers = of.centers();
  centers.push_back(of.other_center());
  steps.push_back(of.move("one Center added", centers));
  centers.erase(centers.begin());
  steps.push_back(of.move("one Center removed", centers));
  centers.front() = of.other_center();
  steps.push_back(of.move("one Center replaced", centers));
  return steps;
}

std::vector<Step> eight_twelve_six(Plan plan) {
  plan.centers = 8;
  plan.bytes_s /= 12.5;  // as much for each Center as with 100
  Cluster of(plan);
  while (of.split_loud() > 0) {
  }
  std::vector<uint64_t> centers = of.centers();
  std::vector<Step> steps{of.look("8 Centers")};
  while (centers.size() < 12) centers.push_back(of.other_center());
  steps.push_back(of.move("8 to 12", centers));
  centers.resize(6);
  steps.push_back(of.move("12 to 6", centers));
  return steps;
}

Plan parse(int argc, char** argv) {
  Plan plan;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--locals")
      plan.locals = std::strtoull(value, nullptr, 10);
    else if (name == "--centers")
      plan.centers = std::strtoull(value, nullptr, 10);
    else if (name == "--categories")
      plan.categories = std::strtoull(value, nullptr, 10);
    else if (name == "--mib-s")
      plan.bytes_s = std::strtod(value, nullptr) * (1 << 20);
    else if (name == "--zipf")
      plan.zipf = std::strtod(value, nullptr);
    else if (name == "--seed")
      plan.seed = std::strtoull(value, nullptr, 10);
    else
      std::exit(2);
  }
  return plan;
}

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  using namespace tailrace::bench;
  const Plan plan = parse(argc, argv);
  Cluster cluster(plan);
  const std::vector<Step> steps = grow_and_shrink(cluster);
  std::printf(
      "{\"locals\": %zu, \"centers\": %zu, \"categories\": %zu, \"zipf\": %.2f, "
      "\"mib_s\": %.0f, \"seed\": %llu,\n  \"steps\": [\n",
      plan.locals, plan.centers, plan.categories, plan.zipf, plan.bytes_s / (1 << 20),
      static_cast<unsigned long long>(plan.seed));
  for (const Step& step : steps) print(step, &step == &steps.back());
  std::printf("  ],\n  \"small_steps\": [\n");
  const std::vector<Step> small = eight_twelve_six(plan);
  for (const Step& step : small) print(step, &step == &small.back());
  const uint64_t files = cluster.files_a_day(), fair = cluster.fair_files_a_day();
  const auto control = cluster.control(files);
  const ZooKeeperUse zoo = zookeeper(plan.centers);
  std::printf(
      "  ],\n  \"files_a_day\": %llu, \"fair_files_a_day\": %llu,\n"
      "  \"control\": {\"claims\": %llu, \"tables\": %llu, \"tables_written\": %llu, "
      "\"entries\": %llu, \"manifests\": %llu, "
      "\"log_claims\": %llu, \"announcements\": %llu, \"directories\": %llu, \"all\": %llu},\n"
      "  \"zookeeper\": {\"bytes\": %zu, \"nodes\": %zu, \"watches\": %zu, "
      "\"watches_of_locals\": 0}}\n",
      static_cast<unsigned long long>(files), static_cast<unsigned long long>(fair),
      static_cast<unsigned long long>(control.claims),
      static_cast<unsigned long long>(control.tables),
      static_cast<unsigned long long>(control.tables_written),
      static_cast<unsigned long long>(control.entries),
      static_cast<unsigned long long>(control.manifests),
      static_cast<unsigned long long>(control.log_claims),
      static_cast<unsigned long long>(control.rest),
      static_cast<unsigned long long>(control.directories),
      static_cast<unsigned long long>(control.all()), zoo.bytes, zoo.nodes, zoo.watches);
  return 0;
}
