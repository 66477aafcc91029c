// What a spool's directory holds after whatever ended the last process, and what of it counts.
// Pure: it reads images and changes nothing; the new Spool makes safe what it says.
// Thread: any; called once, before the road serves. Rules: docs/protocol.md, "Recovery".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "local/spool_index.h"
#include "local/spool_log.h"
#include "local/spool_scan.h"
#include "local/spool_tables.h"

namespace tailrace {

// A record that is to be copied into the new segment.
struct RecoveredRecord {
  RecordType type{};
  std::string body;
  std::string payload;
};

struct RecoveredSpool {
  SpoolTables tables;  // after all that counts, `tail` included
  SpoolIndex index;    // likewise
  RecoveredLog log;
  // Records above the newest durable_lsn: the disk may not have what the page cache shows, so they
  // are written again, into a new segment, before anything rests on them. A small newest segment is
  // copied whole, so that many short lives do not leave many segments.
  std::vector<RecoveredRecord> tail;
  std::vector<uint64_t> superseded;  // eras of segments that are all in `tail`, or in a later one
  std::vector<GapInfo> gaps;         // lost batches found now; `tables` names them already
  uint64_t snapshot_era = 0;         // 0: the newest one is in `tail`
  uint64_t snapshot_bytes = 0;
  uint64_t log_bytes = 0;          // since the newest SNAPSHOT, `tail` not counted
  bool damaged = false;            // synced bytes are not what was written
  bool tables_changed = false;     // by hand since: the log before does not say so
  std::vector<std::string> notes;  // for the log: what was found, one message each
};

// `id_if_new`: a random local_id for a spool that is made now. corrupt: nothing can be served from
// this directory; rejected: it is another version's, or holds segments of two spools. The text says
// what to do. Memory: headers and bodies of one segment's last records, the tables and the index.
[[nodiscard]] Result<RecoveredSpool> recover_spool(SpoolImages& images, uint64_t id_if_new);

}  // namespace tailrace
