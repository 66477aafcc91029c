// Rare behaviour, made common: in a build for the simulation `buggify(x)` is true now and then, and
// the machine that asks does what it might do, but seldom does: a group of one, a look too late, a
// lane given back for nothing. All of it is allowed by docs/protocol.md; nothing here is a mistake
// (those are in base/mutant.h). In every other build it is the constant false and leaves no trace.
// Thread: one. Asked only where the answer makes a difference, and its chances are set by a run's
// seed (tests/sim/plan.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/random.h"

namespace tailrace {

// Name, how likely it is each time in a run that has it, and what is done.
#define TAILRACE_RARE_LIST(X)                                                         \
  X(window_closed, 0.25, "an agent waits for an answer although its window has room") \
  X(journal_folded, 0.25, "an agent's journal is written anew although it is short")  \
  X(welcome_in_parts, 0.5, "a Local's welcome comes in more parts than it need")      \
  X(group_late, 0.5, "a spool's group waits although its sender does")                \
  X(snapshot_early, 0.1, "a spool writes a SNAPSHOT that is not due")                 \
  X(segment_early, 0.1, "a spool's segment ends before it is full")                   \
  X(credit_small, 0.5, "a Center gives credit for one batch")                         \
  X(not_now, 0.1, "a Center takes a batch only when it is sent again")                \
  X(roll_early, 0.01, "a file closes before it is due")                               \
  X(commit_alone, 0.5, "a closing gets a record of its own although more are ready")  \
  X(publish_late, 0.5, "a file is published a moment later than it could be")         \
  X(wish_misplaced, 0.25, "a lane is taken that placement gives to another Center")   \
  X(lane_given_back, 0.005, "a lane is given away for nothing")                       \
  X(unsure_early, 0.01, "a Center is unsure before it need be, for a while")          \
  X(reclaim_early, 0.02, "older entries are folded after few")                        \
  X(tables_left, 0.2, "who takes a lane over leaves its tables there")                \
  X(roll_call_late, 0.25, "a Center is late to answer that it lives")                 \
  X(judged_early, 0.1, "a Center is taken for gone before its time is over")          \
  X(sealed_again, 0.5, "a log is sealed again by whoever has sealed it")              \
  X(janitor_stops, 0.25, "a log is not DONE although all of it is published")

enum class Rare : uint8_t {
#define TAILRACE_RARE_NAME(name, chance, text) name,
  TAILRACE_RARE_LIST(TAILRACE_RARE_NAME)
#undef TAILRACE_RARE_NAME
};

#ifdef TAILRACE_BUGGIFY
#define TAILRACE_RARE_ONE(name, chance, text) +1
inline constexpr size_t kRarePoints = 0 TAILRACE_RARE_LIST(TAILRACE_RARE_ONE);
#undef TAILRACE_RARE_ONE
using RareChances = std::array<double, kRarePoints>;

// Of the run that is under way.
struct RareRun {
  RareChances chances{};  // 0: never
  Rng rng{0};             // its own, so that a run without points is as it was
  std::array<uint64_t, kRarePoints> fired{};
};
inline RareRun rare_run;

inline bool buggify(Rare point) {
  const auto at = static_cast<size_t>(point);
  if (rare_run.chances[at] == 0 || !rare_run.rng.chance(rare_run.chances[at])) return false;
  ++rare_run.fired[at];
  return true;
}
#else
constexpr bool buggify(Rare) { return false; }
#endif

}  // namespace tailrace
