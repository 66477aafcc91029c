// What happens in one run: drawn from a seed, and cut down by the shrinker. Thread: one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/buggify.h"
#include "center/loudness.h"
#include "flow/batch.h"
#include "sinks/format/file_format.h"
#include "tests/sim/world.h"

namespace tailrace::sim {

// One thing that goes wrong, at its time.
struct Disaster {
  enum class Kind : uint8_t {
    kill_agent,      // kill -9; it starts again after `ms`
    kill_local,      //
    kill_center,     //
    pause_center,    // SIGSTOP
    leave_center,    // SIGTERM; another process of the same machine starts after `ms`
    power_cut,       // of a host: what was not synced may be gone
    disk_error,      // of a host: a write or a sync fails
    disk_full,       // of a host: for one operation
    cut_agent,       // the connection of a host's agent breaks
    cut_local,       // a connection of a host's Local to a Center breaks
    half_open,       // nothing more arrives on it and nobody is told
    cut_off,         // a Center cannot reach the store
    block,           // a category cannot be published
    clock_host,      // the clocks of a host's processes jump by `ms`
    clock_center,    // a Center's
    no_way,          // some hosts cannot reach a Center
    lose_host,       // a host is gone for good, with what it had
    restore_spool,   // of a host: a copy that is `ms` old
    restore_host,    // the same of all that it has, its log files too
    flip_bits,       // of a host's spool, on its disk
    flush,           // a host's agent asks that all be committed
    lose_spool,      // of a host: its Local is killed, and starts without it
    spool_back,      // one that was lost stands there again
    sink_away,       // a sink's store answers nobody
    clone_host,      // another host starts as a copy of this one
    cut_store,       // power, of the machine that has the stores and all Centers
    spoil_record,    // somebody writes over a record of a store, and puts it back
    move_log,        // somebody takes a commit log's directory away, and puts it back
    take_staged,     // somebody takes a staged file away
    take_published,  // somebody takes a published file away: it is his
  };
  static constexpr int kKinds = 30;
  Kind kind{};
  int64_t at_ms = 0;
  uint32_t who = 0;  // host, Center or category: modulo how many there are
  int64_t ms = 0;    // for how long
};
[[nodiscard]] inline std::string category_name(size_t n) { return "category-" + std::to_string(n); }
[[nodiscard]] const char* name_of(Disaster::Kind kind);

struct Plan {
  uint64_t seed = 0;  // of everything that is not written here
  uint32_t hosts = 1;
  uint32_t categories = 1;
  uint32_t centers = 1;
  uint32_t sinks = 1;
  bool kafka = false;  // the last of them is Kafka
  int dead_sink = -1;  // stays away until all is published at the other; -1: none
  bool dead_from_start = false;
  int blocked = -1;       // a category that cannot be published until all others are; -1: none
  bool optional = false;  // the last of them is not required, and spools are small
  uint32_t files = 1;     // log files of a host in each category
  uint32_t lines = 0;     // of all files together
  int64_t until_ms = 0;   // lines are written, and things go wrong, until then
  bool core = false;      // then only some of the Centers are well, the rest stay as they are
  bool leaves = false;    // one is told to stop shortly before, and has the time that it takes
  bool settings = false;  // those of programs are others after each start
  uint64_t roll_bytes = 0;
  uint64_t reclaim_entries = 0;
  int64_t roll_age_ms = 6'000;
  int64_t roll_idle_ms = 2'000;
  int64_t takeover_after_ms = 15'000;
  SplitPolicy split;
  Codec codec = Codec::none;  // of published files
  FileFormat format = FileFormat::lines;
  Faults faults;
  RareChances rare{};               // of what machines do seldom; not once all is calm
  std::vector<Disaster> disasters;  // in order

  [[nodiscard]] std::string text() const;
};

// The name of a point of base/buggify.h.
[[nodiscard]] const char* name_of_rare(size_t point);
[[nodiscard]] Plan draw_plan(uint64_t seed);

}  // namespace tailrace::sim
