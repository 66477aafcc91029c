#include "local/agent_session.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/mutant.h"
#include "base/random.h"
#include "base/units.h"
#include "flow/codec.h"
#include "flow/connection.h"
#include "local/agent_session_state.h"

namespace tailrace {

namespace {

constexpr size_t kWelcomeQueueBytes = 512u << 10;  // a long welcome waits above it
constexpr size_t kMostPathBytes = 4096;
const std::string kNoCategory = "_other";  // for figures: no category is named so
constexpr size_t kMostIdentityBytes = 256;
constexpr size_t kMostSinksAhead = 32;
// Below it a payload is copied, so that a large buffer is never kept for a few bytes.
constexpr size_t kSwapBytes = 32u << 10;

void take_payload(std::string& from, std::string& into) {
  if (from.size() >= kSwapBytes || from.capacity() <= kSwapBytes) {
    into.swap(from);
    return;
  }
  if (into.capacity() > kSwapBytes) std::string().swap(into);
  into.assign(from);
}

}  // namespace

void AgentActions::clear() {
  frames.clear();
  close = false;
  flush = false;
  flush_streams.clear();
  set_aside = false;
  retires.clear();
  origins.clear();
  alarms.clear();
  not_read.clear();
  refusals.clear();
}

// --- hello and welcome -----------------------------------------------------------------------

void AgentSession::State::hello(const Frame& frame) {
  proto::Hello hello;
  if (!parse(frame, hello)) return;
  if (hello.role() != proto::ROLE_AGENT)
    return malformed("only an agent may connect here; a Local answers its host's agent");
  if ((hello.features() & ~kSinksApart) != 0)
    return reject(
        proto::Reject::VERSION,
        "the agent asks for features that this Local does not know; upgrade the Local first");
  const auto& given_up = hello.given_up();
  if (std::find(given_up.begin(), given_up.end(), spool.local_id()) != given_up.end() &&
      !mutant(Mutant::retired_id_used_again)) {
    out.set_aside = true;
    out.alarms.push_back(
        "this spool was given up while another one stood here (a disk that was not mounted?): what "
        "it holds was read again from the log files, or is published. It is set aside");
    return shut();
  }
  phase = Phase::syncing;
  begin_welcome_if_durable();
}

// What is not durable may be gone after the next crash: it is not told, since the agent strikes
// from its journal what the Local says it has.
void AgentSession::State::begin_welcome_if_durable() {
  if (phase != Phase::syncing || !spool.all_durable()) return;
  phase = Phase::welcome;
  welcome_some();
}

void AgentSession::State::welcome_some() {
  proto::LocalWelcome said;
  welcome.next(said);
  const bool last = said.last();
  send(FrameType::welcome, std::move(said));
  if (!last) return;
  phase = Phase::open;
  tell_committed(missed);
  missed.clear();
}

// --- the agent's frames ----------------------------------------------------------------------

void AgentSession::State::dispatch(Frame& frame, int64_t now_ms) {
  switch (frame.type) {
    case FrameType::ping: out.frames.push_back({FrameType::pong}); return;
    case FrameType::pong: return;
    case FrameType::goodbye: return shut();
    case FrameType::reject: {
      proto::Reject r;
      if (!parse(frame, r)) return;
      out.alarms.push_back("the agent refuses to go on: " + escape(r.text()));
      return shut();
    }
    default: break;
  }
  if (static_cast<uint8_t>(frame.type) >= 128) return;
  if (phase == Phase::hello) {
    if (frame.type != FrameType::hello) return malformed("the first frame must be HELLO");
    return hello(frame);
  }
  if (phase != Phase::open) return malformed("a frame before the welcome was complete");
  switch (frame.type) {
    case FrameType::append: return append(frame, now_ms);
    case FrameType::stream_def: return define_stream(frame, now_ms);
    case FrameType::file_def: return define_file(frame, now_ms);
    case FrameType::file_gone: return file_gone(frame, now_ms);
    case FrameType::file_gap: return file_gap(frame, now_ms);
    case FrameType::flush: return flush(frame);
    case FrameType::retire: return retire(frame);
    case FrameType::origin: return origin(frame, now_ms);
    default:
      return malformed("frame type " + std::to_string(static_cast<int>(frame.type)) +
                       " has no meaning between an agent and its Local");
  }
}

void AgentSession::State::define_stream(const Frame& frame, int64_t now_ms) {
  proto::StreamDef def;
  if (!parse(frame, def)) return;
  const auto& streams = spool.tables().streams;
  if (refused_streams.size() >= kMostStreams) return malformed("too many streams were refused");
  if (!valid_category(def.category())) {
    refused_streams.insert(def.stream());
    return reject(
        proto::Reject::CATEGORY,
        "'" + escape(def.category(), 64) +
            "' is no category name: [a-z0-9][a-z0-9._-]{0,63} is, since it names a directory",
        def.stream());
  }
  if (def.sub() > UINT8_MAX) return malformed("a stream's sub is above 255");
  std::set<uint64_t> ahead;
  for (const std::string& sink : def.ahead()) ahead.insert(parse_hex16(sink));
  if (ahead.contains(0) || ahead.size() > kMostSinksAhead)
    return malformed("a stream has too many sinks that are ahead, or one without a uuid");
  const auto known = streams.find(def.stream());
  if (known != streams.end()) {
    if (known->second.category == def.category() && known->second.sub == def.sub()) {
      if (!spool.await_origins(def.stream(), ahead, now_ms))
        malformed("lines of '" + def.category() + "' were taken before it was said who is ahead");
      return;
    }
    return malformed("stream " + std::to_string(def.stream()) + " is '" + known->second.category +
                     "' here, the agent says '" + def.category() + "'");
  }
  std::set<std::string_view> categories;
  for (const auto& [id, info] : streams) {
    categories.insert(info.category);
    if (info.category == def.category() && info.sub == def.sub())
      return malformed("'" + def.category() + "' has stream " + std::to_string(id) +
                       " already; a second one would mix up its lines");
  }
  categories.insert(def.category());
  if (categories.size() > kMostCategories || streams.size() >= kMostStreams) {
    refused_streams.insert(def.stream());
    return reject(proto::Reject::CATEGORY,
                  "category '" + def.category() + "' is one too many: a Local takes " +
                      std::to_string(kMostCategories) + "; the others go on",
                  def.stream());
  }
  StreamInfo info;
  info.stream = def.stream();
  info.category = def.category();
  info.sub = static_cast<uint8_t>(def.sub());
  const Result<void> defined = spool.define_stream(info, now_ms, ahead);
  if (!defined) malformed(defined.error().text);
}

// A second time it changes nothing.
void AgentSession::State::origin(const Frame& frame, int64_t now_ms) {
  proto::Origin said;
  if (!parse(frame, said)) return;
  const uint64_t sink = parse_hex16(said.sink());
  if (!spool.tables().streams.contains(said.stream()) || sink == 0)
    return malformed("an origin of no stream, or of no sink");
  if (!spool.tables().waits.contains({sink, said.stream()})) return;
  if (!spool.set_origin(sink, said.stream(), said.seq(), now_ms))
    return malformed("an origin at line " + std::to_string(said.seq()) + ", where no batch ends");
  out.origins.push_back({sink, said.stream(), spool.cursor(sink, said.stream())});
  tell_committed(out.origins);
}

void AgentSession::State::define_file(const Frame& frame, int64_t now_ms) {
  proto::FileDef def;
  if (!parse(frame, def)) return;
  const proto::FileState& f = def.file();
  FileInfo info;
  info.file = f.file();
  info.identity = f.identity().SerializeAsString();
  info.path = f.path();
  info.generation = f.generation();
  info.next = f.next();
  info.head_hash = f.head_hash();
  info.tail_hash = f.tail_hash();
  if (info.path.size() > kMostPathBytes || info.identity.size() > kMostIdentityBytes)
    return malformed("a file's path or identity is too long");
  const auto& files = spool.tables().files;
  const auto known = files.find(info.file);
  if (known != files.end()) {
    const FileInfo& mine = known->second;
    if (mine.identity != info.identity || mine.generation != info.generation)
      return malformed("file " + std::to_string(info.file) + " is another file here: '" +
                       escape(mine.path) + "', the agent says '" + escape(info.path) + "'");
    if (mine.path == info.path) return;
    info.next = mine.next;  // it was renamed: how far it was taken is known better here
    info.head_hash = mine.head_hash;
    info.tail_hash = mine.tail_hash;
  }
  const Result<void> defined = spool.define_file(info, now_ms);
  if (!defined) malformed(defined.error().text);
}

void AgentSession::State::file_gone(const Frame& frame, int64_t now_ms) {
  proto::FileGone gone;
  if (!parse(frame, gone)) return;
  if (spool.tables().files.contains(gone.file())) spool.forget_file(gone.file(), now_ms);
}

void AgentSession::State::file_gap(const Frame& frame, int64_t now_ms) {
  proto::FileGap gap;
  if (!parse(frame, gap)) return;
  if (!spool.tables().files.contains(gap.file()))
    return malformed("a gap in file " + std::to_string(gap.file()) + ", which was never defined");
  if (gap.start() > gap.end()) return malformed("a gap ends before it starts");
  FileGapInfo info;
  info.file = gap.file();
  info.start = gap.start();
  info.end = gap.end();
  info.reason = escape(gap.reason(), 64);
  spool.file_gap(info, now_ms);
}

void AgentSession::State::flush(const Frame& frame) {
  proto::Flush flush;
  if (!parse(frame, flush)) return;
  push = true;
  out.flush = true;
  if (flush.streams().empty())
    for (const auto& [id, info] : spool.tables().streams) out.flush_streams.push_back(id);
  for (const uint32_t stream : flush.streams())
    if (spool.tables().streams.contains(stream)) out.flush_streams.push_back(stream);
}

void AgentSession::State::retire(const Frame& frame) {
  proto::Retire asked;
  if (!parse(frame, asked)) return;
  if (asked.local_id() == 0 || asked.local_id() == spool.local_id() || asked.sub() > UINT8_MAX ||
      !valid_category(asked.category()))
    return malformed("RETIRE of no stream of another spool");
  RetiredStream& of = out.retires.emplace_back();
  of.local_id = asked.local_id();
  of.category = asked.category();
  of.sub = static_cast<uint8_t>(asked.sub());
  of.each_sink = asked.each_sink();
}

void AgentSession::State::append(Frame& frame, int64_t now_ms) {
  const Result<BatchHead> parsed = BatchHead::parse(frame.header);
  if (!parsed) return reject(proto::Reject::CORRUPT, parsed.error().text);
  const BatchFields& fields = parsed->fields();
  if (fields.payload_len != frame.payload.size())
    return reject(proto::Reject::CORRUPT, "a batch's payload is not as long as its head says");
  if (refused_streams.contains(fields.stream)) return count_refused(kNoCategory, fields);
  const Result<void> member = check_member(fields.payload_codec, frame.payload, fields.raw_len);
  if (!member) return reject(proto::Reject::CORRUPT, member.error().text);
  std::shared_ptr<Batch> batch = batches.get();
  batch->fields = fields;
  batch->head.assign(frame.header);  // not swapped: `parsed` looks into the frame's
  take_payload(frame.payload, batch->payload);
  const size_t bytes = batch->bytes();
  switch (spool.append(std::move(batch), now_ms)) {
    case Spool::Taken::appended:
      pending_bytes += bytes;
      lines_taken += fields.count;
      if (std::none_of(unacked.begin(), unacked.end(),
                       [&](const Unacked& u) { return u.stream == fields.stream; }))
        unacked.push_back({fields.stream, fields.first_seq});
      return;
    case Spool::Taken::unexpected: return refuse(*parsed, false, now_ms);
    case Spool::Taken::category_full:
    case Spool::Taken::full: return refuse(*parsed, true, now_ms);
    case Spool::Taken::unknown:
      return malformed("a batch of stream " + std::to_string(fields.stream) +
                       ", and it or one of the batch's files was never defined");
    case Spool::Taken::corrupt:
      return reject(proto::Reject::CORRUPT,
                    "a batch's payload does not have the checksum of its head");
  }
}

void AgentSession::State::count_refused(const std::string& category, const BatchFields& fields) {
  ++refused;
  lines_refused[category] += fields.count;
}

void AgentSession::State::refuse(const BatchHead& head, bool no_room, int64_t now_ms) {
  const SpoolTables& tables = spool.tables();
  const StreamInfo& stream = tables.streams.at(head.fields().stream);
  count_refused(stream.category, head.fields());
  if (no_room && paused.try_emplace(stream.category, Pause{now_ms}).second) {
    proto::Credit credit;
    credit.set_category(stream.category);
    credit.set_paused(true);
    send(FrameType::credit, std::move(credit));
  }
  proto::Expect expect;
  expect.set_stream(stream.stream);
  expect.set_next_seq(stream.next.seq);
  std::set<FileId> told;
  for (size_t i = 0; i < head.source_count(); ++i) {
    const FileId file = head.source(i).file;
    const auto known = tables.files.find(file);
    if (known == tables.files.end() || !told.insert(file).second) continue;
    proto::Expect::FileNext& next = *expect.add_files();
    next.set_file(file);
    next.set_next(known->second.next);
  }
  send(FrameType::expect, std::move(expect));
}

// --- the door --------------------------------------------------------------------------------

AgentSession::AgentSession(Spool& spool, Pool<Batch>& batches, std::string version, int64_t now_ms,
                           std::vector<uint64_t> replaces)
    : state_(std::make_unique<State>(spool, batches, std::move(version), now_ms,
                                     std::move(replaces))) {}
AgentSession::~AgentSession() = default;

void AgentSession::frame(Frame& frame, int64_t now_ms) {
  State& s = *state_;
  if (s.phase == State::Phase::closed) return;
  s.heard_ms = now_ms;
  if ((frame.flags & ~kFramePush) != 0)
    return s.malformed("a frame has flags that are not defined");
  if (frame.type != FrameType::append && !frame.payload.empty())
    return s.malformed("a frame that is no batch has a payload");
  s.dispatch(frame, now_ms);
  if ((frame.flags & kFramePush) != 0) s.push = true;
}

void AgentSession::group_begun() {
  state_->push = false;
  state_->pending_bytes = 0;
}

void AgentSession::spool_moved(int64_t) {
  state_->begin_welcome_if_durable();
  state_->ack();
  state_->tell_given_up();
  state_->end_pauses();
}

void AgentSession::committed(const std::vector<SinkPlace>& places) {
  State& s = *state_;
  if (s.phase == State::Phase::open) return s.tell_committed(places);
  // Before the welcome the tables will tell; a part of it that is said already would not.
  if (welcoming()) s.missed.insert(s.missed.end(), places.begin(), places.end());
}

void AgentSession::retired(const std::vector<RetiredStream>& streams) {
  State& s = *state_;
  if (s.phase != State::Phase::open) return;  // it asks again
  for (const RetiredStream& stream : streams) {
    proto::Retired said;
    said.set_local_id(stream.local_id);
    said.set_category(stream.category);
    said.set_sub(stream.sub);
    said.mutable_position()->set_seq(stream.seq);
    for (const auto& [sink, seq] : stream.finals) {
      proto::SinkPosition& p = *said.add_finals();
      p.set_sink(hex16(sink));
      p.set_seq(seq);
    }
    s.send(FrameType::retired, std::move(said));
  }
}

void AgentSession::room(size_t queued_bytes) {
  if (welcoming() && queued_bytes < kWelcomeQueueBytes) state_->welcome_some();
}

void AgentSession::tick(bool reading, int64_t now_ms) {
  State& s = *state_;
  if (s.phase == State::Phase::closed) return;
  if (!reading) s.heard_ms = now_ms;
  if (now_ms - s.heard_ms >= kDeadMs) {
    s.out.alarms.push_back("the agent has said nothing for " + show_duration(kDeadMs) +
                           ": its connection is closed");
    return s.shut();
  }
  s.end_pauses();
  s.alarm_pauses(now_ms);
  if (now_ms - s.pinged_ms < kPingMs) return;
  s.pinged_ms = now_ms;
  s.out.frames.push_back({FrameType::ping});
}

void AgentSession::take(AgentActions& into) {
  into.clear();
  std::swap(into, state_->out);
}

bool AgentSession::pushes() const { return state_->push || state_->phase == State::Phase::syncing; }
bool AgentSession::greeted() const { return state_->phase != State::Phase::hello; }
bool AgentSession::welcoming() const { return state_->phase == State::Phase::welcome; }
uint64_t AgentSession::pending_bytes() const { return state_->pending_bytes; }
uint64_t AgentSession::lines_taken() const { return state_->lines_taken; }
uint64_t AgentSession::refused() const { return state_->refused; }
const std::map<std::string, uint64_t>& AgentSession::lines_refused() const {
  return state_->lines_refused;
}

}  // namespace tailrace
