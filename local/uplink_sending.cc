// What an Uplink sends, and when: durable batches in stream order, stream after stream in turn,
// within the Center's credit and the window.
#include <algorithm>

#include "base/bytes.h"
#include "base/mutant.h"
#include "base/random.h"
#include "flow/connection.h"
#include "local/uplink_state.h"

namespace tailrace {

namespace {
constexpr int kMostFailedReads = 3;
constexpr int64_t kReadRetryMs = 100;
}  // namespace

void Uplink::State::add_stream(const StreamInfo& info) {
  UplinkStream s;
  s.stream = info.stream;
  s.category = info.category;
  s.sub = info.sub;
  s.courses.resize(sinks.size());
  recall_held(s);
  s.allowances = &allowances.try_emplace(info.category, sinks.size()).first->second;
  streams.push_back(std::move(s));
}

// A stream is declared with its first durable lines, so that no lane is taken up for nothing.
void Uplink::State::declare_new_streams() {
  const auto& known = all.spool.tables().streams;
  if (known.size() == streams.size()) return;
  for (const auto& [id, info] : known) {
    const bool nameless = info.category.empty();  // its definition was damaged
    if (nameless || find(id) != nullptr || all.spool.durable(id).seq == 0 ||
        all.held_streams.contains(id))
      continue;
    add_stream(info);
    declare(streams.back());
  }
}

void Uplink::State::declare(const UplinkStream& s, const std::vector<size_t>& at) {
  proto::StreamDef def;
  def.set_stream(s.stream);
  def.set_category(s.category);
  def.set_sub(s.sub);
  for (const size_t sink : at) def.add_sinks(hex16(sinks[sink].uuid));
  send(FrameType::stream_def, std::move(def));
}

// Whether the sink may get the stream's next batch now.
bool Uplink::State::may_send(const UplinkStream& s, size_t sink) const {
  const uint64_t durable = mutant(Mutant::send_before_sync)
                               ? all.spool.tables().streams.at(s.stream).next.seq
                               : all.spool.durable(s.stream).seq;
  const Course& course = s.courses[sink];
  const Allowance& credit = (*s.allowances)[sink];
  return course.known && !course.held && course.barrier <= pongs && course.sent < durable &&
         owned_here(sink, s.stream) && credit.sent_bytes < credit.allowed_bytes;
}

// Those that may get the batch that starts there, as bits: one frame serves them all.
uint32_t Uplink::State::sinks_at(const UplinkStream& s, uint64_t seq) const {
  uint32_t chosen = 0;
  for (size_t i = 0; i < sinks.size(); ++i)
    if (may_send(s, i) && s.courses[i].sent == seq) chosen |= uint32_t{1} << i;
  return chosen;
}

// The sinks that get the stream's next batch, as bits; 0: none can now. `seq`: where it starts.
// Sinks in turn: one that lags far behind does not keep another waiting until it has caught up.
uint32_t Uplink::State::next_sinks(const UplinkStream& s, uint64_t& seq) {
  for (size_t i = 0; i < sinks.size(); ++i) {
    const size_t sink = (sink_turn + 1 + i) % sinks.size();
    if (!may_send(s, sink)) continue;
    sink_turn = sink;
    seq = s.courses[sink].sent;
    return sinks_at(s, seq);
  }
  return 0;
}

// The paths of files that were not named on this connection.
void Uplink::State::tell_files(const Batch& batch) {
  const auto head = BatchHead::parse(batch.head);
  for (size_t i = 0; head && i < head->source_count(); ++i) {
    const FileId id = head->source(i).file;
    if (!files_told.insert(id).second) continue;
    const auto file = all.spool.tables().files.find(id);
    if (file == all.spool.tables().files.end() || file->second.path.empty()) continue;
    proto::FileDef def;
    def.mutable_file()->set_file(id);
    def.mutable_file()->set_path(file->second.path);
    send(FrameType::file_def, std::move(def));
  }
}

void Uplink::State::note_sent(UplinkStream& s, size_t sink, uint64_t end) {
  s.courses[sink].sent = end;
  uint64_t& most = all.sent[{sinks[sink].uuid, s.stream}];
  most = std::max(most, end);
}

void Uplink::State::send_batch(UplinkStream& s, uint32_t to, BatchPtr batch) {
  if (paths_wanted) tell_files(*batch);
  for (size_t i = 0; i < sinks.size(); ++i) {
    if ((to >> i & 1) == 0) continue;
    note_sent(s, i, batch->fields.end_seq());
    (*s.allowances)[i].sent_bytes += batch->bytes();
  }
  Outgoing frame{FrameType::data};
  ByteWriter(frame.before).u32(to);
  frame.batch = std::move(batch);
  out.frames.push_back(std::move(frame));
}

// Lines that the spool has lost: the sinks are told, so that they go on behind them.
void Uplink::State::send_gap(UplinkStream& s, uint32_t to, uint64_t seq, const GapInfo& gap) {
  proto::Gap said;
  for (size_t i = 0; i < sinks.size(); ++i) {
    if ((to >> i & 1) == 0) continue;
    said.add_sinks(hex16(sinks[i].uuid));
    note_sent(s, i, gap.end_seq());
  }
  said.set_stream(s.stream);
  said.set_first_seq(seq);
  said.set_count(gap.end_seq() - seq);
  said.set_chain_after(gap.chain_after);
  said.set_reason(gap.reason);
  send(FrameType::gap, std::move(said));
}

// Bytes that were sent or are being read for it; 0: nothing can be done for this stream now.
size_t Uplink::State::send_one(UplinkStream& s) {
  if (now_ms < s.retry_at_ms || all.reading.contains(s.stream)) return 0;
  uint64_t seq = 0;
  const uint32_t to = next_sinks(s, seq);
  if (to == 0) return 0;
  std::optional<Spool::Place> place = all.spool.find(s.stream, seq);
  if (!place) {
    hold_everywhere(s, "the spool has no batch that starts at line " + std::to_string(seq));
    return 0;
  }
  if (place->gap != nullptr) {
    send_gap(s, to, seq, *place->gap);
    return kFramePrefixBytes;
  }
  if (place->batch) {
    const size_t bytes = place->batch->bytes();
    send_batch(s, to, std::move(place->batch));
    return bytes;
  }
  all.reading.insert(s.stream);
  cold_bytes += place->bytes;
  const size_t bytes = place->bytes;
  out.reads.push_back({s.stream, seq, std::move(*place)});
  return bytes;
}

void Uplink::pump(size_t queued_bytes, int64_t now_ms) {
  State& s = *state_;
  s.now_ms = now_ms;
  if (s.phase != State::Phase::open) return;
  s.declare_new_streams();
  size_t used = queued_bytes + s.cold_bytes;
  for (size_t idle = 0; idle < s.streams.size() && used < s.options.window_bytes;) {
    s.turn = (s.turn + 1) % s.streams.size();
    const size_t bytes = s.send_one(s.streams[s.turn]);
    used += bytes;
    idle = bytes == 0 ? idle + 1 : 0;
  }
  s.send_flush();
}

void Uplink::cold(const ColdRead& read, Result<std::shared_ptr<Batch>> batch) {
  State& s = *state_;
  s.all.reading.erase(read.stream);
  s.cold_bytes -= read.place.bytes;
  UplinkStream* const stream = s.phase == State::Phase::open ? s.find(read.stream) : nullptr;
  if (stream == nullptr) return;
  const uint32_t to = s.sinks_at(*stream, read.seq);
  if (to == 0) return;  // it moved meanwhile: what was read is of no use
  if (batch) {
    stream->failed_reads = 0;
    return s.send_batch(*stream, to, std::move(*batch));
  }
  // The segment may have been recycled under the read: the place is asked for again.
  stream->retry_at_ms = s.now_ms + kReadRetryMs;
  if (++stream->failed_reads < kMostFailedReads || batch.error().kind == Error::Kind::retry_later)
    return;
  stream->failed_reads = 0;
  const std::string why = "the spool cannot be read at line " + std::to_string(read.seq) + " (" +
                          read.place.segment + ", offset " + std::to_string(read.place.offset) +
                          "): " + batch.error().text;
  if (batch.error().kind != Error::Kind::corrupt) return s.hold_everywhere(*stream, why);
  s.all.spool.give_up(read.stream, read.seq, why, s.now_ms);
  s.out.alarms.push_back("LOST " + std::to_string(read.place.end_seq - read.seq) + " lines of '" +
                         stream->category + "': " + why + "; a gap takes their place");
}

// --- flush -----------------------------------------------------------------------------------

void Uplink::flush(const std::vector<StreamId>& streams) {
  State& s = *state_;
  for (const StreamId stream : streams) {
    const auto info = s.all.spool.tables().streams.find(stream);
    if (info == s.all.spool.tables().streams.end()) continue;
    const uint64_t target = info->second.next.seq;
    if (target > s.slowest(stream)) s.all.flushes[stream] = target;
  }
  s.flush_told = 0;
}

void Uplink::State::send_flush() {
  if (all.flushes.empty()) return;
  std::erase_if(all.flushes, [this](const auto& f) { return slowest(f.first) >= f.second; });
  proto::Flush flush;
  for (size_t i = 0; i < sinks.size() && flush.streams().empty(); ++i) {
    if ((flush_told >> i & 1) != 0) continue;
    for (const StreamId id : flushable(i)) flush.add_streams(id);
    if (!flush.streams().empty()) flush_told |= uint32_t{1} << i;
  }
  if (!flush.streams().empty()) send(FrameType::flush, std::move(flush));
}

// The streams that wait for a FLUSH and whose owner at that sink is here; empty also when some of
// them has not been sent yet.
std::vector<StreamId> Uplink::State::flushable(size_t sink) const {
  std::vector<StreamId> streams_of;
  for (const auto& [id, target] : all.flushes) {
    const auto s = std::find_if(streams.begin(), streams.end(),
                                [id = id](const UplinkStream& u) { return u.stream == id; });
    if (s == streams.end()) return {};
    const Course& course = s->courses[sink];
    if (course.held || !owned_here(sink, id)) continue;
    if (course.barrier > pongs || course.sent < target) return {};
    streams_of.push_back(id);
  }
  return streams_of;
}

}  // namespace tailrace
