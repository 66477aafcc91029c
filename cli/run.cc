#include "cli/run.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/units.h"
#include "cli/lines_place.h"
#include "cli/live_line.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/road.h"
#include "cli/state_lock.h"
#include "cli/stop_signals.h"
#include "cli/watch/admin_door.h"

namespace tailrace {

namespace {

constexpr int kDone = 0;
constexpr int kNotDone = 1;
constexpr int64_t kLiveMs = 500;
constexpr int64_t kPlainMs = 30'000;
// For how long something may be held, while everything is to be published, before we give up.
constexpr int64_t kHeldMs = 10'000;
constexpr int64_t kDrainedMs = 2'000;

int failed(std::string_view text) {
  log::error(text);
  return kNotDone;
}

Result<void> make_our_directories(const RoadSettings& road, const std::string& state) {
  std::vector<std::string> paths = {state, road.agent.state_dir, road.local.spool_dir,
                                    road.center.state_dir};
  for (const SinkSettings& sink : road.center.sinks) {
    if (!sink.hdfs.empty() || sink.is_kafka()) continue;
    paths.push_back(sink.root);
    if (sink.control.starts_with('/')) paths.push_back(sink.control);
  }
  for (const std::string& path : paths)
    if (auto made = make_directories(path); !made) return made;
  return {};
}

SinkSettings file_sink(const RunSettings& settings) {
  SinkSettings sink;
  sink.root = settings.output;
  sink.hdfs = settings.hdfs;
  sink.hdfs_user = settings.hdfs_user;
  if (!settings.control.empty()) sink.control = settings.control;
  sink.layout = settings.layout;
  sink.timezone = settings.timezone;
  sink.formats.usual = settings.format;
  sink.roll_bytes = sink.sequence_roll_bytes = settings.roll_bytes;
  sink.roll_age_ms = settings.roll_age_ms;
  sink.roll_idle_ms = settings.roll_idle_ms;
  return sink;
}

RoadSettings road_settings(const RunSettings& settings) {
  RoadSettings road;
  if (!settings.output.empty()) road.center.sinks.push_back(file_sink(settings));
  if (!settings.kafka.brokers.empty()) {
    SinkSettings& sink = road.center.sinks.emplace_back();
    sink.name = "kafka";
    sink.kafka = settings.kafka;
  }
  road.agent.sources = settings.sources;
  road.agent.state_dir = settings.state + "/agent";
  road.agent.max_record_bytes = settings.max_record_bytes;
  road.agent.once = settings.once;
  road.agent.on_spool_loss = settings.on_spool_loss;
  const bool here = settings.hdfs.empty() && !settings.output.empty();
  if (here) add_never_below(road.agent.never_below, settings.output);
  add_never_below(road.agent.never_below, settings.state);
  if (here && !settings.control.empty()) add_never_below(road.agent.never_below, settings.control);
  road.local.spool_dir = settings.state + "/spool";
  road.local.host = host_name();
  road.center.state_dir = settings.state + "/center";
  return road;
}

// What is to be run, whoever asked for it.
struct RunPlan {
  RoadSettings road;
  std::string state;
  std::string cluster;
  AdminConfig admin;
  bool once = false;
};

// One run, from the moment when all roles stand to the last line on the terminal.
class Run {
 public:
  Run(asio::io_context& context, Road& road, StopSignals& signals, const RunPlan& plan)
      : context_(context),
        road_(road),
        signals_(signals),
        plan_(plan),
        progress_(mono_ms(), place_of(plan.road.center.sinks.front())),
        door_(context, "run", plan.cluster, [&road](Snapshot& now) { look(road, now); }),
        bell_(context),
        drained_bell_(context) {
    door_.on_drain([this] {
      drained_ = true;
      road_.drain_for_good();
    });
  }

  int carry_out() {
    if (auto opened = door_.open(plan_.admin); !opened) return failed(opened.error().text);
    spawn(context_, "road", run_road());
    spawn(context_, "signals", stop_on_signal());
    spawn(context_, "progress", show_progress());
    context_.run();
    live_.clear();
    return tell_the_end();
  }

