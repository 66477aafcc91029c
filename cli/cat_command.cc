#include "cli/cat_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "base/clock.h"
#include "base/units.h"
#include "cli/cat_kafka.h"
#include "cli/line_output.h"
#include "cli/live_line.h"
#include "cli/places.h"
#include "cli/published.h"
#include "cli/road.h"
#include "cli/time_range.h"
#include "sinks/format/sequence_file.h"

namespace tailrace {

namespace {

constexpr size_t kBiteBytes = 64 << 10;
constexpr int64_t kPatienceMs = 1000;  // before a progress line is worth its space
constexpr int64_t kProgressMs = 200;

constexpr std::string_view kExamples =
    "  tailrace cat ./collected                                  everything, in the order of the "
    "names\n"
    "  tailrace cat ./collected --category nginx | grep ' 500 '\n"
    "  tailrace cat ./collected --from 2026-11-22T13:00 --to 2026-11-22T15:00\n"
    "  tailrace cat ./collected/nginx/dt=2026-11-22              one day's directory\n"
    "  tailrace cat webhdfs://nn1:9870,nn2:9870/logs/nginx       also a single file\n"
    "  tailrace cat --config /etc/tailrace/center.yaml --sink warehouse --category nginx\n"
    "  tailrace cat kafka://broker-1:9092/nginx | grep ' 500 '    a topic, to its end\n"
    "  tailrace cat kafka://broker-1:9092/nginx --from 2026-11-22T13:00 --follow\n"
    "  tailrace cat kafka://broker-1:9093/nginx --config /etc/tailrace/center.yaml    with its "
    "passwords\n";

constexpr std::string_view kNotes =
    "Which files a time means: those in a dt=2026-11-22/hr=13 directory that it touches (without "
    "hr=, the\n"
    "whole day); where the layout has no such directories, those that were closed in that time, "
    "which\n"
    "their names tell. The time zone is the directories' own: UTC, unless `tailrace run` was told "
    "another.\n"
    "Whole files are printed: the times select files, not lines.\n"
    "\n"
    "Names that begin with '_' or '.' are not published and never read. A broken file is named "
    "with the\n"
    "byte at which it breaks, what came before is printed, the other files too, and the exit code "
    "is 1.\n"
    "\n"
    "Of a topic what is committed is printed (read_committed), partition by partition in the order "
    "of\n"
    "offsets, up to where each ended when it was asked; packed batches are unpacked, pieces of "
    "long "
    "lines\n"
    "joined. A transaction that is open there is waited for. The times select records by their own "
    "time,\n"
    "in UTC. Without a TOPIC those of all the sink's categories are read. Settings that have files "
    "too\n"
    "mean these, unless --sink names the one of Kafka. What cannot be unpacked is named with "
    "partition\n"
    "and offset; the rest is printed, and the exit code is 1.\n"
    "\n"
    "Exit codes: 0 printed, 1 something is broken, away or not there, 2 wrong usage.\n";

constexpr Option kOptions[] = {
    {"category", "C", "", "only this category"},
    {"from", "T", "",
     "only what is of this time or later: 2026-11-22, 2026-11-22T13, 2026-11-22T13:00"},
    {"to", "T", "", "only what is before this time"},
    kPlaceOptions[0],
    kPlaceOptions[1],
    {"follow", "", "", "of a topic: what comes behind its end too, until it is ended"},
};

enum class Printed { all, broken, reader_gone };

// Prints files on stdout and keeps a progress line when that takes long.
class Printer {
 public:
  explicit Printer(uint64_t bytes_in_all) : bytes_in_all_(bytes_in_all) {}

