#include "center/door.h"

#include <algorithm>

namespace tailrace {

namespace {
constexpr int64_t kFirstPauseMs = 1'000;
constexpr int64_t kLongestPauseMs = 300'000;
constexpr size_t kMostBoxed = 16'384;
constexpr size_t kStrikes = 10;
constexpr int64_t kStrikesWithinMs = 60'000;
}  // namespace

std::string_view Door::knock(const std::string& host, int64_t now_ms) {
  const double passed_s = static_cast<double>(now_ms - filled_ms_) / 1000.0;
  tokens_ = std::min<double>(limits_.most_a_second, tokens_ + passed_s * limits_.most_a_second);
  filled_ms_ = now_ms;
  if (inside_ >= limits_.most) return "as many are connected as this Center takes";
  if (strangers_ >= limits_.most_strangers) return "too many have not said yet who they are";
  const auto address = of_address_.find(host);
  if (!host.empty() && address != of_address_.end() && address->second >= limits_.most_of_address)
    return "its address has as many connections as one may";
  if (tokens_ < 1.0) return "too many come at once";
  tokens_ -= 1.0;
  ++inside_;
  ++strangers_;
  if (!host.empty()) ++of_address_[host];
  return {};
}

void Door::left(const std::string& host, bool was_greeted) {
  --inside_;
  if (!was_greeted) --strangers_;
  const auto address = of_address_.find(host);
  if (address != of_address_.end() && --address->second == 0) of_address_.erase(address);
}

void PenaltyBox::offend(const std::string& who, int64_t now_ms) {
  if (entries_.size() >= kMostBoxed)
    std::erase_if(entries_, [now_ms](const auto& e) { return e.second.until_ms <= now_ms; });
  if (entries_.size() >= kMostBoxed) return;
  Entry& entry = entries_[who];
  const bool forgotten = now_ms - entry.until_ms >= kLongestPauseMs;
  entry.pause_ms = forgotten || entry.pause_ms == 0 ? kFirstPauseMs
                                                    : std::min(entry.pause_ms * 2, kLongestPauseMs);
  entry.until_ms = now_ms + entry.pause_ms;
}

int64_t PenaltyBox::left_ms(const std::string& who, int64_t now_ms) const {
  const auto found = entries_.find(who);
  return found == entries_.end() ? 0 : std::max<int64_t>(0, found->second.until_ms - now_ms);
}

bool Strikes::add(int64_t now_ms) {
  at_ms_.push_back(now_ms);
  if (at_ms_.size() < kStrikes) return false;
  const bool many = now_ms - at_ms_.front() < kStrikesWithinMs;
  at_ms_.pop_front();
  return many;
}

}  // namespace tailrace
