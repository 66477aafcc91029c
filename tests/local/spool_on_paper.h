// A spool on a disk in memory, driven by hand: for unit tests.
#pragma once

#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>

#include "base/hash.h"
#include "local/spool.h"
#include "local/spool_recovery.h"
#include "tests/local/virtual_disk.h"

namespace tailrace::test {

inline constexpr uint64_t kSinkA = 0xA, kSinkB = 0xB;

struct SpoolOnPaper {
  VirtualDisk disk;
  SpoolOptions options;
  std::unique_ptr<Spool> spool;
  std::vector<std::string> notes;
  bool damaged = false;
  int64_t now_ms = 0;
  uint64_t starts = 0;

  explicit SpoolOnPaper(uint64_t segment_bytes = 4096) {
    options.segment_bytes = segment_bytes;
    options.quota_bytes = 64 * segment_bytes;
    start();
  }

  // Recovers from what the disk shows, and makes that safe.
  void start() {
    spool.reset();
    SpoolImage image = disk.cached();
    auto recovered = recover_spool(image, 0x10CA1);
    BOOST_REQUIRE_MESSAGE(recovered.ok(), (recovered.ok() ? "" : recovered.error().text));
    notes = recovered->notes;
    damaged = recovered->damaged;
    spool = std::make_unique<Spool>(options, std::move(*recovered), ++starts);
    commit();
    BOOST_REQUIRE(spool->all_durable());
  }
  // Groups until none is due, a sender waiting.
  void commit() {
    while (spool->group_due_ms(true, now_ms) == 0) {
      SpoolGroup group = spool->begin_group(now_ms);
      BOOST_REQUIRE(disk.apply(group).ok());
      spool->group_done(now_ms);
      spool->reuse(std::move(group));
    }
  }
  void stream(StreamId id, const std::string& category) {
    StreamInfo s;
    s.stream = id;
    s.category = category;
    BOOST_REQUIRE(spool->define_stream(s, now_ms).ok());
  }
  void file(FileId id) {
    FileInfo f;
    f.file = id;
    f.identity = "i" + std::to_string(id);
    f.path = "/log/" + std::to_string(id);
    BOOST_REQUIRE(spool->define_file(f, now_ms).ok());
  }
  // The next batch of the stream: `lines` lines, `bytes` bytes, from `file` if it is not 0.
  [[nodiscard]] std::shared_ptr<Batch> next(StreamId stream, uint32_t lines, size_t bytes,
                                            FileId file = 0) const {
    auto batch = std::make_shared<Batch>();
    const auto known = spool->tables().streams.find(stream);
    BatchFields& f = batch->fields;
    f.stream = stream;
    f.first_seq = known == spool->tables().streams.end() ? 0 : known->second.next.seq;
    f.count = lines;
    batch->payload.assign(bytes, static_cast<char>('a' + f.first_seq % 26));
    f.raw_len = f.payload_len = static_cast<uint32_t>(bytes);
    f.payload_crc = crc32c(batch->payload);
    std::vector<SourceRange> src;
    if (file != 0) {
      const auto info = spool->tables().files.find(file);
      const uint64_t start = info == spool->tables().files.end() ? 0 : info->second.next;
      src.push_back({file, start, start + bytes, lines, 11, 22});
    }
    encode_batch_head(f, src, {}, batch->head);
    return batch;
  }
  Spool::Taken append(StreamId stream, uint32_t lines = 2, size_t bytes = 100, FileId file = 0) {
    return spool->append(next(stream, lines, bytes, file), now_ms);
  }
  [[nodiscard]] Position at(StreamId stream) const {
    return spool->tables().streams.at(stream).next;
  }
  // What the disk holds at the place.
  [[nodiscard]] Result<std::shared_ptr<Batch>> read(const Spool::Place& place) {
    SpoolImage image = disk.cached();
    std::string bytes;
    BOOST_REQUIRE(image.read(place.segment, place.offset, place.bytes, bytes).ok());
    return spool->decode_record(place, bytes);
  }
  [[nodiscard]] size_t segments() const {
    size_t n = 0;
    for (const auto& [name, bytes] : disk.cached().content)
      n += parse_spool_name(name).first == SpoolName::segment;
    return n;
  }
};

}  // namespace tailrace::test
