// One line on a terminal that is written over again and again, and gives way to messages.
// Thread: the road (or main).
#pragma once

#include <string_view>

namespace tailrace {

class LiveLine {
 public:
  // On stderr, if that is a terminal; else show() does nothing.
  LiveLine();
  ~LiveLine();  // takes the line away
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  [[nodiscard]] bool on_terminal() const { return on_terminal_; }
  // Cut at the terminal's width.
  void show(std::string_view text);
  void clear();

 private:
  bool on_terminal_;
};

}  // namespace tailrace
