#include "cli/live_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/log.h"

namespace tailrace {

namespace {

constexpr const char* kErase = "\r\033[K";

size_t terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// The first `columns` characters of UTF-8 text.
std::string_view cut(std::string_view text, size_t columns) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts && columns-- == 0) return text.substr(0, i);
  }
  return text;
}

}  // namespace

LiveLine::LiveLine() : on_terminal_(isatty(STDERR_FILENO) == 1) {
  if (on_terminal_) log::set_prefix(kErase);
}

LiveLine::~LiveLine() {
  clear();
  if (on_terminal_) log::set_prefix("");
}

void LiveLine::show(std::string_view text) {
  if (!on_terminal_) return;
  std::string line = kErase;
  line += cut(text, terminal_width() - 1);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void LiveLine::clear() {
  if (!on_terminal_) return;
  std::fputs(kErase, stderr);
  std::fflush(stderr);
}

}  // namespace tailrace
