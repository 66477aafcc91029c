// Which Centers a store knows and who owns which lane, read from its records, for a person:
// `tailrace centers`. Changes nothing. Thread: any; the calls block.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "center/record.h"
#include "center/roll_call.h"
#include "sinks/store/records.h"

namespace tailrace {

struct Survey {
  struct OwnedLane {
    Lane lane;
    std::string owner;           // incarnation; empty: nobody's
    bool split = false;          // it has ended: its parts are lanes
    uint64_t epoch = 0;          // of its newest claim
    uint64_t streams = 0;        // with lines
    uint64_t lines = 0;          // committed, of all time
    int64_t last_commit_ms = 0;  // by this owner since that claim; 0: none
  };
  std::string control;
  uint64_t sink = 0;
  Announced centers;
  std::set<std::string> over;  // of those: dead, and their last files are not published yet
  std::vector<OwnedLane> lanes;
};

// What a store says of itself. rejected: no Center has ever published there.
[[nodiscard]] Result<SinkIdentity> read_identity(Records& records);
// A record that cannot be understood is an error that names it.
[[nodiscard]] Result<Survey> survey_store(Records& records);

}  // namespace tailrace
