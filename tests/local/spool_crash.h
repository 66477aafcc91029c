// The enumeration: traces of a spool's life in which each operation is followed by every state that
// a power cut there may leave, each judged. Used by a program of its own, and in small by
// test_local. Thread: one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "tests/local/spool_world.h"

namespace tailrace::test {

struct CrashCount {
  std::set<uint64_t> distinct;  // hashes of the states' contents
  uint64_t states = 0;          // with repetitions: the same bytes, after another promise
  uint64_t served = 0;          // states from which a spool was served and read back
  uint64_t second_cuts = 0;     // states whose recovery was itself cut
  uint64_t faults = 0;          // runs with an error at the n-th operation
  std::set<std::string> seen;   // what happened in the traces
};

struct CrashTrace {
  uint64_t seed = 1;
  size_t steps = 120;
  size_t sector_bytes = 512;
  size_t most_states_an_op = 200;
  std::function<bool(const SpoolOp&)> forgets = {};  // a planted mistake
};

// Empty, or what was wrong and where.
std::string enumerate_crashes(const CrashTrace& trace, CrashCount& count);
// The trace again and again, with a fault at the n-th operation, for every n.
std::string enumerate_faults(const CrashTrace& trace, VirtualDisk::Fault::Kind kind,
                             CrashCount& count);

}  // namespace tailrace::test
