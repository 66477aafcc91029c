// The simulation's command line: ./dev sim.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "base/random.h"
#include "tests/sim/run.h"

namespace {

using namespace tailrace;
using namespace tailrace::sim;

constexpr const char* kUsage =
    R"(Runs the agent's, the Local's and the Center's machines in a simulated cluster: one seed, one run.

  ./dev sim --seeds N [--first K] [--jobs J]    runs N seeds (fresh ones without --first)
  ./dev sim --seeds N --points                  the same, and how often each point of base/buggify.h
                                                fired; 1 if one never did
  ./dev sim --seed K [--trace] [--shrink]       runs one; tells what happens; looks for less that fails
  ./dev sim --mutants [--only NAME] [--times T] [--most M]
                                                plants each deliberate mistake, and says how many
                                                fresh seeds it took to notice, the median of T times
  ./dev sim --mutants --medians FILE            those whose median FILE says is below 300, each
                                                within ten times as many seeds

Exit 0: nothing is wrong, every mistake was noticed. 1: something is, or one was not.
)";

struct Arguments {
  std::map<std::string, std::string> values;
  [[nodiscard]] bool has(const std::string& name) const { return values.contains(name); }
  [[nodiscard]] uint64_t number(const std::string& name, uint64_t otherwise) const {
    const auto found = values.find(name);
    return found == values.end() ? otherwise : std::strtoull(found->second.c_str(), nullptr, 10);
  }
};

int usage() {
  std::fputs(kUsage, stderr);
  return 2;
}

uint64_t fresh() { return os_random() >> 24; }

int one(const Arguments& args) {
  Plan plan = draw_plan(args.number("seed", 0));
  if (args.has("shrink")) {
    if (run_apart(plan).empty()) {
      std::puts("this seed does not fail");
      return 0;
    }
    plan = shrink(plan);
  }
  const Outcome outcome = Simulation(plan, args.has("trace") || args.has("shrink")).run();
  std::printf("%s%s\n", plan.text().c_str(),
              outcome.violation.empty() ? "nothing is wrong" : outcome.violation.c_str());
  return outcome.violation.empty() ? 0 : 1;
}

// False: one never fired.
bool show_points(const Totals& totals) {
  bool all = true;
  for (size_t point = 0; point < kRarePoints; ++point) {
    const RareCount& count = totals.rare[point];
    std::printf("%-18s %8llu times in %llu seeds\n", name_of_rare(point),
                static_cast<unsigned long long>(count.fired),
                static_cast<unsigned long long>(count.seeds));
    all = all && count.fired > 0;
  }
  return all;
}

int many(const Arguments& args) {
  const uint64_t first = args.number("first", fresh());
  const auto began = std::chrono::steady_clock::now();
  const auto jobs = static_cast<unsigned>(
      args.number("jobs", static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_ONLN))));
  const Totals totals = run_seeds(first, args.number("seeds", 1'000), jobs, 20);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%s (first seed %llu, %.0f seeds a second)\n", totals.text().c_str(),
              static_cast<unsigned long long>(first), static_cast<double>(totals.seeds) / seconds);
  const bool all_fired = !args.has("points") || show_points(totals);
  return totals.failures.empty() && all_fired ? 0 : 1;
}

// "name median" a line.
std::map<std::string, uint64_t> read_medians(const std::string& path) {
  std::map<std::string, uint64_t> medians;
  std::ifstream file(path);
  std::string name;
  for (uint64_t median = 0; file >> name >> median;) medians[name] = median;
  return medians;
}

// False: it was never noticed.
bool try_mutant(const MutantInfo& info, size_t times, uint64_t most) {
  const Caught caught = catch_mutant(info.mutant, fresh(), times, most);
  const bool noticed = !caught.seeds.empty();
  const std::string count =
      noticed ? std::to_string(caught.seeds[caught.seeds.size() / 2]) : "SURVIVED";
  std::printf("%-24s %8s  %s%s%s\n", info.name, count.c_str(), info.text, noticed ? "; " : "",
              caught.example.substr(0, 120).c_str());
  std::fflush(stdout);
  return noticed;
}

int all_mutants(const Arguments& args) {
  constexpr uint64_t kRare = 300;
  const bool quick = args.has("medians");
  const auto medians =
      quick ? read_medians(args.values.at("medians")) : std::map<std::string, uint64_t>();
  int survivors = 0;
  for (const MutantInfo& info : mutants()) {
    if (args.has("only") && args.values.at("only") != info.name) continue;
    if (!quick) {
      survivors += try_mutant(info, args.number("times", 5), args.number("most", 60'000)) ? 0 : 1;
      continue;
    }
    const auto known = medians.find(info.name);
    if (known == medians.end()) {
      std::printf("%-24s has no median: ./dev sim --mutants --only %s\n", info.name, info.name);
      ++survivors;
    } else if (known->second < kRare) {
      survivors += try_mutant(info, 1, 10 * known->second) ? 0 : 1;
    }
  }
  return survivors == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments args;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (!arg.starts_with("--")) return usage();
    const bool valued = i + 1 < argc && argv[i + 1][0] != '-';
    args.values[arg.substr(2)] = valued ? argv[++i] : "";
  }
  if (args.has("help") || args.values.empty()) return usage();
  if (args.has("mutants")) return all_mutants(args);
  return args.has("seed") ? one(args) : many(args);
}
