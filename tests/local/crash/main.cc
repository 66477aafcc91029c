// Runs the enumeration of the spool's crash states, after each write (T04): spool_crash [least
// distinct states] [seed].
#include <cstdio>
#include <cstdlib>

#include "tests/local/spool_crash.h"

using namespace tailrace;
using namespace tailrace::test;

int main(int argc, char** argv) {
  const uint64_t least = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
  const uint64_t first_seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  CrashCount count;
  std::string wrong;
  uint64_t seed = first_seed;
  for (; wrong.empty() && (count.distinct.size() < least || seed < first_seed + 6); ++seed)
    wrong = enumerate_crashes({seed, 160, seed % 2 ? 512u : 4096u, 120}, count);
  const uint64_t traces = seed - first_seed;
  using Kind = VirtualDisk::Fault::Kind;
  for (const Kind kind : {Kind::error, Kind::short_write, Kind::no_space})
    if (wrong.empty()) wrong = enumerate_faults({first_seed, 80, 512, 20}, kind, count);
  std::printf(
      "spool crash states: %zu distinct by content (%llu judged, %llu served and read back, "
      "%llu cut again in recovery), %llu traces from seed %llu, %llu runs with an error at "
      "the n-th operation; in the traces:",
      count.distinct.size(), static_cast<unsigned long long>(count.states),
      static_cast<unsigned long long>(count.served),
      static_cast<unsigned long long>(count.second_cuts), static_cast<unsigned long long>(traces),
      static_cast<unsigned long long>(first_seed), static_cast<unsigned long long>(count.faults));
  for (const std::string& what : count.seen) std::printf(" %s;", what.c_str());
  std::printf("\n%s\n", wrong.empty() ? "0 wrong" : wrong.c_str());
  return wrong.empty() && count.distinct.size() >= least ? 0 : 1;
}
