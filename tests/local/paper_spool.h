// A spool whose disk is a map of strings: for tests of the machines that stand on it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/hash.h"
#include "base/result.h"
#include "flow/batch.h"
#include "local/spool.h"
#include "local/spool_recovery.h"

namespace tailrace::test {

// A batch as an agent makes it: `count` lines of stream and file, bytes [start, start + size).
inline std::shared_ptr<Batch> make_batch(StreamId stream, uint64_t first_seq, uint32_t count,
                                         FileId file, uint64_t start, const std::string& payload,
                                         uint8_t sub = 0) {
  auto batch = std::make_shared<Batch>();
  BatchFields& f = batch->fields;
  f.payload_codec = Codec::none;
  f.stream = stream;
  f.sub = sub;
  f.first_seq = first_seq;
  f.count = count;
  f.raw_len = f.payload_len = static_cast<uint32_t>(payload.size());
  f.payload_crc = crc32c(payload);
  f.bucket = 1'000'000;
  SourceRange range;
  range.file = file;
  range.start = start;
  range.end = start + payload.size();
  range.lines = count;
  encode_batch_head(f, {range}, {}, batch->head);
  batch->payload = payload;
  return batch;
}

// Of a spool that is full soon: eight small segments, of which one category may have all.
inline SpoolOptions eight_segments() {
  SpoolOptions options;
  options.segment_bytes = 4096;
  options.quota_bytes = 8 * 4096;
  options.category_share_percent = 100;
  return options;
}

class PaperSpool {
 public:
  explicit PaperSpool(SpoolOptions options = {}, uint64_t local_id = 0x10CA1)
      : spool(options, fresh(local_id), 0x5157A127) {
    commit_all();
  }

  // One group, if one is due with a push.
  bool commit() {
    if (spool.group_due_ms(true, now_ms) != 0) return false;
    SpoolGroup group = spool.begin_group(now_ms);
    carry_out(group);
    spool.group_done(now_ms);
    return true;
  }
  void commit_all() {
    while (commit()) {
    }
  }
  [[nodiscard]] std::string read(const Spool::Place& place) const {
    return files.at(place.segment).substr(place.offset, place.bytes);
  }
  // Takes a batch that must fit and makes it durable.
  void put(std::shared_ptr<Batch> batch) {
    TAILRACE_CHECK(spool.append(std::move(batch), now_ms) == Spool::Taken::appended, "put");
    commit_all();
  }

  int64_t now_ms = 1'700'000'000'000;
  std::map<std::string, std::string> files;
  Spool spool;

 private:
  static RecoveredSpool fresh(uint64_t local_id) {
    RecoveredSpool recovered;
    recovered.tables.local_id = local_id;
    return recovered;
  }
  void carry_out(const SpoolGroup& group) {
    for (const SpoolOp& op : group.ops) {
      switch (op.kind) {
        case SpoolOp::Kind::create: files[op.name].assign(op.bytes, '\0'); break;
        case SpoolOp::Kind::write: {
          uint64_t at = op.offset;
          for (size_t i = op.first_piece; i < op.first_piece + op.pieces; ++i) {
            const std::string_view piece = group.pieces[i];
            files[op.name].replace(at, piece.size(), piece);
            at += piece.size();
          }
          break;
        }
        case SpoolOp::Kind::rename:
          files[op.to] = std::move(files[op.name]);
          files.erase(op.name);
          break;
        case SpoolOp::Kind::remove: files.erase(op.name); break;
        case SpoolOp::Kind::sync:
        case SpoolOp::Kind::sync_names: break;
      }
    }
  }
};

}  // namespace tailrace::test