  // On `broken` the text says what and where.
  Printed print(const PublishedFile& file, std::string& text) {
    auto opened = open_published(file);
    if (!opened) {
      text = opened.error().text;
      return Printed::broken;
    }
    const auto inflater = make_file_reader(file.path, file.codec);
    uint64_t offset = 0;
    while (true) {
      const auto piece = (*opened)->next();
      if (!piece) {
        text = file.shown() + ": " + piece.error().text;
        return Printed::broken;
      }
      // In small bites, so that little is held inflated and a broken place is told to some KiB.
      for (size_t at = 0; at < std::max<size_t>(piece->size(), 1); at += kBiteBytes) {
        const std::string_view bite = piece->substr(at, kBiteBytes);
        lines_.clear();
        const auto fed = bite.empty() ? inflater->finish() : inflater->feed(bite, lines_);
        if (!output_.write(lines_)) return Printed::reader_gone;
        if (!fed) {
          text = file.shown() + ": broken at byte " + std::to_string(offset) + " or up to " +
                 show_size(kBiteBytes) + " behind it: " + fed.error().text;
          return Printed::broken;
        }
        offset += bite.size();
        done_ += bite.size();
        show_progress(file);
      }
      if (piece->empty()) return Printed::all;
    }
  }

  [[nodiscard]] const std::string& write_trouble() const { return output_.trouble(); }
  void clear() { live_.clear(); }

 private:
  void show_progress(const PublishedFile& file) {
    const int64_t now = mono_ms();
    if (quiet_ || now - start_ms_ < kPatienceMs || now - shown_ms_ < kProgressMs) return;
    shown_ms_ = now;
    const uint64_t percent = bytes_in_all_ == 0 ? 100 : done_ * 100 / bytes_in_all_;
    live_.show(std::to_string(percent) + " %  " + show_size(done_) + " of " +
               show_size(bytes_in_all_) + "  " + file.shown());
  }

  uint64_t bytes_in_all_;
  uint64_t done_ = 0;
  int64_t start_ms_ = mono_ms();
  int64_t shown_ms_ = 0;
  bool quiet_ = isatty(STDOUT_FILENO) == 1;  // the lines themselves are on the terminal
  LiveLine live_;
  std::string lines_;
  LineOutput output_;
};

void complain(std::string_view text) {
  std::fprintf(stderr, "tailrace cat: %.*s\n", static_cast<int>(text.size()), text.data());
}

Result<Selection> selection_of(const Arguments& arguments) {
  Selection selection;
  selection.category = std::string(arguments.value("category"));
  if (!selection.category.empty() && !valid_category(selection.category))
    return Error{Error::Kind::rejected,
                 "'" + escape(selection.category, 64) + "' can't be a category"};
  for (const bool to : {false, true}) {
    const std::string_view name = to ? "to" : "from";
    if (!arguments.given(name)) continue;
    const auto time = parse_time(arguments.value(name));
    if (!time) return time.error().within("--" + std::string(name));
    (to ? selection.time.to_s : selection.time.from_s) = *time;
  }
  return selection;
}

struct Found {
  std::vector<PublishedFile> files{};
  std::vector<std::string> trouble{};
  std::vector<TopicToPrint> topics{};

