#include "tests/local/spool_world.h"

#include <algorithm>

#include "base/hash.h"

namespace tailrace::test {

namespace {
constexpr uint64_t kSinks[] = {0xA11CE, 0xB0B};
constexpr const char* kCategories[] = {"nginx.access", "syslog", "app"};

// Those that reach the disk: an origin in the middle of a stream does not.
std::map<std::pair<uint64_t, StreamId>, Position> written_cursors(const Spool& spool) {
  auto cursors = spool.tables().cursors;
  for (const auto& origin : spool.origins()) cursors.erase(origin);
  return cursors;
}

uint64_t hash_of(const Batch& batch) { return xxh3(batch.head) ^ mix64(xxh3(batch.payload)); }
}  // namespace

SpoolWorld::SpoolWorld(uint64_t seed, WorldOptions options)
    : rng_(seed), options_(options), next_random_(mix64(seed) | 1) {
  versions_.emplace_back();
}
SpoolWorld::~SpoolWorld() = default;

bool SpoolWorld::fail(std::string why) {
  failure_ = std::move(why);
  return false;
}

SpoolWorld::Version SpoolWorld::version_of(const SpoolTables& tables) {
  Version v{tables.streams, tables.files};
  for (auto& [id, s] : v.streams) s.oldest = {};
  return v;
}

void SpoolWorld::record() {
  Version v = version_of(spool_->tables());
  if (!(v == versions_.back())) versions_.push_back(std::move(v));
  cursors_issued_ = written_cursors(*spool_);
}

// --- processes --------------------------------------------------------------------------------

bool SpoolWorld::start() {
  SpoolImage image = disk.cached();
  Result<RecoveredSpool> recovered = recover_spool(image, next_random_++);
  if (!recovered) return fail("start: " + recovered.error().text);
  if (std::string wrong = judge_recovered(*recovered); !wrong.empty())
    return fail("start: " + wrong);
  // What is not there was never promised: the agent sends it again, perhaps cut otherwise.
  for (auto& [stream, batches] : taken_) {
    const auto known = recovered->tables.streams.find(stream);
    const uint64_t next = known == recovered->tables.streams.end() ? 0 : known->second.next.seq;
    batches.erase(batches.lower_bound(next), batches.end());
  }
  const uint64_t start = next_random_++;
  starts_.insert(start);
  spool_ = std::make_unique<Spool>(options_.spool, std::move(*recovered), start);
  local_id_ = spool_->local_id();
  versions_.push_back(version_of(spool_->tables()));
  written_ = versions_.size() - 1;
  cursors_issued_ = cursors_written_ = written_cursors(*spool_);
  // A full disk may hold it up; nothing is served before.
  for (int i = 0; i < 10 && !spool_->all_durable(); ++i, now_ms_ += 1000)
    if (!run_groups(true)) return false;
  if (!spool_->all_durable()) return fail("start: what was recovered is not made safe");
  starts_ = {start};
  return true;
}

void SpoolWorld::kill() {
  spool_.reset();
  served_ = false;
  failure_.clear();
}

bool SpoolWorld::restart_from(const SpoolImage& image) {
  kill();
  auto forgets = std::move(disk.forgets);
  disk = VirtualDisk(image);
  disk.forgets = std::move(forgets);
  return start();
}

bool SpoolWorld::run_groups(bool all) {
  for (int i = 0; i < 1000; ++i) {
    const int64_t due = spool_->group_due_ms(false, now_ms_);
    if (due < 0 || (due > 0 && !all)) return true;
    if (due > 0) now_ms_ += due;
    SpoolGroup group = spool_->begin_group(now_ms_);
    const size_t version = versions_.size() - 1;
    if (group.last_lsn != 0) {
      written_ = version;
      cursors_written_ = cursors_issued_;
    }
    // The road goes on while the disk works.
    if (served_)
      for (uint64_t n = rng_.below(3); n > 0; --n) event();
    const Result<void> done = disk.apply(group, after_op);
    if (!done) {
      spool_->group_failed(done.error(), now_ms_);
      if (done.error().kind != Error::Kind::retry_later) return fail(done.error().text);
      seen_.insert("no space");
      return true;
    }
    spool_->group_done(now_ms_);
    ++groups_;
    for (const SpoolOp& op : group.ops) {
      if (op.kind == SpoolOp::Kind::create) seen_.insert("create");
      if (op.kind == SpoolOp::Kind::remove) seen_.insert("remove");
      if (op.kind == SpoolOp::Kind::rename && op.name.ends_with(".seg")) seen_.insert("recycle");
      if (op.kind == SpoolOp::Kind::create && op.bytes > options_.spool.segment_bytes)
        seen_.insert("large segment");
    }
    if (group.last_lsn != 0) {
      served_ = true;
      acked_ = version;
      cursors_acked_ = cursors_written_;
      if (after_op) after_op();
    }
    if (rng_.chance(0.5)) spool_->reuse(std::move(group));
  }
  return fail("groups without end");
}

bool SpoolWorld::shut_down() {
  if (!run_groups(true)) return false;
  for (;;) {
    const SpoolGroup group = spool_->begin_shutdown(now_ms_);
    if (const auto done = disk.apply(group, after_op); !done) return fail(done.error().text);
    spool_->group_done(now_ms_);
    if (group.last_lsn == 0) continue;
    seen_.insert("clean shutdown");
    kill();
    return true;
  }
}

// --- events -----------------------------------------------------------------------------------

void SpoolWorld::event() {
  const uint64_t dice = rng_.below(90);
  if (dice < 8)
    define();
  else if (dice < 60)
    append();
  else
    commit();
}

bool SpoolWorld::step() {
  now_ms_ += static_cast<int64_t>(rng_.below(60));
  const bool all = rng_.below(10) == 0;
  if (!all) event();
  return failure_.empty() && run_groups(all);
}

void SpoolWorld::define() {
  const SpoolTables& t = spool_->tables();
  const uint64_t dice = rng_.below(10);
  if (t.streams.size() < std::size(kCategories) && dice < 4) {
    StreamInfo s;
    s.stream = static_cast<StreamId>(t.streams.size() + 1);
    s.category = kCategories[t.streams.size()];
    if (!spool_->define_stream(s, now_ms_)) fail("a stream was refused");
  } else if (t.files.empty() || (t.files.size() < 5 && dice < 7)) {
    FileInfo f;
    f.file = next_file_++;
    f.identity = "inode " + std::to_string(f.file);
    f.path = "/var/log/" + std::to_string(f.file);
    f.generation = static_cast<uint32_t>(rng_.below(3));
    if (!spool_->define_file(f, now_ms_)) fail("a file was refused");
  } else {
    auto it = t.files.begin();
    std::advance(it, static_cast<ptrdiff_t>(rng_.below(t.files.size())));
    FileInfo f = it->second;
    if (dice < 8) {
      seen_.insert("file gone");
      spool_->forget_file(f.file, now_ms_);
    } else if (dice < 9) {
      seen_.insert("file gap");
      spool_->file_gap({f.file, f.next, rng_.chance(0.5) ? f.next + 7 : UINT64_MAX, "cut"},
                       now_ms_);
    } else {
      f.path += ".1";
      if (!spool_->define_file(f, now_ms_)) fail("a renamed file was refused");
    }
  }
  record();
}

std::shared_ptr<Batch> SpoolWorld::make_batch(StreamId stream) {
  const SpoolTables& t = spool_->tables();
  auto batch = std::make_shared<Batch>();
  BatchFields f;
  f.stream = stream;
  f.first_seq = t.streams.at(stream).next.seq;
  std::vector<SourceRange> src;
  for (const auto& [id, file] : t.files) {
    if (!src.empty() && rng_.chance(0.6)) continue;
    const auto lines = static_cast<uint32_t>(1 + rng_.below(4));
    src.push_back({id, file.next, file.next + 10 * lines, lines, static_cast<uint32_t>(rng_.next()),
                   static_cast<uint32_t>(rng_.next())});
    f.count += lines;
  }
  if (src.empty()) f.count = 3;
  const bool large = rng_.chance(options_.large);
  const uint64_t bytes = f.count + (large ? options_.spool.segment_bytes + rng_.below(3000)
                                          : rng_.below(options_.most_payload));
  for (uint64_t i = 0; i < bytes; ++i) batch->payload += static_cast<char>(rng_.next());
  f.raw_len = f.payload_len = static_cast<uint32_t>(bytes);
  f.payload_crc = crc32c(batch->payload);
  encode_batch_head(f, src, {}, batch->head);
  batch->fields = f;
  return batch;
}

void SpoolWorld::append() {
  const SpoolTables& t = spool_->tables();
  if (t.streams.empty()) return define();
  const auto stream = static_cast<StreamId>(1 + rng_.below(t.streams.size()));
  const Position before = t.streams.at(stream).next;
  const std::shared_ptr<Batch> batch = make_batch(stream);
  switch (spool_->append(batch, now_ms_)) {
    case Spool::Taken::appended: break;
    case Spool::Taken::category_full: seen_.insert("category full"); return;
    case Spool::Taken::full: seen_.insert("full"); return;
    default: fail("a good batch was not taken"); return;
  }
  const Position next = t.streams.at(stream).next;
  if (next.chain != next_chain(before.chain, batch->fields.payload_crc, batch->fields.count))
    fail("a chain is wrong");
  taken_[stream][before.seq] = {next.seq, before.chain, next.chain, hash_of(*batch)};
  record();
}

void SpoolWorld::commit() {
  const SpoolTables& t = spool_->tables();
  if (t.streams.empty()) return;
  const uint64_t sink = kSinks[rng_.below(8) == 0 ? 1 : 0];
  if (sinks_of(t).count(sink) == 0) {
    if (sink == kSinks[1] && versions_.size() < 100) return;
    spool_->add_sink(sink, now_ms_);
  }
  for (const auto& [stream, info] : t.streams) {
    const Position at = spool_->cursor(sink, stream);
    auto& batches = taken_[stream];
    auto to = batches.lower_bound(at.seq);
    Position next = at;
    for (uint64_t n = rng_.below(12); n > 0 && to != batches.end(); --n, ++to) {
      if (to->second.end_seq > spool_->durable(stream).seq) break;
      next = {to->second.end_seq, to->second.chain_after};
    }
    if (!spool_->advance_cursor(sink, stream, next, now_ms_)) fail("a good cursor was refused");
    if (spool_->advance_cursor(sink, stream, {next.seq, next.chain + 1}, now_ms_))
      fail("a cursor with another chain was taken");
  }
  cursors_issued_ = written_cursors(*spool_);
}

// --- the judge --------------------------------------------------------------------------------

// Below it the spool may have trimmed the stream: every sink whose cursor is on the disk has it.
uint64_t SpoolWorld::passed(const SpoolTables& tables, StreamId stream) {
  uint64_t least = UINT64_MAX;
  for (const auto& [key, at] : tables.cursors)
    if (key.second == stream) least = std::min(least, at.seq);
  return least == UINT64_MAX ? 0 : least;
}

std::string SpoolWorld::judge_cursors(const RecoveredSpool& recovered) const {
  for (const auto& [key, at] : cursors_acked_) {
    const auto now = recovered.tables.cursors.find(key);
    if (now == recovered.tables.cursors.end()) return "a durable cursor is missing";
    if (now->second.seq < at.seq) return "a durable cursor went back";
  }
  for (const auto& [key, at] : recovered.tables.cursors) {
    const auto written = cursors_written_.find(key);
    if (written == cursors_written_.end()) return "a cursor was invented";
    if (at.seq > written->second.seq) return "a cursor went ahead";
    if (at.seq == written->second.seq && at.chain != written->second.chain)
      return "a cursor's chain is wrong";
  }
  return "";
}

std::string SpoolWorld::judge_ranges(const RecoveredSpool& recovered) const {
  for (const auto& [stream, info] : recovered.tables.streams) {
    const auto known = taken_.find(stream);
    const auto ranges = recovered.index.streams().find(stream);
    uint64_t end = passed(recovered.tables, stream);
    if (ranges != recovered.index.streams().end()) {
      for (const SpoolRange& r : ranges->second) {
        if (r.gap()) return "a gap where nothing was damaged";
        if (known == taken_.end()) return "batches of a stream that sent none";
        const auto batch = known->second.find(r.first_seq);
        if (batch == known->second.end()) return "a batch was invented";
        const Taken& t = batch->second;
        if (r.end_seq != t.end_seq || r.chain_before != t.chain_before ||
            r.chain_after != t.chain_after)
          return "a batch is not the one that was taken";
        if (r.first_seq > end) return "batches are missing in the middle";
        end = std::max(end, r.end_seq);
      }
    }
    if (end < info.next.seq) return "batches are missing at the end";
  }
  return "";
}

std::string SpoolWorld::judge_recovered(const RecoveredSpool& recovered) const {
  if (recovered.damaged)
    return "a crash was taken for damage: " + (recovered.notes.empty() ? "" : recovered.notes[0]);
  if (local_id_ != 0 && acked_ > 0 && recovered.tables.local_id != local_id_)
    return "the spool's id is another";
  if (!starts_.empty() && acked_ > 0 && !starts_.contains(recovered.tables.start))
    return "the last START is not one of this spool's";
  const Version now = version_of(recovered.tables);
  bool known = false;
  for (size_t i = acked_; i <= written_ && !known; ++i) known = versions_[i] == now;
  if (!known) return "streams and files stand where they never stood, or before what was acked";
  if (std::string wrong = judge_cursors(recovered); !wrong.empty()) return wrong;
  return judge_ranges(recovered);
}

std::string SpoolWorld::judge(SpoolImage& image) {
  const Result<RecoveredSpool> recovered = recover_spool(image, 77);
  if (!recovered) return "recovery failed: " + recovered.error().text;
  return judge_recovered(*recovered);
}

Result<void> SpoolWorld::serve(Spool& spool, VirtualDisk& on,
                               const std::function<void()>& after) const {
  int64_t now_ms = 0;
  for (int i = 0; i < 100; ++i) {
    const int64_t due = spool.group_due_ms(false, now_ms);
    if (due < 0) return {};
    now_ms += due;
    const SpoolGroup group = spool.begin_group(now_ms);
    if (auto done = on.apply(group, after); !done) return done;
    spool.group_done(now_ms);
  }
  return Error{Error::Kind::fatal, "groups without end"};
}

std::string SpoolWorld::read_back(Spool& spool, SpoolImage& image) const {
  for (const auto& [stream, info] : spool.tables().streams) {
    const auto batches = taken_.find(stream);
    if (batches == taken_.end()) continue;
    for (auto b = batches->second.lower_bound(info.oldest.seq);
         b != batches->second.end() && b->first < info.next.seq; ++b) {
      const auto place = spool.find(stream, b->first);
      if (!place) return "a batch cannot be found";
      BatchPtr batch = place->batch;
      if (!batch) {
        std::string bytes;
        if (!image.read(place->segment, place->offset, place->bytes, bytes)) return "unreadable";
        auto decoded = spool.decode_record(*place, bytes);
        if (!decoded) return "a batch cannot be read: " + decoded.error().text;
        batch = *decoded;
      }
      if (hash_of(*batch) != b->second.hash) return "a batch's bytes are others";
    }
  }
  return "";
}

std::string SpoolWorld::judge_and_serve(const SpoolImage& image) {
  SpoolImage read = image;
  Result<RecoveredSpool> recovered = recover_spool(read, 77);
  if (!recovered) return "recovery failed: " + recovered.error().text;
  if (std::string wrong = judge_recovered(*recovered); !wrong.empty()) return wrong;
  VirtualDisk on(image);
  SpoolOptions options = options_.spool;
  options.cache_bytes = 0;
  Spool spool(options, std::move(*recovered), 99);
  if (auto served = serve(spool, on, {}); !served) return served.error().text;
  SpoolImage after = on.durable();
  if (std::string wrong = read_back(spool, after); !wrong.empty()) return wrong;
  Result<RecoveredSpool> again = recover_spool(after, 78);
  if (!again) return "second recovery failed: " + again.error().text;
  if (again->damaged) return "the second recovery sees damage: " + again->notes[0];
  SpoolTables said = spool.tables();
  said.cursors = written_cursors(spool);
  for (auto& [id, s] : said.streams) s.oldest = {};  // a segment given up may still be there
  for (auto& [id, s] : again->tables.streams) s.oldest = {};
  if (!(again->tables == said)) return "the second recovery says something else";
  return judge_ranges(*again);
}

std::string SpoolWorld::judge_second_cut(const SpoolImage& image, Rng& rng) {
  SpoolImage read = image;
  Result<RecoveredSpool> recovered = recover_spool(read, 77);
  if (!recovered) return "recovery failed: " + recovered.error().text;
  VirtualDisk on(image);
  Spool spool(options_.spool, std::move(*recovered), 99);
  const std::set<uint64_t> starts = starts_;
  starts_.insert(99);
  const auto written = std::exchange(cursors_written_, cursors_issued_);
  std::string wrong;
  const auto cut = [&] {
    on.after_power_cut(512, 6, rng, [&](const SpoolImage& state) {
      if (wrong.empty()) wrong = judge_and_serve(state);
    });
  };
  const Result<void> served = serve(spool, on, cut);
  starts_ = starts;
  cursors_written_ = written;
  if (!served) return served.error().text;
  return wrong;
}

}  // namespace tailrace::test
