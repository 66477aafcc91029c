// Who may come in at a Center's door: how many in all, from one address, at once without having
// said who they are, and how fast; and who was refused so lately that he waits outside. Thread: the
// road. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

namespace tailrace {

struct DoorLimits {
  size_t most = 12'000;          // connections
  size_t most_of_address = 64;   // of one address; those of this machine are exempt
  size_t most_strangers = 200;   // that have not said HELLO yet
  uint32_t most_a_second = 500;  // and as many at once
};

class Door {
 public:
  explicit Door(DoorLimits limits) : limits_(limits), tokens_(limits.most_a_second) {}

  // Empty: he is in, and left() must follow. Else why not. `host`: empty for this machine.
  std::string_view knock(const std::string& host, int64_t now_ms);
  void greeted() { --strangers_; }
  void left(const std::string& host, bool was_greeted);

  [[nodiscard]] size_t inside() const { return inside_; }

 private:
  DoorLimits limits_;
  size_t inside_ = 0;
  size_t strangers_ = 0;
  std::map<std::string, size_t> of_address_;
  double tokens_;
  int64_t filled_ms_ = 0;
};

// Whoever breaks the protocol waits 1 s before he is heard again, the next time twice as long, up
// to 5 min; 5 min without an offence and all is forgotten.
class PenaltyBox {
 public:
  void offend(const std::string& who, int64_t now_ms);
  // 0: he is free.
  [[nodiscard]] int64_t left_ms(const std::string& who, int64_t now_ms) const;

 private:
  struct Entry {
    int64_t pause_ms = 0;
    int64_t until_ms = 0;
  };
  std::map<std::string, Entry> entries_;
};

// Ten offences within a minute are too many.
class Strikes {
 public:
  // True: this is one too many.
  bool add(int64_t now_ms);

 private:
  std::deque<int64_t> at_ms_;
};

}  // namespace tailrace
