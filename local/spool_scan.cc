#include "local/spool_scan.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"

namespace tailrace {

namespace {
constexpr size_t kWindowBytes = 4u << 10;
constexpr size_t kSearchBytes = 256u << 10;
constexpr size_t kLsnOffset = 13;  // in a record's header
}  // namespace

SegmentScan::SegmentScan(SpoolImages& images, SpoolFile file, Bounds bounds)
    : images_(images),
      file_(std::move(file)),
      bounds_(bounds),
      synced_lsn_(bounds.reaches_stop ? bounds.stop_lsn - 1 : bounds.synced_lsn),
      end_lsn_(bounds.first_lsn) {}

// At most to the file's end; valid until the next call.
std::string_view SegmentScan::bytes(uint64_t offset, size_t n) {
  const std::string_view window = window_;
  if (offset >= window_at_ && offset + n <= window_at_ + window.size())
    return window.substr(offset - window_at_, n);
  if (!disk_) return {};
  window_at_ = offset;
  disk_ = images_.read(file_.name, offset, std::max(n, kWindowBytes), window_);
  if (!disk_) window_.clear();
  return std::string_view(window_).substr(0, n);
}

bool SegmentScan::record_at(uint64_t offset, uint64_t least, uint64_t most, ScannedRecord& into) {
  if (offset + kRecordHeaderBytes > file_.bytes) return false;
  const std::string_view head = bytes(offset, kRecordHeaderBytes);
  if (head.size() < kRecordHeaderBytes) return false;
  const RecordHeader h = decode_record_header(head);
  if (!known_record_type(static_cast<uint8_t>(h.type))) return false;
  if (h.lsn < least || h.lsn > most || h.durable_lsn >= h.lsn) return false;
  if (h.bytes() > file_.bytes - offset) return false;
  const std::string_view both = bytes(offset, kRecordHeaderBytes + h.body_len);
  if (both.size() < kRecordHeaderBytes + h.body_len) return false;
  body_ = both.substr(kRecordHeaderBytes);
  if (record_crc(h, body_, bounds_.seed) != h.crc) return false;
  into = {h, offset};
  return true;
}

// The first intact record at or behind `offset`, wherever it begins: lengths in between can't be
// trusted. A segment holds a bounded number of records, so an lsn far ahead is none.
bool SegmentScan::next_record(uint64_t offset, uint64_t least, ScannedRecord& into) {
  const uint64_t most = std::min(bounds_.stop_lsn - 1, least + file_.bytes / kRecordHeaderBytes);
  std::string chunk;
  while (offset + kRecordHeaderBytes <= file_.bytes && disk_) {
    disk_ = images_.read(file_.name, offset, kSearchBytes, chunk);
    if (!disk_ || chunk.size() < kRecordHeaderBytes) return false;
    const size_t places = chunk.size() - kRecordHeaderBytes + 1;
    for (size_t i = 0; i < places; ++i) {
      uint64_t lsn = 0;
      std::memcpy(&lsn, chunk.data() + i + kLsnOffset, sizeof lsn);
      if (lsn < least || lsn > most) continue;
      if (record_at(offset + i, least, most, into)) return true;
    }
    offset += places;
  }
  return false;
}

bool SegmentScan::last_record(uint64_t offset, uint64_t least, ScannedRecord& into) {
  ScannedRecord r;
  bool found = false;
  while (next_record(offset, least, r)) {
    found = true;
    into = r;
    offset = r.offset + r.header.bytes();
    least = r.header.lsn + 1;
  }
  return found;
}

void SegmentScan::find_records() {
  bool searched = false;
  while (end_lsn_ < bounds_.stop_lsn) {
    ScannedRecord r;
    if (record_at(end_offset_, end_lsn_, end_lsn_, r)) {
      synced_lsn_ = std::max(synced_lsn_, r.header.durable_lsn);
      records_.push_back(r);
      end_offset_ += r.header.bytes();
      end_lsn_ = r.header.lsn + 1;
      continue;
    }
    if (!searched) {  // durable_lsn never falls: the last intact record knows the most
      searched = true;
      torn_ = last_record(end_offset_, end_lsn_ + 1, r);
      if (torn_) synced_lsn_ = std::max(synced_lsn_, r.header.durable_lsn);
    }
    if (synced_lsn_ < end_lsn_) break;
    torn_ = false;
    const bool more = next_record(end_offset_, end_lsn_ + 1, r);
    damage_.push_back({end_offset_, end_lsn_, more ? r.header.lsn : synced_lsn_ + 1});
    if (!more) break;
    end_offset_ = r.offset;
    end_lsn_ = r.header.lsn;
  }
}

Result<void> SegmentScan::check_payloads() {
  std::string bytes;
  for (size_t i = 0; i < records_.size(); ++i) {
    const ScannedRecord r = records_[i];
    if (r.header.lsn <= synced_lsn_ || r.header.type != RecordType::batch) continue;
    const Result<std::string_view> head_bytes = body(r);
    if (!head_bytes) return head_bytes.error();
    const Result<BatchHead> head = BatchHead::parse(*head_bytes);
    const uint32_t crc = head ? head->fields().payload_crc : 0;
    const bool fits = head && head->fields().payload_len == r.header.payload_len;
    if (auto read = payload(r, bytes); !read) return read;
    if (fits && bytes.size() == r.header.payload_len && crc32c(bytes) == crc) continue;
    torn_ = true;
    end_lsn_ = r.header.lsn;
    end_offset_ = r.offset;
    records_.resize(i);
  }
  return {};
}

Result<void> SegmentScan::run() {
  find_records();
  if (!disk_) return disk_;
  return check_payloads();
}

Result<std::string_view> SegmentScan::body(const ScannedRecord& record) {
  ScannedRecord again;
  if (record_at(record.offset, record.header.lsn, record.header.lsn, again)) return body_;
  if (!disk_) return disk_.error();
  return Error{Error::Kind::corrupt,
               file_.name +
                   " reads differently from one moment to the next: the disk, or memory, "
                   "is failing"};
}

Result<void> SegmentScan::payload(const ScannedRecord& record, std::string& out) {
  return images_.read(file_.name, record.offset + kRecordHeaderBytes + record.header.body_len,
                      record.header.payload_len, out);
}

}  // namespace tailrace
