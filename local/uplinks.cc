#include "local/uplinks.h"

#include <algorithm>

#include "base/hash.h"
#include "base/mutant.h"

namespace tailrace {

namespace {
// A session that owns nothing and was not named for so long is given up.
constexpr int64_t kUnusedMs = 30'000;
// A Center that lives but does not reach its store answers, and knows nothing.
constexpr int64_t kPatienceMs = 10'000;
constexpr size_t kMostRoads = 1'000;
constexpr size_t kMostAddressBytes = 256;
}  // namespace

Uplinks::Uplinks(Spool& spool, UplinkOptions options, std::vector<std::string> seeds)
    : delivery_(spool),
      options_(std::move(options)),
      seeds_(std::move(seeds)),
      local_id_(spool.local_id()),
      centers_(seeds_) {
  if (seeds_.empty()) return;
  asked_ = seeds_[local_id_ % seeds_.size()];  // not all Locals the same one
  road(asked_);
}

Uplinks::Road& Uplinks::road(const std::string& address) {
  Road& road = roads_[address];
  if (!road.uplink) road.uplink = std::make_unique<Uplink>(delivery_, options_);
  return road;
}

bool Uplinks::wanted(const std::string& address, const Road& road, int64_t now_ms) const {
  return address == asked_ || now_ms - road.used_ms < kUnusedMs;
}

std::vector<std::string> Uplinks::connect(int64_t now_ms) {
  now_ms_ = now_ms;
  std::vector<std::string> due;
  for (auto& [address, road] : roads_) {
    if (road.connecting || !wanted(address, road, now_ms)) continue;
    if (road.uplink->connect_due_ms(now_ms) != 0) continue;
    road.connecting = true;
    due.push_back(address);
  }
  return due;
}

int64_t Uplinks::connect_due_ms(int64_t now_ms) const {
  int64_t least = -1;
  for (const auto& [address, road] : roads_) {
    if (road.connecting || !wanted(address, road, now_ms)) continue;
    const int64_t due_ms = road.uplink->connect_due_ms(now_ms);
    if (due_ms >= 0 && (least < 0 || due_ms < least)) least = due_ms;
  }
  return least;
}

void Uplinks::connected(const std::string& address, int64_t now_ms) {
  roads_.at(address).uplink->connected(now_ms);
}

void Uplinks::disconnected(const std::string& address, const std::string& why, uint64_t random,
                           int64_t now_ms) {
  now_ms_ = now_ms;
  Road& gone = roads_.at(address);
  gone.connecting = false;
  tried_ = true;
  gone.uplink->disconnected(why, random, now_ms);
  if (address == asked_) ask_next();
}

// The one that was asked longest ago: what others say of Centers changes, so their order means
// nothing.
void Uplinks::ask_next() {
  const auto asked_ms = [this](const std::string& address) {
    const auto known = roads_.find(address);
    return known == roads_.end() ? INT64_MIN : known->second.asked_ms;
  };
  if (centers_.empty()) return;
  if (!asked_.empty()) roads_.at(asked_).asked_ms = now_ms_;
  asked_ = *std::min_element(
      centers_.begin(), centers_.end(),
      [&](const auto& one, const auto& other) { return asked_ms(one) < asked_ms(other); });
  patient_since_ms_ = now_ms_;
  road(asked_).asked_ms = now_ms_;
}

// The seeds stay, first; of the others only the newest list counts, in an order of this Local's
// own: when a Center dies, its Locals do not all go to the same one.
void Uplinks::hear_of(const std::vector<std::string>& centers) {
  centers_ = seeds_;
  for (const std::string& address : centers) {
    if (centers_.size() >= kMostRoads) break;
    if (address.empty() || address.size() > kMostAddressBytes) continue;
    if (std::find(centers_.begin(), centers_.end(), address) == centers_.end())
      centers_.push_back(address);
  }
  std::sort(centers_.begin() + static_cast<std::ptrdiff_t>(seeds_.size()), centers_.end(),
            [this](const std::string& one, const std::string& other) {
              return mix64(xxh3(one) ^ local_id_) < mix64(xxh3(other) ^ local_id_);
            });
}

void Uplinks::learn(const std::vector<std::string>& centers, int64_t now_ms) {
  now_ms_ = now_ms;
  if (centers.empty()) return;
  hear_of(centers);
  // One that has not been tried yet is.
  if (asked_.empty() || (tried_ && roads_.at(asked_).uplink->center().empty())) ask_next();
}

void Uplinks::frame(const std::string& address, Frame& frame, int64_t now_ms) {
  now_ms_ = now_ms;
  roads_.at(address).uplink->frame(frame, now_ms);
}

void Uplinks::other_version(const std::string& address) {
  roads_.at(address).uplink->other_version();
}

void Uplinks::pump(const std::string& address, size_t queued_bytes, int64_t now_ms) {
  now_ms_ = now_ms;
  roads_.at(address).uplink->pump(queued_bytes, now_ms);
}

void Uplinks::flush(const std::vector<StreamId>& streams) {
  for (auto& [address, road] : roads_) road.uplink->flush(streams);
}

void Uplinks::retire(uint64_t local_id, const std::string& category, uint8_t sub, bool each_sink) {
  for (const Delivery::Retire& r : delivery_.retires)
    if (r.local_id == local_id && r.category == category && r.sub == sub) return;
  delivery_.retires.push_back({local_id, category, sub, each_sink});
}

void Uplinks::begin_at(uint64_t sink) {
  if (mutant(Mutant::origin_untold)) return;
  for (auto& [address, road] : roads_) road.uplink->begin_at(sink);
}

void Uplinks::cold(const std::string& address, const ColdRead& read,
                   Result<std::shared_ptr<Batch>> batch) {
  const auto found = roads_.find(address);
  if (found == roads_.end()) {
    delivery_.reading.erase(read.stream);
    return;
  }
  found->second.uplink->cold(read, std::move(batch));
}

void Uplinks::tick(int64_t now_ms) {
  now_ms_ = now_ms;
  for (auto& [address, road] : roads_) {
    road.uplink->tick(now_ms);
    road.uplink->ask_again(now_ms);
    road.uplink->ask_retired(now_ms);
    if (road.uplink->owns_any()) road.used_ms = now_ms;
  }
  if (asked_.empty() || !roads_.at(asked_).uplink->lacks_owner()) patient_since_ms_ = now_ms;
  if (now_ms - patient_since_ms_ >= kPatienceMs) ask_next();
  drop_unused(now_ms);
}

// Those that may be asked stay, with their pauses.
void Uplinks::drop_unused(int64_t now_ms) {
  std::erase_if(roads_, [&](auto& known) {
    auto& [address, road] = known;
    if (wanted(address, road, now_ms)) return false;
    if (road.connecting) road.uplink->leave();
    return !road.connecting &&
           std::find(centers_.begin(), centers_.end(), address) == centers_.end();
  });
}

void Uplinks::take(const std::string& address, UplinkActions& into) {
  roads_.at(address).uplink->take(into);
  if (!into.centers.empty()) hear_of(into.centers);
  for (const std::string& named : into.redirects)
    if (roads_.contains(named) || roads_.size() < kMostRoads) road(named).used_ms = now_ms_;
}

std::vector<std::string> Uplinks::addresses() const {
  std::vector<std::string> all;
  for (const auto& [address, road] : roads_) all.push_back(address);
  return all;
}

std::string Uplinks::centers() const {
  std::string names;
  for (const auto& [address, road] : roads_) {
    const std::string name = road.uplink->center();
    if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace tailrace
