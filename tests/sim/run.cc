#include "tests/sim/run.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

namespace tailrace::sim {

namespace {
// What a worker tells, also when it dies.
struct Board {
  uint64_t next = 0;  // seed that is being run
  uint64_t seeds = 0;
  uint64_t lines = 0;
  uint64_t files = 0;
  uint64_t commits = 0;
  uint64_t fences = 0;
  uint64_t kills = 0;
  uint64_t splits = 0;
  uint64_t cuts = 0;
  uint64_t fingerprint = 0;
  std::array<RareCount, kRarePoints> rare{};
  char failed[1'000] = {};  // not empty: `next` is wrong, and nothing more is run
};

Board* make_boards(size_t n) {
  void* memory =
      mmap(nullptr, n * sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  auto* boards = static_cast<Board*>(memory);
  for (size_t i = 0; i < n; ++i) new (&boards[i]) Board();
  return boards;
}

void run_on(Board& board, const Plan& plan) {
  const Outcome o = Simulation(plan, false).run();
  ++board.seeds;
  board.lines += o.lines;
  board.files += o.files;
  board.commits += o.commits;
  board.fences += o.fences;
  board.kills += o.kills;
  board.splits += o.splits;
  board.cuts += o.cuts;
  board.fingerprint += o.fingerprint;
  for (size_t point = 0; point < kRarePoints; ++point) {
    board.rare[point].fired += o.fired[point];
    board.rare[point].seeds += o.fired[point] > 0 ? 1 : 0;
  }
  if (!o.violation.empty())
    std::snprintf(board.failed, sizeof board.failed, "%s", o.violation.c_str());
}

// Seeds from board.next on, each `step` further, until `end` or a failure.
pid_t start_worker(Board& board, uint64_t step, uint64_t end, bool quiet) {
  board.failed[0] = 0;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child > 0) return child;
  if (quiet && !std::freopen("/dev/null", "w", stderr)) _exit(3);
  for (; board.next < end; board.next += step) {
    run_on(board, draw_plan(board.next));
    if (board.failed[0]) _exit(1);
  }
  _exit(0);
}

std::string failure_of(const Board& board, int status) {
  if (board.failed[0]) return board.failed;
  return "CHECK: the process died (signal " + std::to_string(WTERMSIG(status)) +
         "); its last words stand above";
}
}  // namespace

std::string Totals::text() const {
  char line[300];
  std::snprintf(line, sizeof line,
                "%llu seeds, %llu lines, %llu files, %llu commits, %llu fences, %llu kills, "
                "%llu splits, %llu cuts, %zu violations, fingerprint %016llx",
                static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(lines),
                static_cast<unsigned long long>(files), static_cast<unsigned long long>(commits),
                static_cast<unsigned long long>(fences), static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(splits), static_cast<unsigned long long>(cuts),
                failures.size(), static_cast<unsigned long long>(fingerprint));
  return line;
}

Totals run_seeds(uint64_t first, uint64_t seeds, unsigned jobs, size_t most_failures) {
  const uint64_t end = first + seeds;
  Board* boards = make_boards(jobs);
  std::vector<pid_t> workers(jobs);
  for (unsigned i = 0; i < jobs; ++i) {
    boards[i].next = first + i;
    workers[i] = start_worker(boards[i], jobs, end, false);
  }
  Totals totals;
  for (unsigned left = jobs; left > 0;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    const auto found = std::find(workers.begin(), workers.end(), ended);
    if (found == workers.end()) continue;
    Board& board = boards[found - workers.begin()];
    const bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (failed) {
      totals.failures.push_back({board.next, failure_of(board, status)});
      std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(board.next),
                   totals.failures.back().what.c_str());
    }
    board.next += jobs;
    if (failed && board.next < end && totals.failures.size() < most_failures)
      *found = start_worker(board, jobs, end, false);
    else
      --left;
  }
  for (unsigned i = 0; i < jobs; ++i) {
    totals.seeds += boards[i].seeds;
    totals.lines += boards[i].lines;
    totals.files += boards[i].files;
    totals.commits += boards[i].commits;
    totals.fences += boards[i].fences;
    totals.kills += boards[i].kills;
    totals.splits += boards[i].splits;
    totals.cuts += boards[i].cuts;
    totals.fingerprint += boards[i].fingerprint;
    for (size_t point = 0; point < kRarePoints; ++point) {
      totals.rare[point].fired += boards[i].rare[point].fired;
      totals.rare[point].seeds += boards[i].rare[point].seeds;
    }
  }
  munmap(boards, jobs * sizeof(Board));
  return totals;
}

std::string run_apart(const Plan& plan) {
  Board* board = make_boards(1);
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    if (!std::freopen("/dev/null", "w", stderr)) _exit(3);
    run_on(*board, plan);
    _exit(board->failed[0] ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  std::string what;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) what = failure_of(*board, status);
  munmap(board, sizeof(Board));
  return what;
}

Plan shrink(Plan plan) {
  const auto still_fails = [](const Plan& less) { return !run_apart(less).empty(); };
  const auto keep_if = [&](Plan less) {
    if (!still_fails(less)) return false;
    plan = std::move(less);
    return true;
  };
  for (bool less = true; less;) {
    less = false;
    for (double Faults::*rate :
         {&Faults::call_lost, &Faults::answer_lost, &Faults::call_late, &Faults::slow,
          &Faults::store_trouble, &Faults::second_trouble, &Faults::wrong_view}) {
      if (plan.faults.*rate == 0) continue;
      Plan without = plan;
      without.faults.*rate = 0;
      less = keep_if(std::move(without)) || less;
    }
    for (double& chance : plan.rare) {
      if (chance == 0) continue;
      Plan without = plan;
      without.rare[static_cast<size_t>(&chance - plan.rare.data())] = 0;
      less = keep_if(std::move(without)) || less;
    }
    // Disasters: halves first, then quarters, at last one by one.
    for (size_t n = (plan.disasters.size() + 1) / 2; n > 0; n /= 2)
      for (size_t at = 0; at < plan.disasters.size();) {
        Plan without = plan;
        const auto begin = without.disasters.begin() + static_cast<std::ptrdiff_t>(at);
        const size_t some = std::min(n, without.disasters.size() - at);
        without.disasters.erase(begin, begin + static_cast<std::ptrdiff_t>(some));
        if (keep_if(std::move(without)))
          less = true;
        else
          at += n;
      }
    for (uint32_t Plan::*count :
         {&Plan::lines, &Plan::hosts, &Plan::categories, &Plan::files, &Plan::centers}) {
      if (plan.*count <= 1) continue;
      Plan fewer = plan;
      fewer.*count = count == &Plan::lines ? plan.lines / 2 : plan.*count - 1;
      less = keep_if(std::move(fewer)) || less;
    }
  }
  return plan;
}

// --- mutants -------------------------------------------------------------------------------------

const std::vector<MutantInfo>& mutants() {
  static const std::vector<MutantInfo> kAll = {
#define TAILRACE_MUTANT_INFO(name, text) {Mutant::name, #name, text},
      TAILRACE_MUTANT_LIST(TAILRACE_MUTANT_INFO)
#undef TAILRACE_MUTANT_INFO
  };
  return kAll;
}

Caught catch_mutant(Mutant mutant, uint64_t first, size_t times, uint64_t most) {
  planted = mutant;
  Caught caught;
  Board* board = make_boards(1);
  board->next = first;
  for (uint64_t begin = first; caught.seeds.size() < times;) {
    const pid_t worker = start_worker(*board, 1, first + most, true);
    int status = 0;
    waitpid(worker, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
      caught.survived = true;
      break;
    }
    caught.seeds.push_back(board->next - begin + 1);
    caught.example = "seed " + std::to_string(board->next) + ": " + failure_of(*board, status);
    begin = ++board->next;
  }
  planted = Mutant::none;
  munmap(board, sizeof(Board));
  std::sort(caught.seeds.begin(), caught.seeds.end());
  return caught;
}

}  // namespace tailrace::sim
