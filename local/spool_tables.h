// The tables that a spool's SNAPSHOT holds and its records change.
// Thread: the road; plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "flow/stream.h"

namespace tailrace {

struct StreamInfo {
  StreamId stream = 0;
  std::string category;
  uint8_t sub = 0;
  Position next;      // taken so far
  Position oldest;    // first that the spool still holds
};

struct FileInfo {
  FileId file = 0;
  std::string identity;    // serialised proto::FileIdentity, opaque here
  std::string path;
  uint32_t generation = 0;
  uint64_t next = 0;
  uint32_t head_hash = 0;
  uint32_t tail_hash = 0;
};

struct FileGapInfo {
  FileId file = 0;
  uint64_t start = 0;
  uint64_t end = UINT64_MAX;  // UINT64_MAX: unknown
  std::string reason;
};

struct SpoolTables {
  uint64_t local_id = 0;
  std::map<StreamId, StreamInfo> streams;
  std::map<FileId, FileInfo> files;
  std::map<std::pair<uint64_t, StreamId>, Position> cursors;  // (sink uuid, stream)
};

// Filled by local/spool_recovery.h; a fresh spool is one with local_id 0 and nothing else.
struct RecoveredSpool;

}  // namespace tailrace
