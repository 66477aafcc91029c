#include "cli/files_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/units.h"
#include "center/history.h"
#include "cli/cluster.h"
#include "cli/road.h"
#include "flow/codec.h"
#include "sinks/store/directory_store.h"
#include "sinks/store/hdfs_store.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kShown = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr size_t kMostRows = 40;
constexpr const char* kUsual = "/etc/tailrace/center.yaml";

std::string show_time(int64_t ms) {
  if (ms == kUnknownTime) return "-";
  const std::time_t seconds = ms / 1'000;
  std::tm utc{};
  char text[32] = "-";
  if (::gmtime_r(&seconds, &utc) != nullptr) std::strftime(text, sizeof text, "%FT%TZ", &utc);
  return text;
}

// --- where to look

Result<SinkSettings> sink_at(const std::string& where) {
  SinkSettings sink;
  if (where.find("://") == std::string::npos) {
    struct stat status {};
    if (::stat(where.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
      return Error{Error::Kind::rejected, escape(where) + " is no directory"};
    sink.root = where;
    return sink;
  }
  auto urls = parse_hdfs_urls(where);
  if (!urls) return urls.error();
  sink.root = urls->front().path;
  sink.hdfs_user = urls->front().user;
  if (sink.root.empty())
    return Error{Error::Kind::rejected,
                 escape(where) + " names no directory: " + urls->front().server() + "/logs"};
  sink.hdfs = std::move(*urls);
  return sink;
}

Result<std::vector<SinkSettings>> sinks_of(const std::string& file, std::string_view wanted) {
  const auto config = good_settings(file);
  if (!config) return config.error();
  std::vector<SinkSettings> sinks;
  if (config->center) sinks = config->center->settings.sinks;
  if (config->run) sinks = config->run->center.sinks;
  if (sinks.empty())
    return Error{Error::Kind::rejected,
                 escape(file) + " is no Center's: it says nothing of published files"};
  std::string names;
  for (const SinkSettings& sink : sinks) names += (names.empty() ? "" : ", ") + sink.name;
  if (!wanted.empty()) std::erase_if(sinks, [&](const auto& sink) { return sink.name != wanted; });
  if (sinks.empty())
    return Error{Error::Kind::rejected,
                 escape(file) + " has no sink '" + escape(wanted) + "', only: " + escape(names)};
  return sinks;
}

Result<std::vector<SinkSettings>> sinks_meant(const Arguments& arguments) {
  std::string file(arguments.value("config"));
  if (!arguments.operands().empty()) {
    if (!file.empty() || arguments.given("sink") || arguments.operands().size() > 1)
      return Error{Error::Kind::rejected,
                   "one place is wanted: a directory, an address of HDFS, or --config FILE"};
    auto sink = sink_at(arguments.operands().front());
    if (!sink) return sink.error();
    return std::vector<SinkSettings>{std::move(*sink)};
  }
  if (file.empty() && ::access(kUsual, R_OK) == 0) file = kUsual;
  if (file.empty())
    return Error{Error::Kind::rejected,
                 "where are the published files? Name their root, or a Center's settings with "
                 "--config (there is no " +
                     std::string(kUsual) + " here)"};
  return sinks_of(file, arguments.value("sink"));
}

Result<std::unique_ptr<Records>> records_of(const SinkSettings& sink) {
  if (!sink.hdfs.empty())
    return std::unique_ptr<Records>(
        std::make_unique<HdfsRecords>(std::make_shared<HdfsClient>(hdfs_settings(sink))));
  auto store = open_directory_store(sink.root);
  if (!store) return store.error();
  return std::move(store->records);
}

// --- what is shown

void show(const std::vector<HistoryFile>& files, std::string_view last, bool whole) {
  std::printf("%-20s %10s %14s %6s  %-20s %-20s  %s\n", "COMMITTED", "SIZE", "LINES", "HOSTS",
              "FIRST LINE", "LAST LINE", "FILE");
  uint64_t bytes = 0, lines = 0;
  size_t rows = 0, pending = 0;
  for (const HistoryFile& of : files) {
    bytes += of.file.bytes;
    lines += of.file.lines;
    pending += of.pending;
    if (++rows > kMostRows && !whole) continue;
    std::printf("%-20s %10s %14s %6s  %-20s %-20s  %s%s\n", show_time(of.committed_ms).c_str(),
                show_size(of.file.bytes).c_str(), show_count(of.file.lines).c_str(),
                show_count(of.file.hosts).c_str(), show_time(of.file.least_ms).c_str(),
                show_time(of.file.greatest_ms).c_str(), escape(of.file.final_path, 1024).c_str(),
                of.pending ? "  (not published yet)" : "");
  }
  if (rows > kMostRows && !whole)
    std::printf("and %s more: --category TEXT or a shorter --last shows less, --all every one\n",
                show_count(rows - kMostRows).c_str());
  std::printf("%s%s files, %s, %s lines in the last %s%s\n", files.empty() ? "" : "\n",
              show_count(files.size()).c_str(), show_size(bytes).c_str(), show_count(lines).c_str(),
              std::string(last).c_str(),
              pending == 0 ? "" : ("; " + show_count(pending) + " not published yet").c_str());
}

Json time_or_null(int64_t ms) { return ms == kUnknownTime ? Json(nullptr) : Json(ms); }

Json as_json(const SinkSettings& sink, const std::vector<HistoryFile>& files) {
  Json out = {{"sink", sink.name}, {"root", sink.where()}, {"files", Json::array()}};
  for (const HistoryFile& of : files)
    out["files"].push_back({{"path", of.file.final_path},
                            {"category", of.file.category},
                            {"committed_ms", of.committed_ms},
                            {"published", !of.pending},
                            {"bytes", of.file.bytes},
                            {"raw_bytes", of.file.raw_bytes},
                            {"lines", of.file.lines},
                            {"hosts", of.file.hosts},
                            {"codec", codec_name(of.file.codec)},
                            {"format", format_name(of.file.format)},
                            {"first_line_ms", time_or_null(of.file.least_ms)},
                            {"last_line_ms", time_or_null(of.file.greatest_ms)},
                            {"center", of.center}});
  return out;
}

int failed(const std::string& why, int code) {
  std::fprintf(stderr, "tailrace files: %s\n", why.c_str());
  return code;
}

int run_files(const Arguments& arguments) {
  const std::string_view last = arguments.value("last");
  const auto span_ms = parse_duration_ms(last);
  if (!span_ms) return failed("--last: " + span_ms.error().text, kWrongUsage);
  const auto sinks = sinks_meant(arguments);
  if (!sinks) return failed(sinks.error().text, kWrongUsage);
  const bool json = arguments.value("format") == "json";
  const std::string_view wanted = arguments.value("category");
  Json all = Json::array();
  for (const SinkSettings& sink : *sinks) {
    const auto records = records_of(sink);
    auto files = records ? read_history(**records, wall_ms() - *span_ms)
                         : Result<std::vector<HistoryFile>>(records.error());
    if (!files) return failed(escape(sink.where()) + ": " + files.error().text, kFailed);
    std::erase_if(*files, [&](const HistoryFile& of) {
      return of.file.category.find(wanted) == std::string::npos;
    });
    if (json) {
      all.push_back(as_json(sink, *files));
      continue;
    }
    if (sinks->size() > 1)
      std::printf("%s== %s: %s\n", &sink == sinks->data() ? "" : "\n", sink.name.c_str(),
                  escape(sink.where()).c_str());
    show(*files, last, arguments.given("all"));
  }
  if (json) std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  return kShown;
}

constexpr Option kOptions[] = {
    {"last", "TIME", "1h", "how far back: 10m, 1h, 2d, at most about 30d"},
    {"category", "TEXT", "", "only categories with this in their name"},
    {"config", "FILE", "", "a Center's settings: all its sinks (/etc/tailrace/center.yaml)"},
    {"sink", "NAME", "", "with settings: only this sink"},
    {"all", "", "", "every file, however many"},
    {"format", "text|json", "text", "json: an array of sinks with their files"},
};
}  // namespace

const Command& files_command() {
  static const Command kCommand = {
      .name = "files",
      .summary = "lists what was published: when, how large, how many lines of how many hosts",
      .synopsis = "[DIR|URL] [--last 1h] [--category TEXT] [--format json]",
      .examples =
          "  tailrace files ./collected\n"
          "  tailrace files webhdfs://nn1:9870,nn2:9870/logs --last 6h --category nginx\n"
          "  tailrace files --config /etc/tailrace/center.yaml --sink warehouse\n",
      .operands = "DIR|URL",
      .notes =
          "What the Centers' commit logs say is shown, newest first: what somebody has moved or\n"
          "removed since is shown too. 'Not published yet' is a file that is committed and waits,\n"
          "for a quota or a permission. Nothing is changed.\n\n"
          "Exit codes: 0 shown, 1 the place cannot be read, 2 wrong usage.\n",
      .options = kOptions,
      .run = run_files,
  };
  return kCommand;
}

}  // namespace tailrace
