#include <algorithm>

#include "agent/messages.h"
#include "base/buggify.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "flow/codec.h"
#include "tests/sim/host.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kTickMs = 250;
constexpr int64_t kPingMs = 5'000;
constexpr int64_t kDeadMs = 15'000;
constexpr int64_t kJournalMs = 1'000;
constexpr size_t kWindowBytes = 2'000;
constexpr size_t kMostBatchLines = 8;
}  // namespace

AgentProcess::AgentProcess(World& world, const std::string& name, std::vector<LogFile>& logs,
                           Storage& storage, Codec codec, Connect connect)
    : Process(world, name),
      logs_(logs),
      storage_(storage),
      codec_(codec),
      connect_(std::move(connect)),
      session_(journal_, kWindowBytes) {}

void AgentProcess::start() {
  if (storage_.journal.empty()) {
    journal_.encode_all(storage_.journal);
    storage_.synced = storage_.journal.size();  // it gets its name when it is whole
  }
  const auto replay = journal_.replay(storage_.journal);
  if (!replay) return world_.violated(name() + ": the journal: " + replay.error().text);
  storage_.journal.resize(replay->good);
  storage_.synced = storage_.journal.size();  // opening it syncs it
  say("starts");
  connect();
  after(kJournalMs, [this] { keep_journal(); });
  tick();
}

void AgentProcess::connect() {
  wire_ = connect_(*this);
  if (!wire_)
    return after(200 + static_cast<int64_t>(world_.rng.below(800)), [this] { connect(); });
  const auto lost = [this](const std::string& why) {
    say("lost the Local: " + why);
    session_.disconnected();
    wire_.reset();
    after(100 + static_cast<int64_t>(world_.rng.below(500)), [this] { connect(); });
  };
  wire_->hook(0, {[this](Frame& frame) { take(frame); }, lost});
  pinged_ms_ = world_.now_ms;
  session_.connected();
  wire_->send(0, hello_frame(session_.state()));
}

void AgentProcess::take(Frame& frame) {
  const auto taken = take_frame(frame, session_, world_.now_ms);
  if (!session_.held().empty() && !may_hold) world_.violated(name() + " holds: " + session_.held());
  if (!taken) {
    say(taken.error().text);
    session_.disconnected();
    wire_->close(0);
    wire_.reset();
    return after(500, [this] { connect(); });
  }
  for (const std::string& alarm : std::exchange(session_.alarms(), {})) say(alarm);
  place_again();
  carry_out();
  if (session_.placed() && mutant(Mutant::strike_unsynced)) {
    if (!std::exchange(settling_, true)) place_all();
  } else if (session_.placed() && !settling_) {
    settling_ = true;
    sync([this] {
      place_all();
      read();
    });
  }
  read();
}

void AgentProcess::tick() {
  session_.tick(world_.now_ms);
  if (wire_ && world_.now_ms - wire_->last_heard_ms(0) > kDeadMs) {
    say("the Local says nothing");
    session_.disconnected();
    wire_->close(0);
    wire_.reset();
    connect();
  } else if (wire_ && session_.wants_to_greet()) {
    session_.disconnected();
    wire_->close(0);
    wire_.reset();
    connect();
  } else if (wire_ && world_.now_ms - pinged_ms_ >= kPingMs) {
    pinged_ms_ = world_.now_ms;
    wire_->send(0, Outgoing{.type = FrameType::ping});
  }
  read();
  after(kTickMs, [this] { tick(); });
}

// --- reading -------------------------------------------------------------------------------------

void AgentProcess::place_all() {
  placed_ = true;
  places_.resize(logs_.size());
  for (size_t i = 0; i < logs_.size(); ++i) {
    const FileRecord* record = session_.state().file_of(logs_[i].identity);
    if (record) places_[i] = {record->acked, record->id, record->generation};
  }
}

// Where a lost spool's lines are read again.
void AgentProcess::place_again() {
  const std::set<FileId> moved = session_.take_moved();
  if (!placed_) return;
  for (size_t i = 0; i < logs_.size(); ++i) {
    const FileRecord* record = session_.state().file_of(logs_[i].identity);
    if (record && moved.contains(record->id))
      places_[i] = {record->acked, record->id, record->generation};
  }
}

void AgentProcess::read() {
  if (!placed_) return;
  places_.resize(logs_.size());
  for (bool more = true; more;) {
    more = false;
    for (const LogFile& log : logs_)
      if (session_.live() && !session_.window_full() && session_.may_read(log.category))
        more = read_some(log.category) || more;
  }
  session_.push();
  carry_out();
}

