#include "local/position_check.h"

#include "base/mutant.h"
#include "base/random.h"
#include "base/units.h"

namespace tailrace {

PositionCheck check_position(const Spool& spool, uint64_t sink, StreamId stream, Position at,
                             uint64_t sent) {
  using Verdict = PositionCheck::Verdict;
  const Position durable = spool.durable(stream);
  const Position cursor = spool.cursor(sink, stream);
  const std::string theirs = "the Center stands at line " + show_count(at.seq);
  if (at.seq > durable.seq)
    return {Verdict::broken,
            theirs + ", this spool ends at " + show_count(durable.seq) +
                ": it was put back to an earlier state, or another host has its identity"};
  if (at.seq < cursor.seq && !mutant(Mutant::goes_back))
    return {Verdict::behind, theirs + ", though it had committed " + show_count(cursor.seq)};
  const std::optional<uint64_t> chain =
      at.seq == cursor.seq ? cursor.chain : spool.chain_at(stream, at.seq);
  const bool ours = at.seq <= sent || mutant(Mutant::given_up_believed);
  if (!chain && ours && spool.in_given_up(stream, at.seq)) return {};
  if (!chain) return {Verdict::broken, theirs + ", where no batch of this spool ends"};
  if (*chain != at.chain && !mutant(Mutant::no_chain_check))
    return {Verdict::broken, theirs + " as here, but with other bytes before it (chain " +
                                 hex16(at.chain) + ", here " + hex16(*chain) + ")"};
  return {};
}

}  // namespace tailrace
