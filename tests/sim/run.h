// Many runs, each in a process that may die of a check: totals, the seeds that failed, shrinking,
// mutants. Thread: one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "tests/sim/plan.h"
#include "tests/sim/simulation.h"

namespace tailrace::sim {

struct Failure {
  uint64_t seed = 0;
  std::string what;
};
struct RareCount {
  uint64_t fired = 0;
  uint64_t seeds = 0;  // in which it did
};
struct Totals {
  uint64_t seeds = 0;
  uint64_t lines = 0;
  uint64_t files = 0;
  uint64_t commits = 0;
  uint64_t fences = 0;
  uint64_t kills = 0;
  uint64_t splits = 0;
  uint64_t cuts = 0;
  uint64_t fingerprint = 0;  // the same whenever the same happened
  std::array<RareCount, kRarePoints> rare{};
  std::vector<Failure> failures;

  [[nodiscard]] std::string text() const;  // one line
};

// Seeds first, first + 1, ...; `jobs` at a time. Ends early after `most_failures`.
[[nodiscard]] Totals run_seeds(uint64_t first, uint64_t seeds, unsigned jobs, size_t most_failures);
// One run in a process of its own; a check that fails is a violation too.
[[nodiscard]] std::string run_apart(const Plan& plan);
// The least that still fails, tried for as long as it gets less.
[[nodiscard]] Plan shrink(Plan plan);

struct MutantInfo {
  Mutant mutant = Mutant::none;
  const char* name = nullptr;
  const char* text = nullptr;
};
[[nodiscard]] const std::vector<MutantInfo>& mutants();
// How many fresh seeds it took, each time; at most `most` in all.
struct Caught {
  std::vector<uint64_t> seeds;  // ascending
  bool survived = false;        // `most` seeds went by
  std::string example;
};
[[nodiscard]] Caught catch_mutant(Mutant mutant, uint64_t first, size_t times, uint64_t most);

}  // namespace tailrace::sim
