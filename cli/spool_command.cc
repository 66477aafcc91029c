#include "cli/spool_command.h"

#include <sys/stat.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/random.h"
#include "base/units.h"
#include "cli/config/role_config.h"
#include "cli/live_line.h"
#include "cli/state_lock.h"
#include "local/spool_aside.h"
#include "local/spool_disk.h"
#include "local/spool_holes.h"
#include "local/spool_opening.h"
#include "local/spool_view.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kGood = 0;
constexpr int kBad = 1;
constexpr int kWrongUsage = 2;
constexpr int kWrongSettings = 78;
constexpr size_t kMostRows = 40;

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "tailrace spool: %s\n", text.c_str());
  return code;
}

// --- ls ------------------------------------------------------------------------------------------

Json as_json(const SpoolView& view) {
  Json out;
  out["local_id"] = hex16(view.local_id);
  out["segments"] = view.segments;
  out["segment_bytes"] = view.segment_bytes;
  out["damaged"] = view.damaged;
  out["notes"] = view.notes;
  out["streams"] = Json::array();
  for (const SpoolView::Stream& s : view.streams) {
    Json waiting = Json::object();
    for (const auto& [sink, lines] : s.waiting) waiting[hex16(sink)] = lines;
    out["streams"].push_back({{"stream", s.stream},
                              {"category", s.category},
                              {"batches", s.batches},
                              {"bytes", s.bytes},
                              {"oldest_seq", s.oldest_seq},
                              {"next_seq", s.next_seq},
                              {"lost", s.lost},
                              {"waiting", std::move(waiting)}});
  }
  return out;
}

int list(const std::string& directory, const Arguments& arguments) {
  const auto view = view_spool(directory);
  if (!view) return complain(view.error().text, kBad);
  if (arguments.value("format") == "json") {
    std::printf("%s\n", as_json(*view).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return kGood;
  }
  std::printf("%s: spool %s, %s segments, %s on the disk\n", directory.c_str(),
              hex16(view->local_id).c_str(), show_count(view->segments).c_str(),
              show_size(view->segment_bytes).c_str());
  std::printf("  %-24s %10s %12s %14s %14s %10s\n", "category", "batches", "size", "lines taken",
              "waiting", "lost");
  const std::string_view wanted = arguments.value("category");
  size_t rows = 0;
  for (const SpoolView::Stream& s : view->streams) {
    if (!wanted.empty() && s.category.find(wanted) == std::string::npos) continue;
    if (wanted.empty() && ++rows > kMostRows) continue;
    std::printf("  %-24s %10s %12s %14s %14s %10s\n", escape(s.category, 64).c_str(),
                show_count(s.batches).c_str(), show_size(s.bytes).c_str(),
                show_count(s.next_seq).c_str(), show_count(s.waiting_most).c_str(),
                show_count(s.lost).c_str());
  }
  if (rows > kMostRows)
    std::printf("  and %zu more: --category TEXT shows those that have TEXT in their name\n",
                rows - kMostRows);
  for (const std::string& note : view->notes) std::printf("  %s\n", note.c_str());
  if (const auto holes = spool_holes(directory); holes && !holes->empty())
    std::printf(
        "  %zu streams held because a store has forgotten lines: see tailrace spool adopt\n",
        holes->size());
  return kGood;
}

// --- verify --------------------------------------------------------------------------------------

int verify(const std::string& directory, bool deep) {
  LiveLine live;
  int64_t shown_ms = 0;
  const auto progress = [&live, &shown_ms](uint64_t done, uint64_t all) {
    if (!live.on_terminal() || mono_ms() - shown_ms < 200) return;
    shown_ms = mono_ms();
    live.show(show_size(done) + " of " + show_size(all));
  };
  const auto verdict = verify_spool(directory, deep, progress);
  live.clear();
  if (!verdict) return complain(verdict.error().text, kBad);
  for (const std::string& damage : verdict->damage) std::printf("%s\n", damage.c_str());
  std::printf(
      "%s: %s batches, %s lines, %s: %s\n", directory.c_str(), show_count(verdict->batches).c_str(),
      show_count(verdict->lines).c_str(), show_size(verdict->bytes).c_str(),
      verdict->damage.empty() ? "all good"
                              : (std::to_string(verdict->damage.size()) + " damaged").c_str());
  return verdict->damage.empty() ? kGood : kBad;
}

// --- reset ---------------------------------------------------------------------------------------

int reset(const std::string& state, const std::string& directory, bool sure) {
  const auto lock = StateLock::take(state);
  if (!lock) return complain(lock.error().text, kBad);
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0)
    return complain("there is no spool in " + directory, kBad);
  const auto view = view_spool(directory);
  uint64_t waiting = 0;
  if (view)
    for (const SpoolView::Stream& s : view->streams) waiting += s.waiting_most;
  std::printf(
      "%s is set aside beside itself; nothing is deleted. The next start makes a new spool with a "
      "new identity.\n",
      directory.c_str());
  if (!view) std::printf("What it holds cannot be read: %s\n", view.error().text.c_str());
  if (waiting > 0)
    std::printf(
        "%s lines in it are not known to be published. They stay there, and the agent of this host "
        "reads them again from its log files: what was published of them, or comes from a host "
        "with a copy of this spool, is published twice.\n",
        show_count(waiting).c_str());
  if (!sure) {
    std::printf("Nothing was done: --yes does it.\n");
    return kGood;
  }
  auto replaces = spool_replaces(directory);
  if (!replaces) return complain(replaces.error().text, kBad);
  if (view) replaces->push_back(view->local_id);
  const auto aside = set_spool_aside(directory, *replaces);
  if (!aside) return complain(aside.error().text, kBad);
  std::printf("Done: it is %s now.\n", aside->c_str());
  return kGood;
}

