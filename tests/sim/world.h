// Time, chance and wires of a simulated cluster: one queue of events, one seed. Thread: one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "flow/frame_queue.h"
#include "flow/frame_reader.h"

namespace tailrace::sim {

// How often what is on its way goes wrong.
struct Faults {
  double call_lost = 0;       // of a call at the store: it is not carried out
  double answer_lost = 0;     // it is, and nobody hears of it
  double call_late = 0;       // it is carried out when its caller has long given up
  double slow = 0;            // of any message: up to 3 s
  double store_trouble = 0;   // of the store's own steps (MemoryStore's faults)
  double second_trouble = 0;  // the same of the second sink's
  double wrong_view = 0;      // of a Center's tick: ZooKeeper says something of who is there
};

class Process;

class World {
 public:
  explicit World(uint64_t seed) : rng(seed) {}

  // `event` happens in `ms`; those of one moment in the order in which they were asked for.
  void after(int64_t ms, std::function<void()> event);
  // It is that process's: not once it is dead, and later while it is stopped.
  void after(int64_t ms, std::weak_ptr<Process> of, std::function<void()> event);
  // The next event. False: there is none, or something is wrong.
  bool step();
  [[nodiscard]] uint64_t events() const { return order_; }
  // A message's time on its way.
  int64_t delay() {
    int64_t ms = 1 + static_cast<int64_t>(rng.below(8));
    if (rng.chance(faults.slow)) ms += static_cast<int64_t>(rng.below(3'000));
    return ms;
  }
  // The first thing that was wrong is kept.
  void violated(const std::string& what);
  // A line of the transcript.
  void say(const std::string& who, const std::string& what) const;

  int64_t now_ms = 1'000;
  Rng rng;
  Faults faults;
  bool trace = false;
  std::string violation;

 private:
  struct Event {
    std::function<void()> run;
    bool owned = false;
    std::weak_ptr<Process> of;
  };
  struct Turn {
    int64_t at_ms = 0;
    uint64_t order = 0;
    size_t event = 0;
    bool operator<(const Turn& other) const {
      return at_ms != other.at_ms ? at_ms > other.at_ms : order > other.order;
    }
  };
  void add(int64_t ms, Event event);
  std::vector<Turn> queue_;  // a heap
  std::vector<Event> events_;
  std::vector<size_t> free_;  // of them
  uint64_t order_ = 0;
};

class Wire;

// What is killed, stopped and woken as one. Its owner holds the only pointer to it.
class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(World& world, std::string name) : world_(world), name_(std::move(name)) {}
  virtual ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Events of this process: not once it is dead, and later while it is stopped.
  void after(int64_t ms, std::function<void()> event) {
    world_.after(ms, weak_from_this(), std::move(event));
  }
  void stop_for(int64_t ms) { stopped_until_ms_ = std::max(stopped_until_ms_, world_.now_ms + ms); }
  void wake() { stopped_until_ms_ = 0; }
  // The kernel closes what it had. `silently`: its machine is gone too.
  void die(bool silently);
  // It ended by its own doing: its owner lets it go at the next event.
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] int64_t wall_ms() const { return kEpochMs + world_.now_ms + clock_ms; }

  int64_t clock_ms = 0;

 protected:
  void say(const std::string& what) const { world_.say(name_, what); }
  void end(const std::string& why) {
    say("ends: " + why);
    ended_ = true;
  }
  World& world_;

 private:
  friend class Wire;   // wires_
  friend class World;  // what it is told of its events
  static constexpr int64_t kEpochMs = 1'800'000'000'000;

  std::string name_;
  int64_t stopped_until_ms_ = 0;
  bool ended_ = false;
  std::vector<std::weak_ptr<Wire>> wires_;
};

// A connection: two ends, frames in order, as bytes through the code that encodes and cuts them.
class Wire : public std::enable_shared_from_this<Wire> {
 public:
  struct Hooks {
    std::function<void(Frame&)> frame;
    std::function<void(const std::string& why)> closed;  // by the other side, or broken
  };
  static std::shared_ptr<Wire> make(World& world, Process& a, Process& b);
  // Of the end of `side`, 0 (who connected) or 1.
  void hook(int side, Hooks hooks) { ends_[side].hooks = std::move(hooks); }
  void send(int side, const Outgoing& frame);
  void close(int side);
  [[nodiscard]] bool closed(int side) const { return ends_[side].closed; }
  // Sent and not arrived.
  [[nodiscard]] size_t queued_bytes(int side) const { return ends_[side].queued; }
  [[nodiscard]] int64_t last_heard_ms(int side) const { return ends_[side].heard_ms; }
  // Nothing arrives any more, and nobody is told.
  void swallow() { swallowed_ = true; }
  void cut(const std::string& why);
  // Its process died. `silently`: nobody tells the other end.
  void leave(const Process& process, bool silently);

 private:
  struct End {
    std::weak_ptr<Process> owner;
    Hooks hooks;
    FrameQueue out;
    FrameReader in;
    Frame frame;
    bool closed = false;
    bool flushing = false;
    size_t queued = 0;
    int64_t heard_ms = 0;
    int64_t last_arrival_ms = 0;  // of what this end sent
  };
  explicit Wire(World& world) : world_(world) {}
  void flush(int side);
  void arrived(int side, std::string_view bytes);
  void told(int side, const std::string& why);
  void tell(int side, const std::string& frame) const;
  int64_t arrival(int side);
  void to(int side, int64_t at_ms, std::function<void()> event);

  World& world_;
  End ends_[2];
  bool swallowed_ = false;
};

}  // namespace tailrace::sim
