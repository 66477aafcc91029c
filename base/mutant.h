// Deliberate mistakes, one at a time: in a build for the simulation `mutant(x)` is true once x was
// planted, and the simulation has to notice (docs/protocol.md, "Mutants"). In every other build it
// is the constant false and leaves no trace. Thread: planted before anything runs.
#pragma once

#include <cstdint>

namespace tailrace {

// Name, and what is done wrong.
#define TAILRACE_MUTANT_LIST(X)                                                               \
  X(no_fence, "a lane is taken without ending its owner's log")                               \
  X(end_believed, "an entry that a read does not find ends a log")                            \
  X(timeout_is_success, "a commit without an answer counts as done")                          \
  X(timeout_is_failure, "a commit without an answer is made again under the next number")     \
  X(overwriting_rename, "a record takes a name that is taken")                                \
  X(old_claim_resumed, "a claim of one's own dead predecessor is taken as it stands")         \
  X(claim_without_cas, "a claim that was lost counts as won")                                 \
  X(claim_entry_too_high, "a claim starts behind an entry that is not in its table")          \
  X(publish_first, "files are published before the commit")                                   \
  X(no_roll_forward, "whoever seals publishes nothing")                                       \
  X(pending_left_out, "of a group only the first file is listed as pending")                  \
  X(pending_forgotten, "what is pending is not repeated in the next record")                  \
  X(closings_out_of_order, "a closing that is ready first is committed first")                \
  X(closing_in_parts, "the files of a closing are committed one after another")               \
  X(janitor_passes_sealed, "nobody finishes a log that was sealed for a lane")                \
  X(reclaim_received, "a table, or a claim, with received positions")                         \
  X(table_rows_left, "of a lane's table its entry counts, its rows do not")                   \
  X(claim_while_undecided, "a table, or a claim, as if the commit under way were in it")      \
  X(release_undecided, "a lane is given away while records of it are under way")              \
  X(release_received, "given away with received positions")                                   \
  X(released_extents_left, "a lane that is given away stays in the open file")                \
  X(silent_is_present, "a Local that is silent still counts as one that can send again")      \
  X(stage_collected_early, "staged files are cleared away once their log is sealed")          \
  X(stage_path_reused, "a category's next file is staged where its last one was")             \
  X(codec_comes_back, "a codec that comes back within one roll gets its old file")            \
  X(always_sure, "a Center that cannot reach its store keeps its Locals")                     \
  X(ack_on_receipt, "a Local acknowledges what is not on its disk")                           \
  X(send_before_sync, "a Local sends what is not on its disk")                                \
  X(no_durable_lsn, "recovery serves what may not be on the disk")                            \
  X(goes_back, "a Local follows a position below its cursor")                                 \
  X(no_chain_check, "equal positions are taken for equal bytes")                              \
  X(trims_received, "a Local forgets what is received, not what is committed")                \
  X(strike_unsynced, "batches are numbered again before the journal's strike is durable")     \
  X(duplicate_at_once, "a Local that started twice unseen is taken for a clone")              \
  X(released_extents_uncut, "a lane that is given away leaves the books, not the file")       \
  X(extents_cut_by_lane, "a lane that came back is cut out with what was dropped of it")      \
  X(pack_across_lanes, "small batches of several lanes are packed into one member")           \
  X(absent_extents_cut, "lines of an absent Local are cut out at a release")                  \
  X(only_absent_members_kept, "of a lane given away only absent Locals' lines count")         \
  X(split_overlooked, "a lane that has ended is taken as if it were free")                    \
  X(part_from_empty_table, "a part of a split lane begins with nothing committed")            \
  X(split_undecided, "a lane ends while records of it are under way")                         \
  X(split_received, "a lane ends with received positions")                                    \
  X(retire_in_memory, "that a spool was retired stands in no record")                         \
  X(retire_received, "RETIRE is answered with what is received")                              \
  X(retire_early, "RETIRE is answered before its mark is committed")                          \
  X(release_overtakes_final, "a lane is given away while a FINAL mark is under way")          \
  X(retired_id_used_again, "a Local goes on with a spool that was retired")                   \
  X(journal_after_send, "the agent writes its journal after it has sent")                     \
  X(final_on_ack, "the agent takes what a Local acknowledged for final")                      \
  X(one_cursor, "a position of one sink moves the cursors of all")                            \
  X(trim_at_fastest, "the spool forgets what the fastest sink has")                           \
  X(required_given_up, "a full spool gives up what a required sink has not got")              \
  X(given_up_unsynced, "what is given up goes before that is on the disk")                    \
  X(given_up_believed, "any position within what was given up is believed")                   \
  X(away_gets_it_again, "of a lost spool a sink that did not say what it has gets all")       \
  X(given_up_is_committed, "an agent takes what was given up for committed")                  \
  X(first_commit_told, "of several commits that come at once an agent is told the first")     \
  X(final_at_first, "an agent forgets what one sink has")                                     \
  X(file_unsynced, "files are committed that may not be on the store's disk")                 \
  X(cas_unsynced, "a record counts as given before its directory is synced")                  \
  X(publish_unsynced, "a file counts as published before its directory is synced")            \
  X(undecided_removed, "a commit that was fenced or not leaves no staged files behind")       \
  X(gone_unsaid, "a janitor passes over files that are nowhere")                              \
  X(sealed_from_later, "what is known of a log from a later entry on is taken for all of it") \
  X(over_unsaid, "lanes of a dead Center wait until all of its files are published")          \
  X(janitor_stops_short, "a dead Center's file that cannot be published holds up the others") \
  X(moved_is_dead, "a log without its directory is taken for one that never lived")           \
  X(unsure_never_stops, "what waited while a Center was unsure holds up its stop")            \
  X(sink_forgotten, "a damaged spool trims what a sink of which it lost all waits for")       \
  X(copies_unchecked, "what a start copied is sent from memory, damaged or not")              \
  X(ahead_forgotten, "what a sink has of a lost spool it gets again with the others")         \
  X(retired_at_fastest, "of a lost spool only what no sink has is read again")                \
  X(ahead_uncut, "what is read again is not cut where a sink stands")                         \
  X(others_read_on, "files of which a sink has nothing are read before it begins")            \
  X(waits_unwritten, "which sinks are ahead is not on the Local's disk")                      \
  X(begins_forgotten, "where a sink began is forgotten with the next spool")                  \
  X(origin_untold, "Centers are not told that a sink begins in the middle")                   \
  X(lone_origin, "an origin counts before a Local has heard of the other sinks")              \
  X(kafka_positions_outside, "positions are in another transaction than their lines")         \
  X(kafka_id_per_center, "each Center has a transactional id of its own for a lane")          \
  X(kafka_unread, "a producer is opened again and goes on without reading positions")         \
  X(kafka_on_after_timeout, "after a commit without an answer its producer goes on")          \
  X(kafka_below_high_watermark, "positions count that are read from before an open end")

enum class Mutant : uint8_t {
  none,
#define TAILRACE_MUTANT_NAME(name, text) name,
  TAILRACE_MUTANT_LIST(TAILRACE_MUTANT_NAME)
#undef TAILRACE_MUTANT_NAME
};

#ifdef TAILRACE_MUTANTS
inline Mutant planted = Mutant::none;
inline bool mutant(Mutant m) { return planted == m; }
#else
constexpr bool mutant(Mutant) { return false; }
#endif

}  // namespace tailrace