  void take(std::vector<PublishedFile> more) {
    files.insert(files.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
  }
  void look(const SinkSettings& place, const Selection& selection) {
    if (place.hdfs.empty()) return take(find_published(place.root, selection, trouble));
    const auto client = std::make_shared<HdfsClient>(hdfs_settings(place));
    take(find_published(client, place.root, selection, trouble));
  }
  Result<void> look(const KafkaSettings& kafka, const Selection& selection) {
    auto more = topics_to_print(kafka, selection.category);
    if (!more) return more.error();
    topics.insert(topics.end(), more->begin(), more->end());
    return {};
  }
};

// What settings name: the files, for each sink has all lines; those of Kafka where there are none,
// or --sink says so.
Result<void> find_in_settings(const Arguments& arguments, const Selection& selection,
                              Found& found) {
  auto sinks = sinks_in(std::string(arguments.value("config")), arguments.value("sink"));
  if (!sinks) return sinks.error();
  const auto kafka = [](const SinkSettings& sink) { return sink.is_kafka(); };
  if (!std::all_of(sinks->begin(), sinks->end(), kafka)) std::erase_if(*sinks, kafka);
  for (const SinkSettings& sink : *sinks) {
    if (!sink.is_kafka()) {
      found.look(sink, selection);
    } else if (auto looked = found.look(sink.kafka, selection); !looked) {
      return looked.error();
    }
  }
  return {};
}

// rejected: a wrong command line.
Result<Found> find(const Arguments& arguments, const Selection& selection) {
  Found found;
  const auto& operands = arguments.operands();
  const bool settings = arguments.given("config") || arguments.given("sink");
  const bool kafka =
      !operands.empty() && std::all_of(operands.begin(), operands.end(), is_kafka_url);
  if (operands.empty() ? !arguments.given("config") : settings && !kafka)
    return Error{Error::Kind::rejected,
                 "which directory, files or topic? Name them, or a Center's settings with "
                 "--config. See: tailrace cat --help"};
  for (const std::string& operand : operands) {
    if (is_kafka_url(operand)) {
      const auto at = kafka_at(operand, arguments);
      if (!at) return at.error();
      if (auto looked = found.look(*at, selection); !looked) return looked.error();
    } else if (is_address(operand)) {
      const auto place = place_at(operand);
      if (!place) return place.error();
      found.look(*place, selection);
    } else {
      found.take(find_published(operand, selection, found.trouble));
    }
  }
  if (operands.empty()) {
    if (auto looked = find_in_settings(arguments, selection, found); !looked) return looked.error();
  }
  if (arguments.given("follow") && (found.topics.size() != 1 || !found.files.empty()))
    return Error{Error::Kind::rejected, "--follow is of one topic of Kafka"};
  return found;
}

// Both are of the wall's seconds; a topic's are UTC.
TopicSpan span_of(const Arguments& arguments, const TimeRange& time) {
  TopicSpan span;
  if (arguments.given("from")) span.from_ms = time.from_s * 1000;
  if (arguments.given("to")) span.to_ms = time.to_s * 1000;
  span.follow = arguments.given("follow");
  return span;
}

int print_files(const std::vector<PublishedFile>& files) {
  uint64_t bytes = 0;
  for (const PublishedFile& file : files) bytes += file.bytes;
  int code = 0;
  const auto printer = std::make_unique<Printer>(bytes);
  for (const PublishedFile& file : files) {
    std::string text;
    const Printed printed = printer->print(file, text);
    if (printed == Printed::broken) {
      printer->clear();
      complain(text);
      code = 1;
    } else if (printed == Printed::reader_gone) {
      printer->clear();
      if (printer->write_trouble().empty()) return 0;
      complain(printer->write_trouble());
      return 1;
    }
  }
  return code;
}

int run_cat(const Arguments& arguments) {
  const auto selection = selection_of(arguments);
  const auto found = selection ? find(arguments, *selection) : Result<Found>(selection.error());
  if (!found) {
    complain(found.error().text);
    return exit_code(found.error());
  }
  const auto& [files, trouble, topics] = *found;
  for (const std::string& text : trouble) complain(text);
  if (files.empty() && trouble.empty() && topics.empty())
    complain(arguments.operands().empty() || !is_kafka_url(arguments.operands().front())
                 ? "no published file matches"
                 : "no line has come there yet");
  int code = std::max(trouble.empty() ? 0 : 1, print_files(files));
  const TopicSpan span = span_of(arguments, selection->time);
  for (const TopicToPrint& topic : topics) {
    if (LineOutput::unread()) break;
    code = std::max(code, print_topic(topic, span));
  }
  return code;
}

}  // namespace

const Command& cat_command() {
  static const Command kCommand = {
      .name = "cat",
      .summary = "prints published lines, whatever the codec",
      .synopsis = "DIR|FILE|URL... [--category C] [--from T] [--to T] [--follow]",
      .examples = kExamples,
      .operands = "DIR|FILE|URL...",
      .notes = kNotes,
      .options = kOptions,
      .run = run_cat,
  };
  return kCommand;
}

}  // namespace tailrace
