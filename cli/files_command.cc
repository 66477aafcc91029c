#include "cli/files_command.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/units.h"
#include "center/history.h"
#include "cli/places.h"
#include "flow/codec.h"

namespace tailrace {

namespace {
using Json = nlohmann::ordered_json;
constexpr int kShown = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr size_t kMostRows = 40;

std::string show_time(int64_t ms) { return ms == kUnknownTime ? "-" : show_utc(ms); }

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

int failed(const Error& why, int code) {
  std::fprintf(stderr, "tailrace files: %s\n", why.text.c_str());
  return code;
}

int run_files(const Arguments& arguments) {
  const std::string_view last = arguments.value("last");
  const auto span_ms = parse_duration_ms(last);
  if (!span_ms) return failed(span_ms.error().within("--last"), kWrongUsage);
  const auto sinks = places_meant(arguments);
  if (!sinks) return failed(sinks.error(), exit_code(sinks.error()));
  const bool json = arguments.value("format") == "json";
  const std::string_view wanted = arguments.value("category");
  Json all = Json::array();
  for (const SinkSettings& sink : *sinks) {
    const auto place = open_place(sink);
    auto files = place ? read_history(*place->records, *place->files, wall_ms() - *span_ms)
                       : Result<std::vector<HistoryFile>>(place.error());
    if (!files) return failed(files.error().within(escape(sink.where())), kFailed);
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
    kPlaceOptions[0],
    kPlaceOptions[1],
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
