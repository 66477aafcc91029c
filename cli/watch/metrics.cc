// The table of metrics, and what fills it.
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/watch/figures.h"

namespace tailrace {

namespace {
using enum Metric::Type;

// Agent first, then Local, then Center, then what every process has: metrics_of() cuts it.
constexpr Metric kMetrics[] = {
    {"tailrace_agent_lines_taken_total", counter, "category", "lines read"},
    {"tailrace_agent_lines_waiting", gauge, "category", "lines read and not acked by the Local"},
    {"tailrace_agent_lines_passed_total", counter, "category", "lines acked by the Local"},
    {"tailrace_agent_refused_total", counter, "", "refusals by the Local; what was refused waits"},
    {"tailrace_agent_read_bytes_total", counter, "", "bytes read from log files"},
    {"tailrace_agent_unread_bytes", gauge, "category", "bytes known to stand in files, unread"},
    {"tailrace_agent_oldest_unread_seconds", gauge, "", "age of the oldest unread byte; 0: none"},
    {"tailrace_agent_oldest_unpublished_seconds", gauge, "category",
     "for how long the oldest line that was read and is not committed at every sink has waited"},
    {"tailrace_agent_files", gauge, "", "files that are followed"},
    {"tailrace_agent_files_unreadable", gauge, "", "files that match and can't be read"},
    {"tailrace_agent_split_lines_total", counter, "", "lines longer than max_record, cut"},
    {"tailrace_agent_gaps_total", counter, "", "pieces of files that were gone before being read"},
    {"tailrace_agent_connected", gauge, "", "1 while the Local takes lines"},

    {"tailrace_local_lines_before", gauge, "category", "lines that the spool held at the start"},
    {"tailrace_local_lines_taken_total", counter, "category", "lines taken into the spool"},
    {"tailrace_local_lines_waiting", gauge, "category",
     "lines not committed at every required sink"},
    {"tailrace_local_lines_waiting_at_sink", gauge, "sink|category",
     "lines not committed at that sink: whose are many holds the spool back"},
    {"tailrace_local_lines_passed_total", counter, "category",
     "lines committed at every required sink"},
    {"tailrace_local_lines_given_up_total", counter, "sink|category",
     "lines that a sink which is not required misses, since the spool was full"},
    {"tailrace_local_lines_refused_total", counter, "category",
     "lines that came and were not taken, each as often as it came; their agent has them"},
    {"tailrace_local_lines_lost_total", counter, "category|reason",
     "lines that the spool had taken and nobody has any more"},
    {"tailrace_local_refused_total", counter, "",
     "batches and connections refused, and refusals by Centers; what was refused is sent again"},
    {"tailrace_local_spool_bytes", gauge, "", "what the spool holds"},
    {"tailrace_local_spool_limit_bytes", gauge, "", "what it may hold"},
    {"tailrace_local_oldest_waiting_seconds", gauge, "",
     "for how long the oldest uncommitted line has waited here; 0: none"},
    {"tailrace_local_agent_connected", gauge, "", "1 while the agent is connected"},
    {"tailrace_local_center_connected", gauge, "", "1 while a Center is connected"},

    {"tailrace_center_lines_taken_total", counter, "sink|category",
     "lines received, each as often as it came"},
    {"tailrace_center_lines_waiting", gauge, "sink|category",
     "lines received and not committed; their Locals keep them"},
    {"tailrace_center_lines_committed_total", counter, "sink|category", "lines committed"},
    {"tailrace_center_lines_unpublished", gauge, "sink|category",
     "lines committed and not yet in readers' sight"},
    {"tailrace_center_lines_passed_total", counter, "sink|category", "lines published"},
    {"tailrace_center_lines_refused_total", counter, "sink|category",
     "lines that came and are never taken, each as often as it came; their Locals have them"},
    {"tailrace_center_lines_lost_total", counter, "sink|category",
     "lines committed, in files that somebody removed before they were published"},
    {"tailrace_center_lines_clock_skewed_total", counter, "",
     "lines filed under this Center's time, since their host's clock was impossible"},
    {"tailrace_center_refused_total", counter, "", "frames and connections refused"},
    {"tailrace_center_files_published_total", counter, "sink|category", "files published"},
    {"tailrace_center_files_fewest_total", counter, "sink|category",
     "files of roll.size that could hold as much: bytes / roll.size, rounded up for each "
     "directory"},
    {"tailrace_center_files_over_fewest", gauge, "sink",
     "the one over the other since the start; 1: no file is smaller than it must be; 0: no file"},
    {"tailrace_center_files_open", gauge, "sink|category", "files being written"},
    {"tailrace_center_lanes", gauge, "sink|category", "lanes owned"},
    {"tailrace_center_published_bytes_total", counter, "sink", "bytes of published files"},
    {"tailrace_center_published_raw_bytes_total", counter, "sink", "the same before compression"},
    {"tailrace_center_newest_published_timestamp_seconds", gauge, "sink",
     "when a file was last published; 0: none yet"},
    {"tailrace_center_sink_in_trouble", gauge, "sink",
     "1 while files or lanes wait for the sink; /readyz says why"},
    {"tailrace_center_locals_connected", gauge, "", "Locals connected"},
    {"tailrace_center_zookeeper_connected", gauge, "",
     "1 while ZooKeeper says who is there; absent without one. 0: lines flow on, who lives is "
     "asked "
     "in the store"},
    {"tailrace_center_zookeeper_away_seconds", gauge, "", "for how long it has not said so"},
    {"tailrace_center_zookeeper_announced", gauge, "", "1 while this Center's own node stands"},
    {"tailrace_center_zookeeper_centers", gauge, "", "Centers that are there, this one too"},
    {"tailrace_center_zookeeper_nodes_ignored", gauge, "",
     "nodes that are not a Center's, or not believed; the log says why"},
    {"tailrace_center_rebalance_paused", gauge, "", "1 while the operator has paused it"},

    {"tailrace_ready", gauge, "", "1 if /readyz says 200"},
    {"tailrace_build_info", gauge, "version", "1"},
    {"process_start_time_seconds", gauge, "", "when the process started"},
    {"process_cpu_seconds_total", counter, "", "user and system time"},
    {"process_resident_memory_bytes", gauge, "", "memory in use"},
    {"process_open_fds", gauge, "", "open descriptors"},
};

bool belongs(const Metric& metric, std::string_view role) {
  constexpr std::string_view kOfRoles[] = {"tailrace_agent_", "tailrace_local_",
                                           "tailrace_center_"};
  for (const std::string_view of : kOfRoles)
    if (metric.name.starts_with(of))
      return role == "run" || of == "tailrace_" + std::string(role) + "_";
  return true;
}

double seconds_since(int64_t then_ms, int64_t now_ms) {
  return then_ms < 0 || now_ms < then_ms ? 0.0 : static_cast<double>(now_ms - then_ms) / 1000;
}

double as_double(uint64_t n) { return static_cast<double>(n); }

// A sink's name is the operator's, or a peer's word.
std::string at_sink(std::string name, const std::string& category) {
  std::replace(name.begin(), name.end(), '|', '/');
  return category.empty() ? name : name + "|" + category;
}

void set_agent(const AgentStatus& s, int64_t now_ms, MetricValues& out) {
  for (const auto& [category, flow] : s.categories) {
    out.set("tailrace_agent_lines_taken_total", as_double(flow.taken), category);
    out.set("tailrace_agent_lines_waiting", as_double(flow.waiting), category);
    out.set("tailrace_agent_lines_passed_total", as_double(flow.passed), category);
    out.set("tailrace_agent_unread_bytes", as_double(flow.bytes_unread), category);
    out.set("tailrace_agent_oldest_unpublished_seconds",
            seconds_since(flow.oldest_unpublished_ms, now_ms), category);
  }
  out.set("tailrace_agent_refused_total", as_double(s.refused));
  out.set("tailrace_agent_read_bytes_total", as_double(s.bytes_read));
  out.set("tailrace_agent_oldest_unread_seconds", seconds_since(s.oldest_unread_ms, now_ms));
  out.set("tailrace_agent_files", as_double(s.files));
  out.set("tailrace_agent_files_unreadable", as_double(s.unreadable_count));
  out.set("tailrace_agent_split_lines_total", as_double(s.split_lines));
  out.set("tailrace_agent_gaps_total", as_double(s.gaps));
  out.set("tailrace_agent_connected", s.connected ? 1 : 0);
}

void set_local(const LocalStatus& s, int64_t now_ms, MetricValues& out) {
  for (const auto& [category, tally] : s.categories) {
    out.set("tailrace_local_lines_before", as_double(tally.before), category);
    out.set("tailrace_local_lines_taken_total", as_double(tally.taken), category);
    out.set("tailrace_local_lines_waiting", as_double(tally.waiting), category);
    out.set("tailrace_local_lines_passed_total", as_double(tally.passed), category);
    out.set("tailrace_local_lines_refused_total", as_double(tally.refused), category);
  }
  for (const auto& [key, lines] : s.waiting_at)
    out.set("tailrace_local_lines_waiting_at_sink", as_double(lines),
            at_sink(key.first, key.second));
  for (const auto& [key, lines] : s.lines_given_up)
    out.set("tailrace_local_lines_given_up_total", as_double(lines),
            at_sink(key.first, key.second));
  for (const auto& [key, lines] : s.lines_lost)
    out.set("tailrace_local_lines_lost_total", as_double(lines), key.first + "|" + key.second);
  out.set("tailrace_local_refused_total", as_double(s.refused));
  out.set("tailrace_local_spool_bytes", as_double(s.spool_bytes));
  out.set("tailrace_local_spool_limit_bytes", as_double(s.spool_quota_bytes));
  out.set("tailrace_local_oldest_waiting_seconds", seconds_since(s.oldest_waiting_ms, now_ms));
  out.set("tailrace_local_agent_connected", s.agent_connected ? 1 : 0);
  out.set("tailrace_local_center_connected", s.center.empty() ? 0 : 1);
}

void set_sink(const SinkStatus& s, MetricValues& out) {
  const std::string name = at_sink(s.name, "");
  uint64_t files = 0, fewest = 0;
  for (const auto& [category, flow] : s.categories) {
    const std::string of = at_sink(s.name, category);
    out.set("tailrace_center_lines_taken_total", as_double(flow.taken), of);
    out.set("tailrace_center_lines_waiting", as_double(flow.uncommitted), of);
    out.set("tailrace_center_lines_committed_total", as_double(flow.committed), of);
    out.set("tailrace_center_lines_unpublished", as_double(flow.unpublished), of);
    out.set("tailrace_center_lines_passed_total", as_double(flow.published), of);
    out.set("tailrace_center_lines_refused_total", as_double(flow.refused), of);
    out.set("tailrace_center_lines_lost_total", as_double(flow.lost), of);
    out.set("tailrace_center_files_published_total", as_double(flow.files), of);
    out.set("tailrace_center_files_fewest_total", as_double(flow.fewest_files), of);
    files += flow.files;
    fewest += flow.fewest_files;
    out.set("tailrace_center_files_open", as_double(flow.open_files), of);
    out.set("tailrace_center_lanes", as_double(flow.lanes), of);
  }
  out.set("tailrace_center_files_over_fewest",
          fewest == 0 ? 0 : as_double(files) / as_double(fewest), name);
  out.set("tailrace_center_published_bytes_total", as_double(s.file_bytes_published), name);
  out.set("tailrace_center_published_raw_bytes_total", as_double(s.raw_bytes_published), name);
  out.set("tailrace_center_newest_published_timestamp_seconds",
          s.newest_published_ms < 0 ? 0 : static_cast<double>(s.newest_published_ms) / 1000,
          s.name);
  out.set("tailrace_center_sink_in_trouble", s.trouble.empty() ? 0 : 1, name);
}

void set_center(const CenterStatus& s, MetricValues& out) {
  for (const SinkStatus& sink : s.sinks) set_sink(sink, out);
  out.set("tailrace_center_lines_clock_skewed_total", as_double(s.lines_clock_skewed));
  out.set("tailrace_center_refused_total", as_double(s.refused));
  out.set("tailrace_center_locals_connected", as_double(s.locals));
}

void set_discovery(const DiscoveryStatus& s, MetricValues& out) {
  out.set("tailrace_center_zookeeper_connected", s.connected ? 1 : 0);
  out.set("tailrace_center_zookeeper_away_seconds", static_cast<double>(s.away_ms) / 1000);
  out.set("tailrace_center_zookeeper_announced", s.announced ? 1 : 0);
  out.set("tailrace_center_zookeeper_centers", as_double(s.centers));
  out.set("tailrace_center_zookeeper_nodes_ignored", as_double(s.ignored));
  out.set("tailrace_center_rebalance_paused", s.paused ? 1 : 0);
}

double resident_bytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long size = 0, resident = 0;
  const int got = std::fscanf(file, "%lu %lu", &size, &resident);
  std::fclose(file);
  return got == 2 ? static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE))
                  : 0;
}

