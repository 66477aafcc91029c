// The lanes that a Center's Locals wish for and nobody has taken yet: which comes next. Locals take
// turns, so that one which wishes for thousands keeps no other waiting. Thread: the road. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "flow/stream.h"

namespace tailrace {

class Wishes {
 public:
  // That Local wishes for it, from `at_ms` (mono) on; whoever did so first counts.
  void add(const Lane& lane, uint64_t local_id, int64_t at_ms) {
    wishes_.try_emplace(lane, Wish{at_ms, local_id});
  }
  void again(const Lane& lane, int64_t at_ms) { wishes_[lane].at_ms = at_ms; }
  void erase(const Lane& lane) { wishes_.erase(lane); }
  template <class Gone>  // bool(const Lane&)
  void erase_if(const Gone& gone) {
    std::erase_if(wishes_, [&](const auto& wish) { return gone(wish.first); });
  }

  // One that is due: of the Local whose turn it is, the first by name.
  template <class UnderWay>  // bool(const Lane&)
  [[nodiscard]] std::optional<Lane> next(int64_t now_ms, const UnderWay& under_way) {
    const std::pair<const Lane, Wish>* best = nullptr;
    for (const auto& wish : wishes_) {
      if (now_ms < wish.second.at_ms) continue;
      // Around the circle of ids, from the one whose turn was last.
      if (best && distance(wish.second.local_id) >= distance(best->second.local_id)) continue;
      if (!under_way(wish.first)) best = &wish;
    }
    if (best == nullptr) return std::nullopt;
    turn_ = best->second.local_id;
    return best->first;
  }

 private:
  struct Wish {
    int64_t at_ms = 0;
    uint64_t local_id = 0;
  };
  [[nodiscard]] uint64_t distance(uint64_t local_id) const { return local_id - turn_ - 1; }

  std::map<Lane, Wish> wishes_;
  uint64_t turn_ = 0;
};

}  // namespace tailrace
