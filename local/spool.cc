#include "local/spool.h"

#include <algorithm>

#include "base/buggify.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "local/spool_log.h"
#include "local/spool_recovery.h"
#include "local/spool_state.h"

namespace tailrace {

Spool::Spool(SpoolOptions options, RecoveredSpool recovered, uint64_t start)
    : state_(std::make_unique<State>(options, std::move(recovered), start)) {}
Spool::~Spool() = default;

// --- events -----------------------------------------------------------------------------------

Spool::Taken Spool::append(std::shared_ptr<Batch> batch, int64_t now_ms) {
  State& s = *state_;
  const Result<BatchHead> head = BatchHead::parse(batch->head);
  if (!head || head->fields().payload_len != batch->payload.size()) return Taken::corrupt;
  const BatchFields& f = head->fields();
  const auto stream = s.tables.streams.find(f.stream);
  if (stream == s.tables.streams.end() || stream->second.sub != f.sub) return Taken::unknown;
  StreamInfo& info = stream->second;
  for (size_t i = 0; i < head->source_count(); ++i)
    if (!s.tables.files.contains(head->source(i).file)) return Taken::unknown;
  if (f.first_seq != info.next.seq || !s.continues_files(*head)) return Taken::unexpected;
  const uint64_t bytes = kRecordHeaderBytes + batch->bytes();
  if (!s.category_has_room(info.category, bytes)) {
    s.category_refused[info.category] = bytes;
    return Taken::category_full;
  }
  if (!s.log.room_for(bytes)) {
    s.refused_bytes = bytes;
    return Taken::full;
  }
  if (crc32c(batch->payload) != f.payload_crc) return Taken::corrupt;

  apply_sources(*head, s.tables);
  const Position before = info.next;
  info.next = {f.end_seq(), next_chain(before.chain, f.payload_crc, f.count)};
  patch_batch_chains(batch->head, before.chain, info.next.chain);
  batch->fields = f;
  batch->fields.chain_before = before.chain;
  batch->fields.chain_after = info.next.chain;
  s.write_batch(info, before, std::move(batch));
  if (!s.category_refused.empty()) s.category_refused.erase(info.category);
  s.changed(now_ms);
  return Taken::appended;
}

Result<void> Spool::define_stream(const StreamInfo& stream, int64_t now_ms,
                                  const std::set<uint64_t>& ahead) {
  State& s = *state_;
  const auto refuse = [&](const char* why) {
    return Error{Error::Kind::rejected, "stream " + std::to_string(stream.stream) + " (category '" +
                                            stream.category + "') is refused: " + why};
  };
  if (!valid_category(stream.category)) return refuse("that is no category name");
  for (const auto& [id, known] : s.tables.streams) {
    const bool same = known.category == stream.category && known.sub == stream.sub;
    if (id == stream.stream && same) return {};
    if (id == stream.stream) return refuse("the number stands for another stream");
    if (same) return refuse("it has another number");
  }
  StreamInfo made;
  made.stream = stream.stream;
  made.category = stream.category;
  made.sub = stream.sub;
  s.write(RecordType::stream_def, [&](std::string& out) { encode_stream_def(made, ahead, out); });
  s.tables.streams.emplace(made.stream, made);
  for (const uint64_t sink : ahead) s.wait_for_origin(sink, made.stream);
  for (const uint64_t sink : s.sinks)
    if (!ahead.contains(sink)) s.set_cursor(sink, made.stream, made.oldest);
  s.changed(now_ms);
  return {};
}

bool Spool::await_origins(StreamId stream, const std::set<uint64_t>& ahead, int64_t now_ms) {
  State& s = *state_;
  const StreamInfo& info = s.tables.streams.at(stream);
  const bool all = std::all_of(ahead.begin(), ahead.end(), [&](uint64_t sink) {
    return s.tables.waits.contains({sink, stream});
  });
  if (all) return true;
  if (info.next.seq != 0) return false;
  s.write(RecordType::stream_def, [&](std::string& out) { encode_stream_def(info, ahead, out); });
  for (const uint64_t sink : ahead) s.wait_for_origin(sink, stream);
  s.changed(now_ms);
  return true;
}

bool Spool::set_origin(uint64_t sink, StreamId stream, uint64_t seq, int64_t now_ms) {
  State& s = *state_;
  const std::pair key{sink, stream};
  const auto chain = chain_at(stream, seq);
  if (!s.tables.waits.contains(key) || !chain) return false;
  const Position at{seq, *chain};
  s.tables.waits.erase(key);
  s.sinks.insert(sink);
  s.set_cursor(sink, stream, at);
  s.dirty.erase(key);
  s.origins.insert(key);
  s.tables.origins.insert(key);
  s.write(RecordType::origin, [&](std::string& out) { encode_cursor({sink, stream, at}, out); });
  s.cursors_pending.emplace_back(key, at);
  s.changed(now_ms);
  return true;
}

Result<void> Spool::define_file(const FileInfo& file, int64_t now_ms) {
  State& s = *state_;
  FileInfo made = file;
  const auto known = s.tables.files.find(file.file);
  if (known != s.tables.files.end()) {
    if (known->second.identity != file.identity || known->second.generation != file.generation)
      return Error{Error::Kind::rejected, "file " + std::to_string(file.file) + " ('" + file.path +
                                              "') is refused: the number stands for '" +
                                              known->second.path + "'"};
    if (known->second.path == file.path) return {};
    made = known->second;  // renamed: where it stands is what the spool says
    made.path = file.path;
  }
  s.write(RecordType::file_def, [&](std::string& out) { encode_file_def(made, out); });
  s.tables.files.insert_or_assign(made.file, std::move(made));
  s.changed(now_ms);
  return {};
}

void Spool::forget_file(FileId file, int64_t now_ms) {
  State& s = *state_;
  if (s.tables.files.erase(file) == 0) return;
  s.write(RecordType::file_gone, [&](std::string& out) { encode_file_gone(file, out); });
  s.changed(now_ms);
}

void Spool::file_gap(const FileGapInfo& gap, int64_t now_ms) {
  State& s = *state_;
  s.write(RecordType::file_gap, [&](std::string& out) { encode_file_gap(gap, out); });
  apply_file_gap(gap, s.tables);
  s.changed(now_ms);
}

bool Spool::advance_cursor(uint64_t sink, StreamId stream, Position to, int64_t now_ms) {
  State& s = *state_;
  const auto cursor = s.tables.cursors.find({sink, stream});
  if (cursor == s.tables.cursors.end()) return false;
  if (to.seq < cursor->second.seq) return true;
  if (to.seq == cursor->second.seq) return to.chain == cursor->second.chain;
  if (to.seq > durable(stream).seq) return false;
  const auto chain = chain_at(stream, to.seq);
  if (chain ? *chain != to.chain : !in_given_up(stream, to.seq)) return false;
  s.set_cursor(sink, stream, to);
  if (mutant(Mutant::one_cursor))
    for (const uint64_t other : s.sinks) s.set_cursor(other, stream, to);
  s.changed(now_ms);
  return true;
}

void Spool::give_up(StreamId stream, uint64_t seq, const std::string& reason, int64_t now_ms) {
  State& s = *state_;
  SpoolRange* const range = s.index.find(stream, seq);
  if (range == nullptr || range->gap() || range->end_seq > durable(stream).seq) return;
  range->era = range->offset = range->bytes = 0;
  range->batch = nullptr;
  GapInfo gap;
  gap.stream = stream;
  gap.first_seq = seq;
  gap.count = range->end_seq - seq;
  gap.chain_after = range->chain_after;
  gap.reason = reason;
  s.write(RecordType::gap, [&](std::string& out) { encode_gap(gap, out); });
  s.tables.gaps.insert_or_assign(std::pair(stream, seq), std::move(gap));
  s.changed(now_ms);
}

void Spool::add_sink(uint64_t sink, int64_t now_ms) {
  State& s = *state_;
  s.sinks.insert(sink);
  s.sinks_named = true;
  if (s.complete_cursors()) s.changed(now_ms);
}

// --- group commit -----------------------------------------------------------------------------

int64_t Spool::group_due_ms(bool push, int64_t now_ms) const {
  const State& s = *state_;
  if (s.log.under_way()) return -1;
  const int64_t files_ms = s.log.files_due_ms(now_ms);
  if (files_ms == 0 || s.log.blocked() || !s.anything_pending()) return files_ms;
  const bool waited_for = push && !buggify(Rare::group_late);
  if (waited_for || !s.served || s.log.pending_bytes() >= s.options.group_bytes) return 0;
  const int64_t wait_ms =
      std::max<int64_t>(0, s.pending_since_ms + s.options.group_wait_ms - now_ms);
  return files_ms < 0 ? wait_ms : std::min(wait_ms, files_ms);
}

SpoolGroup Spool::begin_group(int64_t now_ms) {
  State& s = *state_;
  if (s.served && s.log.files_due_ms(now_ms) != 0) {
    s.write_cursors();
    s.give_up_oldest();
    if (s.snapshot_due() || buggify(Rare::snapshot_early)) s.write_snapshot();
  }
  return s.begin(now_ms);
}

SpoolGroup Spool::begin_shutdown(int64_t now_ms) {
  State& s = *state_;
  if (s.served && !s.shut_down) {
    s.shut_down = true;
    s.write_cursors();
    s.write_snapshot();
    s.write(RecordType::clean_shutdown, [](std::string&) {});
  }
  return s.begin(now_ms);
}

void Spool::group_done(int64_t) {
  State& s = *state_;
  s.log.done();
  if (std::exchange(s.writing, false)) s.became_durable();
}

void Spool::group_failed(const Error& error, int64_t now_ms) {
  state_->writing = false;
  state_->log.failed(error, now_ms);
}

void Spool::reuse(SpoolGroup group) { state_->log.reuse(std::move(group)); }

// --- what others ask --------------------------------------------------------------------------

uint64_t Spool::local_id() const { return state_->tables.local_id; }
uint64_t Spool::start() const { return state_->tables.start; }
uint64_t Spool::start_before() const { return state_->tables.start_before; }
const SpoolTables& Spool::tables() const { return state_->tables; }

Position Spool::durable(StreamId stream) const {
  const auto it = state_->durable.find(stream);
  return it == state_->durable.end() ? Position{} : it->second;
}

bool Spool::all_durable() const {
  return state_->served && !state_->anything_pending() && !state_->writing;
}

std::optional<uint64_t> Spool::chain_at(StreamId stream, uint64_t seq) const {
  if (const auto chain = state_->index.chain_at(stream, seq)) return chain;
  const auto info = state_->tables.streams.find(stream);
  if (info == state_->tables.streams.end()) return std::nullopt;
  if (seq == info->second.oldest.seq) return info->second.oldest.chain;
  if (seq == info->second.next.seq) return info->second.next.chain;
  const GapInfo* const gap = gap_at(state_->tables, stream, seq);
  if (gap == nullptr) return std::nullopt;
  const auto end = std::lower_bound(gap->ends.begin(), gap->ends.end(), seq,
                                    [](const Position& p, uint64_t s) { return p.seq < s; });
  return end != gap->ends.end() && end->seq == seq ? std::optional(end->chain) : std::nullopt;
}

const std::set<std::pair<uint64_t, StreamId>>& Spool::origins() const { return state_->origins; }

Position Spool::cursor(uint64_t sink, StreamId stream) const {
  const auto cursor = state_->tables.cursors.find({sink, stream});
  if (cursor != state_->tables.cursors.end()) return cursor->second;
  const auto info = state_->tables.streams.find(stream);
  if (info == state_->tables.streams.end()) return {};
  return state_->tables.waits.contains({sink, stream}) ? info->second.next : info->second.oldest;
}

std::optional<Spool::Place> Spool::find(StreamId stream, uint64_t seq) const {
  const State& s = *state_;
  const SpoolRange* const range = s.index.find(stream, seq);
  if (range == nullptr ||
      (range->end_seq > durable(stream).seq && !mutant(Mutant::send_before_sync)))
    return std::nullopt;
  Place place;
  place.end_seq = range->end_seq;
  if (range->gap()) {
    place.gap = gap_at(s.tables, stream, seq);
    return place;
  }
  place.batch = range->batch;
  place.segment = s.log.segments().at(range->era).file.name;
  place.offset = range->offset;
  place.bytes = range->bytes;
  return place;
}

Result<std::shared_ptr<Batch>> Spool::decode_record(const Place& place,
                                                    std::string_view bytes) const {
  const auto corrupt = [&](std::string_view what) {
    return Error{Error::Kind::corrupt, place.segment + " at byte " + std::to_string(place.offset) +
                                           ": " + std::string(what)};
  };
  if (bytes.size() != place.bytes || bytes.size() < kRecordHeaderBytes)
    return corrupt("the record is cut short");
  const RecordHeader header = decode_record_header(bytes);
  if (header.bytes() != bytes.size() || header.type != RecordType::batch)
    return corrupt("there is no batch of that length");
  const std::string_view body = bytes.substr(kRecordHeaderBytes, header.body_len);
  const std::string_view payload = bytes.substr(kRecordHeaderBytes + header.body_len);
  const uint64_t era = parse_spool_name(place.segment).second;
  if (record_crc(header, body, record_seed(era, local_id())) != header.crc)
    return corrupt("the record is damaged");
  const Result<BatchHead> head = BatchHead::parse(body);
  if (!head) return corrupt(head.error().text);
  if (head->fields().end_seq() != place.end_seq) return corrupt("another batch stands there");
  if (head->fields().payload_len != payload.size() || crc32c(payload) != head->fields().payload_crc)
    return corrupt("the batch's payload is damaged");
  auto batch = std::make_shared<Batch>();
  batch->head = body;
  batch->payload = payload;
  batch->fields = head->fields();
  return batch;
}

uint64_t Spool::used_bytes() const { return state_->log.used_bytes(); }
bool Spool::category_has_room(const std::string& category) const {
  const auto refused = state_->category_refused.find(category);
  return refused == state_->category_refused.end() ||
         state_->category_has_room(category, refused->second);
}
bool Spool::has_room() const {
  return state_->log.room_for(std::max(state_->refused_bytes, uint64_t{kRecordHeaderBytes}));
}
const std::string& Spool::trouble() const { return state_->log.trouble(); }

}  // namespace tailrace
