// The two ways to inflate, written once for all engines: one member of known length, or a whole
// file. Thread: belongs to one owner.
//
// An Engine has
//   void restart();                                    // the next byte begins a member
//   Result<bool> step(std::string_view& in, std::span<char>& out);
// step() inflates as far as `in` or `out` reaches and cuts off what it used of both; true: the
// member has ended, checksum and all.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "flow/codec.h"

namespace tailrace {

template <class Engine>
class MemberInflater : public Inflater {
 public:
  Result<void> inflate(std::string_view member, size_t raw_len, std::string& out) override {
    engine_.restart();
    out.resize(raw_len + 1);
    std::span<char> room(out);
    for (bool ended = false; !ended;) {
      const size_t before = member.size() + room.size();
      auto step = engine_.step(member, room);
      if (!step) return step.error();
      ended = *step;
      if (room.empty()) return corrupt("it holds more than was said");
      if (!ended && member.size() + room.size() == before) return corrupt("it is cut short");
    }
    if (!member.empty()) return corrupt("something follows it");
    if (room.size() != 1) return corrupt("it holds less than was said");
    out.resize(raw_len);
    return {};
  }

 private:
  static Error corrupt(const char* what) {
    return Error{Error::Kind::corrupt, std::string("a compressed batch is broken: ") + what};
  }
  Engine engine_;
};

template <class Engine>
class MembersInflater : public FileInflater {
 public:
  Result<void> feed(std::string_view in, std::string& out) override {
    while (inside_ || !in.empty()) {
      if (!inside_) engine_.restart();
      inside_ = true;
      std::span<char> room(piece_.get(), kPieceBytes);
      auto step = engine_.step(in, room);
      if (!step) return step.error();
      out.append(piece_.get(), kPieceBytes - room.size());
      inside_ = !*step;
      if (inside_ && in.empty() && !room.empty()) break;  // it waits for more
    }
    return {};
  }
  Result<void> finish() override {
    if (!inside_) return {};
    return Error{Error::Kind::corrupt, "the file ends in the middle of a compressed block"};
  }

 private:
  static constexpr size_t kPieceBytes = 64 << 10;
  Engine engine_;
  std::unique_ptr<char[]> piece_ = std::make_unique<char[]>(kPieceBytes);
  bool inside_ = false;
};

}  // namespace tailrace