double open_descriptors() {
  DIR* const dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  int n = -3;  // ".", ".." and the directory's own
  while (::readdir(dir) != nullptr) ++n;
  ::closedir(dir);
  return n;
}

double cpu_seconds() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
}  // namespace

std::string metrics_text(const Snapshot& now, bool ready) {
  MetricValues out(kMetrics);
  if (now.agent) set_agent(*now.agent, now.now_ms, out);
  if (now.local) set_local(*now.local, now.now_ms, out);
  if (now.center) set_center(*now.center, out);
  if (now.discovery) set_discovery(*now.discovery, out);
  out.set("tailrace_ready", ready ? 1 : 0);
  out.set("tailrace_build_info", 1, TAILRACE_VERSION);
  out.set("process_start_time_seconds", static_cast<double>(now.started_ms) / 1000);
  out.set("process_cpu_seconds_total", cpu_seconds());
  out.set("process_resident_memory_bytes", resident_bytes());
  out.set("process_open_fds", open_descriptors());
  return out.text();
}

std::vector<Metric> metrics_of(std::string_view role) {
  std::vector<Metric> out;
  for (const Metric& metric : kMetrics)
    if (belongs(metric, role)) out.push_back(metric);
  return out;
}

std::string metrics_page() {
  std::string out =
      "# Metrics\n\nWritten by `build/bin/tailrace config --metrics-page`, from the table that "
      "`/metrics` is made of; change that table (cli/watch/metrics.cc), not this page.\n\n"
      "Each role serves `/metrics` on its admin port (17420 agent and `tailrace run`, 17421 Local, "
      "17422 Center; loopback): `curl -s 127.0.0.1:17420/metrics | promtool check metrics`. No "
      "metric has a label for a file, a peer or a host; `tailrace status` names those.\n\n"
      "**Four figures a stop, with the same names**: what it has *taken*, what is *waiting* there, "
      "what it has *passed* on, what was *refused* (an agent refuses no line; its refusals are "
      "the Local's). What one stop passes, the next one takes:\n\n"
      "```\nagent   taken                = waiting + passed\n"
      "Local   before + taken       = waiting + passed + lost\n"
      "Center  committed            = unpublished + passed + lost\n```\n\n"
      "A Center has them for each of its sinks. "
      "They hold within a process at every moment; only a Center's right side may be larger, since "
      "it also publishes what an earlier life had committed.\n\n"
      "**The balance**, by category, in lines: what the agent has taken (and the spool held "
      "before) = what the Center has passed (published) + what is in flight (agent waiting, Local "
      "waiting, Center unpublished) + lost (Local, Center). It closes exactly when nothing is "
      "under way between "
      "two roles; a line under way may be counted at both. Counters begin at 0 with each process, "
      "so compare processes that have run together. `tailrace status` shows it for `tailrace "
      "run`.\n";
  for (const std::string_view role : {"agent", "local", "center", "every"}) {
    out += "\n## " + std::string(role == "every" ? "every program" : "tailrace-") +
           std::string(role == "every" ? "" : role) +
           "\n\n| metric | type | label | meaning |\n| --- | --- | --- | --- |\n";
    std::vector<Metric> rows;
    for (const Metric& metric : kMetrics) {
      const bool common = belongs(metric, "agent") && belongs(metric, "local");
      if (role == "every" ? common : belongs(metric, role) && !common) rows.push_back(metric);
    }
    out += metrics_as_rows(rows);
  }
  return out;
}

}  // namespace tailrace