// --- adopt ---------------------------------------------------------------------------------------

// What each hole would mean; with --yes the spool is changed.
int adopt(const std::string& state, const std::string& directory, const Arguments& arguments,
          uint64_t quota_bytes) {
  const auto lock = StateLock::take(state);
  if (!lock) return complain(lock.error().text, kBad);
  const auto holes = spool_holes(directory);
  if (!holes) return complain(holes.error().text, kBad);
  if (holes->empty()) {
    std::printf("%s: its Local held for no hole when it ran last; there is nothing to adopt.\n",
                directory.c_str());
    return kGood;
  }
  SpoolDisk disk(directory);
  auto spool = recover_existing(disk, directory);
  if (!spool) return complain(spool.error().text, kBad);
  const std::string_view wanted = arguments.value("category");
  std::vector<SpoolHole> rest;
  uint64_t lines = 0;
  for (const SpoolHole& hole : *holes) {
    const auto stream = spool->tables.streams.find(hole.stream);
    const bool named = stream != spool->tables.streams.end() && stream->second.category == wanted;
    if (!wanted.empty() && !named) {
      rest.push_back(hole);
      continue;
    }
    const HoleVerdict verdict = adopt_hole(hole, *spool);
    std::string said = "stays as it is: " + verdict.why_not;
    if (verdict.why_not.empty()) {
      lines += verdict.lines;
      said = show_count(verdict.lines) + " lines, from line " + show_count(hole.store.seq) +
             " on, count as lost there";
    } else {
      rest.push_back(hole);
    }
    std::printf("  %-24s sink %s: %s\n", escape(verdict.category, 64).c_str(),
                hex16(hole.sink).c_str(), said.c_str());
  }
  if (lines == 0) return complain("there is nothing that could be adopted", kBad);
  std::printf(
      "The store has forgotten %s lines that it had said to be published. Look whether their files "
      "still stand there. Nothing is sent twice; what follows them is sent.\n",
      show_count(lines).c_str());
  if (!arguments.given("yes")) {
    std::printf("Nothing was done: --yes does it.\n");
    return kGood;
  }
  if (const auto written = rewrite_spool(directory, quota_bytes, std::move(*spool)); !written)
    return complain(written.error().text, kBad);
  if (const auto kept = keep_spool_holes(directory, rest); !kept)
    return complain(kept.error().text, kBad);
  std::printf("Done. Start the Local.\n");
  return kGood;
}

