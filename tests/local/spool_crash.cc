#include "tests/local/spool_crash.h"

namespace tailrace::test {

namespace {

constexpr uint64_t kSecondCutOneIn = 40;

std::string where(const CrashTrace& trace, const SpoolWorld& world, const std::string& what) {
  return "seed " + std::to_string(trace.seed) + ", sectors of " +
         std::to_string(trace.sector_bytes) + ", operation " +
         std::to_string(world.disk.ops_done()) + ": " + what;
}

}  // namespace

std::string enumerate_crashes(const CrashTrace& trace, CrashCount& count) {
  SpoolWorld world(trace.seed, {});
  Rng rng(mix64(trace.seed));
  std::string wrong;
  world.disk.forgets = trace.forgets;
  SpoolImage some_state;  // the world goes on from it later
  const auto judge = [&](const SpoolImage& state) {
    ++count.states;
    if (!wrong.empty()) return;
    if (count.distinct.insert(state.hash()).second) {
      ++count.served;
      wrong = world.judge_and_serve(state);
      if (wrong.empty() && rng.below(kSecondCutOneIn) == 0) {
        ++count.second_cuts;
        wrong = world.judge_second_cut(state, rng);
      }
    } else {
      SpoolImage read = state;
      wrong = world.judge(read);
    }
    if (rng.below(50) == 0) some_state = state;
  };
  world.after_op = [&] {
    some_state = world.disk.durable();
    world.disk.after_power_cut(trace.sector_bytes, trace.most_states_an_op, rng, judge);
  };
  const auto failed = [&] { return !wrong.empty() || !world.failure().empty(); };
  if (!world.start()) return where(trace, world, world.failure());
  for (size_t i = 1; i <= trace.steps && !failed(); ++i) {
    world.step();
    if (failed()) break;
    if (i % 47 == 0) {  // kill -9, no power cut
      world.kill();
      world.start();
    } else if (i % 71 == 0) {
      world.shut_down();
      if (!failed()) world.start();
    } else if (i % 23 == 0) {
      world.restart_from(SpoolImage(some_state));
    }
  }
  count.seen.insert(world.seen().begin(), world.seen().end());
  if (failed()) return where(trace, world, wrong.empty() ? world.failure() : wrong);
  return "";
}

std::string enumerate_faults(const CrashTrace& trace, VirtualDisk::Fault::Kind kind,
                             CrashCount& count) {
  for (uint64_t n = 1;; ++n) {
    SpoolWorld world(trace.seed, {});
    Rng rng(mix64(trace.seed + n));
    world.disk.set_fault({kind, n});
    bool alive = world.start();
    for (size_t i = 0; i < trace.steps && alive; ++i) alive = world.step();
    if (alive && world.disk.ops_done() < n) {
      count.seen.insert(world.seen().begin(), world.seen().end());
      return "";
    }
    ++count.faults;
    count.seen.insert(world.seen().begin(), world.seen().end());
    if (alive) {  // a full disk: it went on
      if (kind != VirtualDisk::Fault::Kind::no_space) return where(trace, world, "it went on");
      if (!world.run_groups(true) || !world.spool()->all_durable() ||
          !world.spool()->trouble().empty())
        return where(trace, world, "it does not go on when there is room again");
      continue;
    }
    if (world.failure() != "input/output error") return where(trace, world, world.failure());
    // The process has ended. Another one reads what the page cache shows, which the disk may not
    // have; later the power fails.
    std::string wrong;
    const auto judge = [&](const SpoolImage& state) {
      ++count.states;
      if (wrong.empty()) wrong = world.judge_and_serve(state);
      count.distinct.insert(state.hash());
    };
    world.disk.after_power_cut(trace.sector_bytes, 20, rng, judge);
    if (!wrong.empty()) return where(trace, world, wrong);
    world.kill();
    world.disk.set_fault({kind, 0});
    if (!world.start()) return where(trace, world, "after the error: " + world.failure());
    judge(world.disk.durable());
    for (size_t i = 0; i < 20 && world.step(); ++i) judge(world.disk.durable());
    if (!wrong.empty() || !world.failure().empty())
      return where(trace, world, wrong + world.failure());
  }
}

}  // namespace tailrace::test
