// Lets what is said of each of many peers through once in a while, and counts the rest: whoever is
// refused again and again shall not fill our log.
// Thread: belongs to one owner. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace tailrace {

class Sparingly {
 public:
  // Once in `pause_ms` for each of `most_peers`; all beyond share one turn.
  explicit Sparingly(int64_t pause_ms = 10'000, size_t most_peers = 1'024)
      : pause_ms_(pause_ms), most_peers_(most_peers) {}

  // Whether something may be said of `peer` now: nullopt, or how often it might not since the last
  // time.
  std::optional<uint64_t> may_say(const std::string& peer, int64_t now_ms) {
    auto it = peers_.find(peer);
    if (it == peers_.end()) {
      if (peers_.size() >= most_peers_)
        std::erase_if(peers_,
                      [&](const auto& p) { return now_ms - p.second.said_ms >= pause_ms_; });
      const bool room = peers_.size() < most_peers_;
      it = peers_.try_emplace(room ? peer : std::string(), Said{now_ms - pause_ms_, 0}).first;
    }
    Said& said = it->second;
    if (now_ms - said.said_ms < pause_ms_) {
      ++said.unsaid;
      return std::nullopt;
    }
    const uint64_t unsaid = said.unsaid;
    said = Said{now_ms, 0};
    return unsaid;
  }
  // The same for a whole text: empty, or the text with that count behind it.
  std::string text(const std::string& peer, const std::string& text, int64_t now_ms) {
    const auto unsaid = may_say(peer, now_ms);
    if (!unsaid) return {};
    if (*unsaid == 0) return text;
    return text + " (and " + std::to_string(*unsaid) + " more since it was last said)";
  }

 private:
  struct Said {
    int64_t said_ms = 0;
    uint64_t unsaid = 0;
  };
  int64_t pause_ms_;
  size_t most_peers_;
  std::map<std::string, Said> peers_;
};

}  // namespace tailrace
