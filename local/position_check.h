// What a position that a Center names means to this spool: decided by chains before anything moves.
// Thread: the road; pure. Rules: docs/protocol.md, "Local to Center", positions.
#pragma once

#include <string>

#include "local/spool.h"

namespace tailrace {

struct PositionCheck {
  enum class Verdict {
    good,    // it lies at a batch's end, both sides mean the same bytes, and nothing goes back
    behind,  // below the sink's cursor: never followed
    broken,  // above what is here, inside a batch, or of other bytes
  };
  Verdict verdict = Verdict::good;
  std::string why;  // of broken and behind; for a person
};

// `stream` is one of spool.tables().streams. `sent`: up to where it was sent to the sink in this
// life, which began where both sides meant the same bytes. Of what was given up below that it is
// believed where batches ended, if it is not known any more.
[[nodiscard]] PositionCheck check_position(const Spool& spool, uint64_t sink, StreamId stream,
                                           Position at, uint64_t sent);

}  // namespace tailrace
