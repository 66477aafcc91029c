#include "tests/sim/world.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "tests/sim/transcript.h"

namespace tailrace::sim {

void World::add(int64_t ms, Event event) {
  size_t slot = events_.size();
  if (free_.empty()) {
    events_.push_back(std::move(event));
  } else {
    slot = free_.back();
    free_.pop_back();
    events_[slot] = std::move(event);
  }
  queue_.push_back({now_ms + ms, order_++, slot});
  std::push_heap(queue_.begin(), queue_.end());
}

void World::after(int64_t ms, std::function<void()> event) {
  add(ms, {std::move(event), false, {}});
}

void World::after(int64_t ms, std::weak_ptr<Process> of, std::function<void()> event) {
  add(ms, {std::move(event), true, std::move(of)});
}

bool World::step() {
  if (queue_.empty() || !violation.empty()) return false;
  std::pop_heap(queue_.begin(), queue_.end());
  const Turn turn = queue_.back();
  queue_.pop_back();
  Event event = std::move(events_[turn.event]);
  free_.push_back(turn.event);
  now_ms = turn.at_ms;
  if (!event.owned) return event.run(), true;
  const auto process = event.of.lock();
  if (!process || process->ended_) return true;
  if (process->stopped_until_ms_ > now_ms)
    add(process->stopped_until_ms_ - now_ms, std::move(event));
  else
    event.run();
  return true;
}

void World::violated(const std::string& what) {
  if (violation.empty()) violation = "at " + std::to_string(now_ms) + " ms: " + what;
  say("VIOLATION", what);
}

void World::say(const std::string& who, const std::string& what) const {
  if (!trace || what.empty()) return;
  std::fprintf(stderr, "%9.3f %-9s %s\n", static_cast<double>(now_ms) / 1000, who.c_str(),
               what.c_str());
}

// --- processes -----------------------------------------------------------------------------------

void Process::die(bool silently) {
  for (const auto& weak : wires_)
    if (const auto wire = weak.lock()) wire->leave(*this, silently);
  wires_.clear();
}

// --- wires ---------------------------------------------------------------------------------------

std::shared_ptr<Wire> Wire::make(World& world, Process& a, Process& b) {
  std::shared_ptr<Wire> wire(new Wire(world));
  Process* owners[2] = {&a, &b};
  for (int side : {0, 1}) {
    wire->ends_[side].owner = owners[side]->weak_from_this();
    wire->ends_[side].heard_ms = world.now_ms;
    std::erase_if(owners[side]->wires_, [](const auto& weak) { return weak.expired(); });
    owners[side]->wires_.push_back(wire);
  }
  return wire;
}

// When what this end sends now is there: behind all that it sent before.
int64_t Wire::arrival(int side) {
  End& end = ends_[side];
  end.last_arrival_ms = std::max(end.last_arrival_ms, world_.now_ms + world_.delay());
  return end.last_arrival_ms;
}

// An event at that end's process; it holds the wire.
void Wire::to(int side, int64_t at_ms, std::function<void()> event) {
  const std::weak_ptr<Process>& owner = ends_[side].owner;
  if (!owner.expired()) world_.after(at_ms - world_.now_ms, owner, std::move(event));
}

void Wire::tell(int side, const std::string& frame) const {
  const auto from = ends_[side].owner.lock(), to = ends_[1 - side].owner.lock();
  if (from && !frame.empty())
    world_.say(from->name(), "to " + (to ? to->name() : "the dead") + ": " + frame);
}

void Wire::send(int side, const Outgoing& frame) {
  End& end = ends_[side];
  if (end.closed) return;
  if (world_.trace) tell(side, in_words(frame));
  const size_t before = end.out.bytes();
  end.out.push(frame);
  end.queued += end.out.bytes() - before;
  if (end.flushing) return;
  end.flushing = true;
  world_.after(0, [self = shared_from_this(), side] { self->flush(side); });
}

void Wire::flush(int side) {
  End& end = ends_[side];
  end.flushing = false;
  std::string bytes;
  while (!end.out.empty()) {
    std::array<iovec, 64> pieces;
    const size_t n = end.out.gather(pieces);
    size_t taken = 0;
    for (size_t i = 0; i < n; ++i) {
      bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
      taken += pieces[i].iov_len;
    }
    end.out.wrote(taken);
  }
  to(1 - side, arrival(side), [self = shared_from_this(), side, bytes = std::move(bytes)] {
    size_t& queued = self->ends_[side].queued;
    queued -= std::min(queued, bytes.size());
    if (!self->swallowed_) self->arrived(1 - side, bytes);
  });
}

void Wire::arrived(int side, std::string_view bytes) {
  End& end = ends_[side];
  if (end.closed) return;
  end.heard_ms = world_.now_ms;
  while (!end.closed) {
    const auto whole = end.in.next(end.frame);
    if (!whole) {
      world_.violated("a frame that cannot be read: " + whole.error().text);
      return;
    }
    if (*whole) {
      if (end.hooks.frame) end.hooks.frame(end.frame);
      continue;
    }
    if (bytes.empty()) return;
    size_t n = 0;
    for (const std::span<char> room : end.in.room(end.frame)) {
      const size_t some = std::min(room.size(), bytes.size());
      std::memcpy(room.data(), bytes.data(), some);
      bytes.remove_prefix(some);
      n += some;
      if (some < room.size()) break;
    }
    end.in.arrived(n);
  }
}

void Wire::told(int side, const std::string& why) {
  End& end = ends_[side];
  if (end.closed || swallowed_) return;
  end.closed = true;
  if (const auto hook = std::exchange(end.hooks.closed, nullptr)) hook(why);
}

void Wire::close(int side) {
  End& end = ends_[side];
  if (end.closed) return;
  if (!end.out.empty()) flush(side);
  end.closed = true;
  to(1 - side, arrival(side),
     [self = shared_from_this(), side] { self->told(1 - side, "it closed the connection"); });
}

void Wire::leave(const Process& process, bool silently) {
  for (const int side : {0, 1}) {
    if (ends_[side].owner.lock().get() != &process) continue;
    if (silently) ends_[side].closed = true;
    close(side);
  }
}

void Wire::cut(const std::string& why) {
  for (const int side : {0, 1})
    to(side, world_.now_ms + world_.delay(),
       [self = shared_from_this(), side, why] { self->told(side, why); });
}

}  // namespace tailrace::sim
