// What a Local knows of its way to the sinks beyond any one connection and Center: shared by its
// uplinks (uplink.h), kept by whoever owns them (uplinks.h).
// Thread: the road. A plain value; the rules are the uplinks'.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "local/spool.h"
#include "local/spool_holes.h"

namespace tailrace {

class Uplink;

struct Delivery {
  explicit Delivery(Spool& s) : spool(s) {}

  using Way = std::pair<uint64_t, StreamId>;  // (sink, stream)
  // Why a stream is not sent to a sink.
  struct Trouble {
    std::string held;
    bool hole = false;  // held because it did so again: a good position ends that
    Position store;     // of a hole: what the Center named
  };
  struct Refusals {  // of one batch, in a row
    uint64_t first_seq = 0;
    int times = 0;
  };
  // A stream of a spool that is gone: the Centers are asked what of it is final.
  struct Retire {
    uint64_t local_id = 0;
    std::string category;
    uint8_t sub = 0;
    bool each_sink = false;                 // they may differ
    std::map<uint64_t, Position> finals{};  // by sink
    bool differ = false;                    // they do, may not, and it was said
    int64_t others_ms = -1;                 // since when only sinks lack that are not required
  };
  using LinesLost = std::map<std::pair<std::string, std::string>, uint64_t>;

  // Empty, or why something is not sent any more.
  [[nodiscard]] std::string held() const;
  // What a person calls the sink; its uuid, if no Center has named it.
  [[nodiscard]] std::string sink_name(uint64_t sink) const;
  // What is held because a store has forgotten it: for `tailrace spool adopt`.
  [[nodiscard]] std::vector<SpoolHole> holes() const;

  Spool& spool;
  // The uplink whose Center said last that it owns the stream's lane; none: nobody did, or it has
  // gone.
  std::map<Way, const Uplink*> owners;
  std::map<Way, Trouble> troubles;
  std::map<Way, uint64_t> sent;  // the first line that was never sent there in this life
  std::map<uint64_t, std::string> sink_names;  // those that Centers have named
  std::map<StreamId, uint64_t> flushes;        // up to where
  std::set<StreamId> reading;                  // a ColdRead is under way
  std::map<StreamId, Refusals> refusals;
  std::vector<Retire> retires;
  std::map<StreamId, std::string> held_streams;  // towards every sink, and why
  std::string held_all;
  uint64_t lines_committed = 0;  // since the start, at the slowest sink
  LinesLost lines_lost;          // of those: of gaps, by category and kind of reason
  uint64_t refused = 0;          // by Centers: REJECTs
};

}  // namespace tailrace