// A batch of what stands unread in the files of a category. False: nothing does.
bool AgentProcess::read_some(const std::string& category) {
  auto batch = std::make_shared<Batch>();
  std::vector<SourceRange> ranges;
  const Session::Place place = session_.place(category);
  BatchFields& f = batch->fields;
  const size_t most = 1 + world_.rng.below(kMostBatchLines);
  for (size_t i = 0; i < logs_.size() && f.count < most; ++i) {
    const LogFile& log = logs_[i];
    Place& at = places_[i];
    const uint64_t end = std::min<uint64_t>(log.bytes.size(), session_.read_to(category, at.id));
    if (log.category != category || at.at.offset >= end) continue;
    if (at.id == 0) at.id = session_.define_file(log.identity, log.path, at.generation, category);
    SourceRange range{at.id, at.at.offset, at.at.offset, 0, 0, 0};
    while (range.end < end && f.count < most) {
      range.end = log.bytes.find('\n', range.end) + 1;
      ++range.lines;
      ++f.count;
    }
    const std::string_view read = std::string_view(log.bytes).substr(0, range.end);
    range.head_hash = source_hash(read.substr(0, kHeadHashBytes));
    range.tail_hash = source_hash(read.substr(read.size() - std::min(read.size(), kTailHashBytes)));
    batch->payload += read.substr(range.start);
    at.at = {range.end, range.head_hash, range.tail_hash};
    ranges.push_back(range);
  }
  if (f.count == 0) return false;
  f.file_codec = codec_;
  f.stream = place.stream;
  f.first_seq = place.first_seq;
  f.raw_len = f.payload_len = static_cast<uint32_t>(batch->payload.size());
  if (codec_ != Codec::none && world_.rng.chance(0.1)) {
    make_compressor(codec_)->compress(std::string(batch->payload), batch->payload);
    f.payload_codec = codec_;
    f.payload_len = static_cast<uint32_t>(batch->payload.size());
  }
  f.payload_crc = crc32c(batch->payload);
  f.bucket = std::max(place.bucket, bucket_of(wall_ms()));
  f.first_read_ms = f.last_read_ms = wall_ms();
  encode_batch_head(f, ranges, {}, batch->head);
  session_.append(std::move(batch), ranges);
  return true;
}

// --- the journal, and what it allows -------------------------------------------------------------

void AgentProcess::carry_out() {
  if (mutant(Mutant::journal_after_send))
    after(world_.delay(), [this] { storage_.journal += std::exchange(journal_.unwritten(), {}); });
  else
    storage_.journal += std::exchange(journal_.unwritten(), {});
  if (!wire_) return;
  for (const SessionAction& action : std::exchange(session_.actions(), {}))
    if (const auto frame = frame_of(action, session_.state())) wire_->send(0, *frame);
}

void AgentProcess::keep_journal() {
  if (placed_ && buggify(Rare::journal_folded)) fold();
  sync([this] { after(kJournalMs, [this] { keep_journal(); }); });
}

// The file that takes the old one's place is synced before.
void AgentProcess::fold() {
  journal_.encode_all(storage_.journal);
  storage_.synced = storage_.journal.size();
  journal_.unwritten().clear();
}

// It takes its time; what is written meanwhile is not in it.
void AgentProcess::sync(std::function<void()> then) {
  after(world_.delay(),
        [this, end = storage_.journal.size(), losses = session_.losses(), then = std::move(then)] {
          storage_.synced = std::max(storage_.synced, end);
          journal_.mark_durable(end);
          storage_.journal += std::exchange(journal_.unwritten(), {});
          session_.losses_durable(losses);
          carry_out();
          then();
        });
}

void AgentProcess::flush() {
  session_.flush();
  carry_out();
}

std::string AgentProcess::waits_for() const {
  if (!placed_ || !session_.live()) return "its agent has no Local";
  std::string text;
  for (size_t i = 0; i < logs_.size(); ++i) {
    const uint64_t read = i < places_.size() ? places_[i].at.offset : 0;
    if (read == logs_[i].bytes.size()) continue;
    text += logs_[i].source + " is read to byte " + std::to_string(read) + " of " +
            std::to_string(logs_[i].bytes.size()) +
            (session_.may_read(logs_[i].category) ? "" : ", its category is paused") + "; ";
  }
  for (const auto& [name, flow] : session_.flows())
    text += name + ": " + std::to_string(flow.waiting) + " lines not acked, " +
            std::to_string(flow.unpublished) + " not final; ";
  return text;
}

bool AgentProcess::all_final() const {
  if (!placed_ || !session_.live()) return false;
  for (size_t i = 0; i < logs_.size(); ++i)
    if (i >= places_.size() || places_[i].at.offset != logs_[i].bytes.size()) return false;
  return session_.all_acked() && session_.all_final();
}

bool AgentProcess::anything_final() const {
  const auto& files = journal_.state().files;
  return std::any_of(files.begin(), files.end(),
                     [](const auto& file) { return file.second.final_.offset > 0; });
}

}  // namespace tailrace::sim
