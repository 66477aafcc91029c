#include "discovery/presence.h"

namespace tailrace {

namespace {
// Names carry the time of their start, so that the first are the oldest.
constexpr size_t kMostSeen = 10'000;
}  // namespace

void Absences::look(const std::set<std::string>& present, bool unbroken, int64_t now_ms) {
  for (auto& [incarnation, seen] : seen_) {
    if (present.contains(incarnation)) continue;
    const bool decided = seen.missing_ms >= 0 && now_ms - seen.missing_ms >= seen.patience_ms;
    if (decided || (unbroken && seen.missing_ms >= 0)) continue;
    seen.missing_ms = now_ms;
    seen.patience_ms = unbroken ? grace_ms_ : grace_ms_ + session_ms_;
  }
  for (const std::string& incarnation : present) seen_[incarnation] = Seen{};
  while (seen_.size() > kMostSeen) seen_.erase(seen_.begin());
}

std::set<std::string> Absences::gone(int64_t now_ms) const {
  std::set<std::string> out;
  for (const auto& [incarnation, seen] : seen_)
    if (seen.missing_ms >= 0 && now_ms - seen.missing_ms >= seen.patience_ms)
      out.insert(incarnation);
  return out;
}

}  // namespace tailrace