 private:
  asio::awaitable<void> run_road() {
    co_await road_.run();
    if (drained_) co_await drained_bell_.wait(kDrainedMs);
    over_ = true;
    signals_.cancel();
    door_.close();
    bell_.ring();
  }

  static void look(const Road& road, Snapshot& now) {
    RoadStatus status = road.status();
    now.agent = std::move(status.agent);
    now.local = std::move(status.local);
    now.center = std::move(status.center);
  }

  asio::awaitable<void> stop_on_signal() {
    co_await signals_.wait();
    if (over_) co_return;
    ending_ = true;
    log::info(
        "publishing what is held, then leaving; once more leaves at once (and loses nothing)");
    road_.drain();
  }

  asio::awaitable<void> show_progress() {
    const int64_t pause_ms = live_.on_terminal() ? kLiveMs : kPlainMs;
    int64_t due_ms = mono_ms() + pause_ms;
    while (!over_) {
      co_await bell_.wait(kLiveMs);
      const RoadStatus status = road_.status();
      leave_if_held(status);
      if (over_ || mono_ms() < due_ms) continue;
      due_ms = mono_ms() + pause_ms;
      const std::string line = progress_.line(status, mono_ms(), wall_ms());
      if (live_.on_terminal())
        live_.show(line);
      else
        log::info(line);
    }
  }

  // A role that holds waits for the operator; whoever asked for an end shall not wait with it.
  void leave_if_held(const RoadStatus& status) {
    const bool held = !status.agent.held.empty() || !status.local.held.empty();
    if (!held || !(ending_ || plan_.once)) {
      held_since_ms_ = -1;
    } else if (held_since_ms_ < 0) {
      held_since_ms_ = mono_ms();
    } else if (mono_ms() - held_since_ms_ >= kHeldMs) {
      road_.leave();
    }
  }

  int tell_the_end() {
    const RoadStatus status = road_.status();
    if (plan_.once && status.agent.files_seen == 0 && status.agent.unreadable_count == 0)
      log::warning("no file matches; is each --from pattern in quotes and right?");
    const auto reasons = shortcomings(status, plan_.once ? Shown::all : Shown::unpublished);
    for (const std::string& reason : reasons) log::error(reason);
    if (plan_.once) {
      std::fputs(progress_.summary(status, mono_ms()).c_str(), stdout);
    } else {
      log::info("left; " + progress_.totals(status));
    }
    return reasons.empty() ? kDone : kNotDone;
  }

  asio::io_context& context_;
  Road& road_;
  StopSignals& signals_;
  const RunPlan& plan_;
  Progress progress_;
  LiveLine live_;
  AdminDoor door_;
  Bell bell_;
  Bell drained_bell_;  // whoever asked for the drain shall see how it ended
  int64_t held_since_ms_ = -1;
  bool ending_ = false;
  bool over_ = false;
  bool drained_ = false;
};

int run_plan(const RunPlan& plan) {
  raise_open_files();
  if (auto made = make_our_directories(plan.road, plan.state); !made)
    return failed(made.error().text);
  const auto lock = StateLock::take(plan.state);
  if (!lock) return failed(lock.error().text);

  asio::io_context context(1);
  StopSignals signals(context);
  if (auto installed = signals.install(); !installed) return failed(installed.error().text);
  Road road(context, plan.road);
  if (auto opened = road.open(); !opened) return failed(opened.error().text);
  if (StopSignals::came()) return kNotDone;
  log::info("publishing into " + places_of(plan.road.center) + "; state in " + plan.state);
  return Run(context, road, signals, plan).carry_out();
}

}  // namespace

int run(const RunSettings& settings) {
  RunPlan plan;
  plan.road = road_settings(settings);
  plan.state = settings.state;
  plan.admin = settings.admin;
  plan.once = settings.once;
  for (const std::string& text : settings.chosen) log::info(text);
  return run_plan(plan);
}

int run_with(const RoleConfig& config, bool once) {
  RunPlan plan;
  plan.road = *config.run;
  plan.road.agent.once = once;
  plan.state = config.state;
  plan.cluster = config.cluster;
  plan.admin = config.admin;
  plan.once = once;
  return run_plan(plan);
}

}  // namespace tailrace