// What giving a sink up would mean; with --yes the spool is changed.
int forget(const std::string& state, const std::string& directory, const Arguments& arguments,
           uint64_t quota_bytes) {
  const std::string named(arguments.value("sink"));
  const uint64_t sink = parse_hex16(named);
  if (sink == 0)
    return complain(
        "forget: --sink names it by its uuid, as `tailrace spool ls --format json` does",
        kWrongUsage);
  const auto lock = StateLock::take(state);
  if (!lock) return complain(lock.error().text, kBad);
  SpoolDisk disk(directory);
  auto spool = recover_existing(disk, directory);
  if (!spool) return complain(spool.error().text, kBad);
  const auto owed = forget_sink(spool->tables, sink);
  if (owed.empty()) return complain("this spool knows no sink " + named, kBad);
  spool->tables_changed = true;
  for (const auto& [category, lines] : owed)
    std::printf("  %-24s %s lines that it has not got\n", escape(category, 64).c_str(),
                show_count(lines).c_str());
  std::printf(
      "They are not kept for it any more; those that another sink has not got stay for that one. "
      "If "
      "a Center names the sink again, it starts where the spool starts then.\n");
  if (!arguments.given("yes")) {
    std::printf("Nothing was done: --yes does it.\n");
    return kGood;
  }
  if (const auto written = rewrite_spool(directory, quota_bytes, std::move(*spool)); !written)
    return complain(written.error().text, kBad);
  std::printf("Done. Start the Local.\n");
  return kGood;
}

int run_spool(const Arguments& arguments) {
  const auto& operands = arguments.operands();
  const std::string what = operands.size() == 1 ? operands[0] : "";
  if (what != "ls" && what != "verify" && what != "adopt" && what != "forget" && what != "reset")
    return complain("one of: ls, verify, adopt, forget, reset\nSee: tailrace spool --help",
                    kWrongUsage);
  std::string state(arguments.value("state"));
  uint64_t quota_bytes = LocalSettings{}.quota_bytes;
  if (state.empty()) {
    const RoleConfig config = read_role_config(std::string(arguments.value("config")), "local");
    for (const ConfigProblem& problem : config.problems) std::fputs(problem.show().c_str(), stderr);
    if (!config.good()) return kWrongSettings;
    state = config.state;
    quota_bytes = config.local->settings.quota_bytes;
  }
  const std::string directory = state + "/spool";
  if (what == "ls") return list(directory, arguments);
  if (what == "verify") return verify(directory, arguments.given("deep"));
  if (what == "adopt") return adopt(state, directory, arguments, quota_bytes);
  if (what == "forget") return forget(state, directory, arguments, quota_bytes);
  return reset(state, directory, arguments.given("yes"));
}

constexpr Option kOptions[] = {
    {"config", "FILE", "/etc/tailrace/local.yaml", "the Local's settings, for its state"},
    {"state", "DIR", "", "the Local's state, instead"},
    {"category", "TEXT", "", "ls: only those with this in their name; adopt: only this one"},
    {"format", "text|json", "text", "ls: json for programs"},
    {"deep", "", "", "verify: inflate each batch and count its lines"},
    {"sink", "UUID", "", "forget: which"},
    {"yes", "", "", "adopt, forget, reset: do it"},
};
}  // namespace

const Command& spool_command() {
  static const Command kCommand = {
      .name = "spool",
      .summary = "looks at a Local's spool, proves it, mends it, or sets it aside",
      .synopsis = "ls|verify|adopt|forget|reset [--config FILE | --state DIR] [OPTIONS]",
      .examples =
          "  tailrace spool ls                     what it holds, by category\n"
          "  tailrace spool verify --deep          every batch is what was written\n"
          "  tailrace spool adopt                  what going on over a hole would mean; --yes "
          "does it\n"
          "  tailrace spool forget --sink UUID     what giving up a sink would mean; --yes does "
          "it\n"
          "  tailrace spool reset                  what setting it aside would mean; --yes does "
          "it\n",
      .operands = "ls|verify|adopt|forget|reset",
      .notes =
          "ls and verify change nothing and may be used while the Local runs. adopt, forget and "
          "reset are\n"
          "for the cases that docs/operating.md leaves to a person; the Local must not run.\n"
          "Exit codes: 0 good, 1 damaged or not done.\n",
      .options = kOptions,
      .run = run_spool,
  };
  return kCommand;
}

}  // namespace tailrace
