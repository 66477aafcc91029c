#include "cli/progress.h"

#include <algorithm>
#include <cstdio>

#include "base/units.h"

namespace tailrace {

namespace {

std::string per_second(uint64_t amount, int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f",
                static_cast<double>(amount) / static_cast<double>(std::max<int64_t>(ms, 1)) / 1000);
  return text;
}

std::string plural(uint64_t n, std::string_view one, std::string_view many) {
  return show_count(n) + " " + std::string(n == 1 ? one : many);
}

// `tailrace run` has one.
const SinkStatus& sink_of(const RoadStatus& status) {
  static const SinkStatus kNone;
  return status.center.sinks.empty() ? kNone : status.center.sinks.front();
}

std::string ratio(const SinkStatus& center) {
  char text[32];
  const double out = static_cast<double>(std::max<uint64_t>(center.file_bytes_published, 1));
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(center.raw_bytes_published) / out);
  return text;
}

}  // namespace

Progress::Progress(int64_t start_ms, std::string where)
    : start_ms_(start_ms), where_(std::move(where)), last_ms_(start_ms) {}

std::string Progress::line(const RoadStatus& status, int64_t mono_ms, int64_t wall_ms) {
  const AgentStatus& agent = status.agent;
  const int64_t ms = std::max<int64_t>(mono_ms - last_ms_, 1);
  const uint64_t lines = (agent.lines_read - last_lines_) * 1000 / static_cast<uint64_t>(ms);
  std::string text = per_second(agent.bytes_read - last_bytes_, ms) + " MB/s, " +
                     show_count(lines) + " lines/s, lag ";
  text += agent.oldest_unread_ms < 0
              ? "0"
              : show_duration(std::max<int64_t>(wall_ms - agent.oldest_unread_ms, 0));
  text += ", " + plural(agent.files, "file", "files") + " watched, " +
          plural(sink_of(status).files_published, "file", "files") + " published (" +
          show_size(sink_of(status).file_bytes_published) + ") in " + where_;
  const std::string trouble = trouble_of(status);
  if (!trouble.empty()) text += ", waiting: " + trouble;
  last_ms_ = mono_ms;
  last_bytes_ = agent.bytes_read;
  last_lines_ = agent.lines_read;
  return text;
}

std::string Progress::summary(const RoadStatus& status, int64_t mono_ms) const {
  const AgentStatus& agent = status.agent;
  const SinkStatus& center = sink_of(status);
  const int64_t ms = std::max<int64_t>(mono_ms - start_ms_, 1);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.1f", static_cast<double>(ms) / 1000);
  std::string text;
  const auto row = [&text](std::string_view name, const std::string& value) {
    std::string line(name);
    line.resize(18, ' ');
    text += line + value + "\n";
  };
  row("files read", show_count(agent.files_seen));
  row("lines read", show_count(agent.lines_read));
  row("bytes in", show_count(agent.bytes_read) + " (" + show_size(agent.bytes_read) + ")");
  row("lines published", show_count(center.lines_published));
  row("bytes published", show_count(center.file_bytes_published) + " (" +
                             show_size(center.file_bytes_published) + ")");
  row("files published", show_count(center.files_published) + " in " + where_);
  row("ratio", ratio(center));
  row("seconds", seconds);
  row("MB/s", per_second(agent.bytes_read, ms));
  return text;
}

std::string Progress::totals(const RoadStatus& status) const {
  const SinkStatus& center = sink_of(status);
  return plural(status.agent.lines_read, "line", "lines") + " read, " +
         show_count(center.lines_published) + " published in " +
         plural(center.files_published, "file", "files") + " (" +
         show_size(center.file_bytes_published) + ") in " + where_;
}

std::string trouble_of(const RoadStatus& status) {
  if (!status.agent.held.empty()) return "the agent holds: " + status.agent.held;
  if (!status.local.held.empty()) return "the spool holds: " + status.local.held;
  if (!sink_of(status).trouble.empty()) return sink_of(status).trouble;
  if (!status.local.trouble.empty()) return "no room for the spool: " + status.local.trouble;
  if (status.local.full)
    return "the spool is full (" + show_size(status.local.spool_bytes) + " of " +
           show_size(status.local.spool_quota_bytes) + ")";
  return "";
}

namespace {

void add_unread(const AgentStatus& agent, std::vector<std::string>& reasons) {
  for (const UnreadableFile& file : agent.unreadable)
    reasons.push_back("could not read " + escape(file.path, 4096) + ": " + file.reason);
  if (agent.unreadable_count > agent.unreadable.size())
    reasons.push_back("and " +
                      plural(agent.unreadable_count - agent.unreadable.size(), "file", "files") +
                      " more that could not be read");
  if (agent.gaps > 0)
    reasons.push_back(plural(agent.gaps, "gap", "gaps") +
                      " in files that changed or went while they were read (named above)");
}

}  // namespace

std::vector<std::string> shortcomings(const RoadStatus& status, Shown shown) {
  std::vector<std::string> reasons;
  const AgentStatus& agent = status.agent;
  const SinkStatus& center = sink_of(status);
  if (shown == Shown::all) add_unread(agent, reasons);
  const std::string trouble = trouble_of(status);
  if (!trouble.empty()) reasons.push_back(trouble);
  if (agent.lines_read > center.lines_published)
    reasons.push_back(plural(agent.lines_read - center.lines_published, "line", "lines") +
                      " read and not published yet; nothing is lost, the next start goes on");
  else if (!agent.idle || center.files_open > 0 || center.files_pending > 0)
    reasons.push_back("not everything is published yet; nothing is lost, the next start goes on");
  return reasons;
}

}  // namespace tailrace
