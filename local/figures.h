// What a Local tells of itself in numbers: lines by category, from the spool's own positions, so
// that they add up whatever happened before; ages; since when there is no Center.
// Thread: the road.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/age_track.h"
#include "base/rate_track.h"
#include "flow/tally.h"
#include "local/local.h"
#include "local/spool.h"
#include "local/uplinks.h"

namespace tailrace {

class LocalFigures {
 public:
  // Both must outlive it; what the spool holds now is what waited at the start.
  LocalFigures(const Spool& spool, const Uplinks& uplinks, int64_t wall_ms);

  void tick(int64_t wall_ms);  // once a second or so
  void show(LocalStatus& status) const;
  // Which sink a full spool waits for.
  [[nodiscard]] std::string why_full() const;

 private:
  [[nodiscard]] uint64_t passed_by_all(const StreamInfo& info) const;
  [[nodiscard]] Tallies tallies() const;

  struct Beginning {
    uint64_t next = 0;
    uint64_t passed = 0;
  };
  const Spool& spool_;
  const Uplinks& uplinks_;
  std::map<StreamId, Beginning> beginnings_;
  AgeTrack ages_;
  RateTrack fills_{60};  // over a minute
  int64_t no_center_since_ms_;
};

}  // namespace tailrace
