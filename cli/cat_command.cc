#include "cli/cat_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>

#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/live_line.h"
#include "cli/published.h"
#include "cli/time_range.h"
#include "sinks/format/sequence_file.h"

namespace tailrace {

namespace {

constexpr size_t kPieceBytes = 64 << 10;
constexpr int64_t kPatienceMs = 1000;  // before a progress line is worth its space
constexpr int64_t kProgressMs = 200;

constexpr std::string_view kExamples =
    "  tailrace cat ./collected                                  everything, in the order of the "
    "names\n"
    "  tailrace cat ./collected --category nginx | grep ' 500 '\n"
    "  tailrace cat ./collected --from 2026-11-22T13:00 --to 2026-11-22T15:00\n"
    "  tailrace cat ./collected/nginx/dt=2026-11-22              one day's directory\n";

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
    "is 1.\n";

constexpr Option kOptions[] = {
    {"category", "C", "", "only this category"},
    {"from", "T", "",
     "only what is of this time or later: 2026-11-22, 2026-11-22T13, 2026-11-22T13:00"},
    {"to", "T", "", "only what is before this time"},
};

enum class Printed { all, broken, reader_gone };

// Prints files on stdout and keeps a progress line when that takes long.
class Printer {
 public:
  explicit Printer(uint64_t bytes_in_all) : bytes_in_all_(bytes_in_all) {}

  // On `broken` the text says what and where.
  Printed print(const PublishedFile& file, std::string& text) {
    auto opened = open_file(file.path, O_RDONLY);
    if (!opened) {
      text = opened.error().text;
      return Printed::broken;
    }
    (void)posix_fadvise(opened->get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    const auto inflater = make_file_reader(file.path, file.codec);
    uint64_t offset = 0;
    while (true) {
      auto n = read_at(opened->get(), piece_, sizeof piece_, offset);
      lines_.clear();
      const Result<void> fed = !n       ? Result<void>(n.error())
                               : *n > 0 ? inflater->feed({piece_, *n}, lines_)
                                        : inflater->finish();
      if (!write(lines_)) return Printed::reader_gone;
      if (!fed) {
        text = escape(file.path) + ": broken at byte " + std::to_string(offset) + " or up to " +
               show_size(kPieceBytes) + " behind it: " + fed.error().text;
        return Printed::broken;
      }
      if (*n == 0) return Printed::all;
      offset += *n;
      done_ += *n;
      show_progress(file);
    }
  }

  [[nodiscard]] const std::string& write_trouble() const { return write_trouble_; }
  void clear() { live_.clear(); }

 private:
  // false: nobody reads any more, or stdout is full (write_trouble()).
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        if (errno != EPIPE) write_trouble_ = errno_error(errno, "writing to stdout").text;
        return false;
      }
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  void show_progress(const PublishedFile& file) {
    const int64_t now = mono_ms();
    if (quiet_ || now - start_ms_ < kPatienceMs || now - shown_ms_ < kProgressMs) return;
    shown_ms_ = now;
    const uint64_t percent = bytes_in_all_ == 0 ? 100 : done_ * 100 / bytes_in_all_;
    live_.show(std::to_string(percent) + " %  " + show_size(done_) + " of " +
               show_size(bytes_in_all_) + "  " + escape(file.path));
  }

  uint64_t bytes_in_all_;
  uint64_t done_ = 0;
  int64_t start_ms_ = mono_ms();
  int64_t shown_ms_ = 0;
  bool quiet_ = isatty(STDOUT_FILENO) == 1;  // the lines themselves are on the terminal
  LiveLine live_;
  std::string lines_;
  std::string write_trouble_;
  char piece_[kPieceBytes];
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

int run_cat(const Arguments& arguments) {
  const auto selection = selection_of(arguments);
  if (!selection || arguments.operands().empty()) {
    complain(selection ? "which directory or files? See: tailrace cat --help"
                       : selection.error().text);
    return 2;
  }
  std::vector<std::string> trouble;
  std::vector<PublishedFile> files;
  uint64_t bytes = 0;
  for (const std::string& operand : arguments.operands())
    for (PublishedFile& file : find_published(operand, *selection, trouble)) {
      bytes += file.bytes;
      files.push_back(std::move(file));
    }
  for (const std::string& text : trouble) complain(text);
  if (files.empty() && trouble.empty()) complain("no published file matches");

  int code = trouble.empty() ? 0 : 1;
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

}  // namespace

const Command& cat_command() {
  static const Command kCommand = {
      .name = "cat",
      .summary = "prints published lines, whatever the codec",
      .synopsis = "DIR|FILE... [--category C] [--from T] [--to T]",
      .examples = kExamples,
      .operands = "DIR|FILE...",
      .notes = kNotes,
      .options = kOptions,
      .run = run_cat,
  };
  return kCommand;
}

}  // namespace tailrace
