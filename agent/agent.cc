#include "agent/agent.h"

#include <sys/resource.h>

#include <algorithm>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include "agent/agent_state.h"
#include "agent/messages.h"
#include "agent/tree_walk.h"
#include "base/log.h"
#include "base/random.h"
#include "base/spawn.h"

namespace tailrace {

namespace {
constexpr int64_t kPingMs = 5'000;
constexpr int64_t kDeadMs = 15'000;
constexpr int64_t kJournalMs = 1'000;
constexpr int64_t kBackoffMs = 100;
constexpr int64_t kMostBackoffMs = 5'000;
constexpr int64_t kSoonMs = 200;  // between scans that the watch asks for
constexpr int64_t kLowLatencyMs = 50;
constexpr uint32_t kLeastRecord = 64;
constexpr int64_t kRetireAlarmMs = 60'000;
constexpr size_t kMostUnreadableTold = 1000;

FileTable::Clock now() { return {mono_ms(), wall_ms()}; }

// Half of what the process may open: the other roles may live in it too.
size_t most_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  return std::clamp<size_t>(limit.rlim_cur / 2, 64, 16384);
}
}  // namespace

// --- time, names, scans

asio::awaitable<void> Agent::State::keep_time() {
  while (!leaving) {
    co_await tick_bell.wait(settings.tick_ms);
    if (!leaving) take_tick();
  }
}

void Agent::State::hear_writes(FileTable::Clock clock) {
  if (!watching) return;
  const auto written = [&](std::string_view path) { table->written(path, clock); };
  if (watch.collect_writes(written)) return;
  table->written_somewhere(clock);
  scan_bell.ring();
}

// Categories that want it are looked at more often than all others.
asio::awaitable<void> Agent::State::keep_low_latency() {
  while (!leaving) {
    co_await low_bell.wait(kLowLatencyMs);
    if (leaving || !placed) continue;
    hear_writes(now());
    for (size_t c = 0; c < due.size(); ++c)
      if (low_latency[c]) due[c] = Due::whole;
    read_bell.ring();
  }
}

void Agent::State::note_ages(int64_t wall_ms) {
  uint64_t taken = 0, passed = 0;
  for (const auto& [category, flow] : session->flows()) {
    unpublished[category].seen(flow.next_seq, flow.next_seq - flow.unpublished, wall_ms);
    taken += flow.next_seq;
    passed += flow.next_seq - flow.waiting;
  }
  unacked.seen(taken, passed, wall_ms);
}

void Agent::State::take_tick() {
  const FileTable::Clock clock = now();
  hear_writes(clock);
  table->tick(clock);
  session->tick(clock.mono_ms);
  note_ages(clock.wall_ms);
  if (placed) std::fill(due.begin(), due.end(), Due::whole);
  if (journal_stuck) carry_out(true);
  if (connection) {
    if (clock.mono_ms - connection->last_heard_ms() > kDeadMs) {
      log::warning("the Local has said nothing for 15 s: connecting again");
      connection->close();
    } else if (session->wants_to_greet()) {
      connection->close();
    } else if (clock.mono_ms - pinged_ms >= kPingMs) {
      pinged_ms = clock.mono_ms;
      connection->send(FrameType::ping);
    }
  }
  read_bell.ring();
}

asio::awaitable<void> Agent::State::scan_files() {
  while (!leaving) {
    const bool last = drain_asked;
    const auto walk = std::make_shared<TreeWalk>();
    std::function<void()> work = [walk, &r = *rules] { *walk = walk_sources(r); };
    co_await worker.run(std::move(work));
    if (leaving) break;
    bool fresh = false;
    if (watching)
      for (const std::string& dir : walk->directories) fresh |= watch.watch_directory(dir);
    table->scanned(*walk, now());
    for (const FileTable::Target& t : table->new_targets()) watch.watch_target(t.target, t.path);
    table->new_targets().clear();
    note_due();
    if (last) begin_drain();
    if (settings.once) break;
    // The first moments of a folder, before it was watched, are looked at once more; scans that the
    // watch asks for come not too close to each other.
    const int64_t wait = fresh ? kSoonMs : settings.scan_ms;
    co_await scan_bell.wait(wait);
    co_await soon_bell.wait(kSoonMs);
  }
}

asio::awaitable<void> Agent::State::hear_names() {
  FileWatch::Names names;
  while (!leaving) {
    names.clear();
    const Result<void> heard = co_await watch.wait(names);
    if (!heard || leaving) break;
    for (const std::string& path : names.paths) table->look(path, now());
    if (names.scan) scan_bell.ring();
    note_due();
    co_await asio::post(road, asio::use_awaitable);  // a flood of names must not starve the others
  }
}

// --- journal and connection

asio::awaitable<void> Agent::State::keep_journal() {
  while (!leaving) {
    co_await journal_bell.wait(kJournalMs);
    const bool answered = session->placed() && !journal_stuck;
    const uint64_t losses = journal_stuck ? 0 : session->losses();
    const Result<void> kept = co_await journal_file.keep(worker);
    if (!kept) complain("the agent's journal cannot be made durable: " + kept.error().text);
    if (kept) {
      session->losses_durable(losses);
      losses_kept = losses;
      carry_out(true);
      read_bell.ring();
    }
    // Batches that were struck must not come back after a power cut: their numbers go to others.
    if (!kept || !answered || settled) continue;
    settled = true;
    place_if_known();
  }
}

asio::awaitable<void> Agent::State::keep_connection() {
  Rng rng(os_random());
  int64_t backoff = kBackoffMs;
  while (!leaving) {
    Result<StreamSocket> socket = connect();
    if (socket) {
      const int64_t before = mono_ms();
      co_await serve(std::move(*socket));
      if (mono_ms() - before > kMostBackoffMs) backoff = kBackoffMs;
    } else {
      complain("the Local cannot be reached: " + socket.error().text);
    }
    if (leaving) break;
    const auto wait = backoff / 2 + static_cast<int64_t>(rng.below(static_cast<uint64_t>(backoff)));
    backoff = std::min(backoff * 2, kMostBackoffMs);
    co_await connect_bell.wait(wait);
  }
}

asio::awaitable<void> Agent::State::serve(StreamSocket socket) {
  connection = std::make_unique<Connection>(road, std::move(socket), "local");
  connection->on_drained([this] { read_bell.ring(); });
  pinged_ms = mono_ms();
  session->connected();
  connection->send(hello_frame(session->state()));
  Frame frame;
  while (!leaving) {
    Result<void> got = co_await connection->read(frame);
    if (got) got = take_frame(frame, *session, mono_ms());
    if (session->live()) refusal.clear();
    if (!got) {
      if (!leaving) complain("connection to the Local: " + got.error().text);
      if (frame.type == FrameType::reject) {
        refusal = got.error().text;
        ++refused;
      }
      break;
    }
    if (!session->held().empty()) complain("holding: " + session->held());
    after_loss();
    // What answers a frame goes out with what the reading loop has.
    carry_out(false);
    if ((!settled || session->losses() != losses_kept) && session->placed()) journal_bell.ring();
    read_bell.ring();
  }
  session->disconnected();
  connection->close();
  connection.reset();
}

// What is said of a spool that is gone, and where its files are read on.
void Agent::State::after_loss() {
  for (const std::string& alarm : session->alarms()) log::warning(alarm);
  session->alarms().clear();
  for (const FileId file : session->take_moved()) table->place_again(file, now());
  if (const uint64_t losses = session->losses(); losses != losses_seen) {
    losses_seen = losses;  // streams count from 0 again
    unpublished.clear();
    unacked = {};
  }
  if (session->retiring().empty())
    retiring_ms = -1;
  else if (retiring_ms < 0)
    retiring_ms = mono_ms();
}

// --- beginning and end

Result<void> Agent::State::open() {
  if (settings.max_record_bytes < kLeastRecord || settings.max_record_bytes > 3u << 20)
    return Error{Error::Kind::rejected, "max_record must be between 64 B and 3 MiB"};
  auto compiled = SourceRules::compile(settings.sources, settings.never_below);
  if (!compiled) return compiled.error();
  rules.emplace(std::move(*compiled));
  if (auto r = make_directories(settings.state_dir); !r) return r;
  if (auto r = journal_file.open(); !r) return r;
  session.emplace(journal, settings.window_bytes, settings.on_spool_loss);
  FileTableOptions options;
  options.once = settings.once;
  options.most_open = most_open_files();
  options.lost_ms = 2 * settings.scan_ms;
  options.first_start = journal.state().local_id == 0;
  table.emplace(*rules, settings.sources, *session, options);
  due.assign(table->categories(), Due::no);
  low_latency.assign(table->categories(), false);
  for (size_t c = 0; c < due.size(); ++c)
    for (const AgentSource& source : settings.sources)
      if (source.category == table->category(c) && source.low_latency) low_latency[c] = true;
  if (settings.once) return {};
  if (auto r = watch.open(); !r)
    log::warning(r.error().text);
  else
    watching = true;
  return {};
}

asio::awaitable<void> Agent::State::until_ended(asio::awaitable<void> task) {
  co_await std::move(task);
  --running;
  ended.ring();
}

void Agent::State::start(const char* name, asio::awaitable<void> task) {
  ++running;
  spawn(road, name, until_ended(std::move(task)));
}

asio::awaitable<void> Agent::State::run() {
  start("agent: scans", scan_files());
  if (watching) start("agent: names", hear_names());
  start("agent: connection", keep_connection());
  start("agent: journal", keep_journal());
  start("agent: time", keep_time());
  if (std::find(low_latency.begin(), low_latency.end(), true) != low_latency.end())
    start("agent: low latency", keep_low_latency());
  start("agent: reading", read_files());
  while (running > 0) co_await ended.wait();
  if (const auto written = journal_file.write(); !written) complain(written.error().text);
  const Result<void> kept = co_await journal_file.keep(worker);
  if (!kept) complain("the agent's journal cannot be made durable: " + kept.error().text);
}

void Agent::State::leave() {
  if (leaving) return;
  leaving = true;
  watch.close();
  if (connection) {
    connection->send(FrameType::goodbye);
    connection->close();
  }
  for (Bell* bell :
       {&read_bell, &tick_bell, &low_bell, &scan_bell, &soon_bell, &journal_bell, &connect_bell})
    bell->ring();
}

// What appeared a moment ago (the new file of a rotation) belongs to what stands there now.
void Agent::State::drain() {
  if (drain_asked) return;
  drain_asked = true;
  if (settings.once) return begin_drain();
  scan_bell.ring();
  soon_bell.ring();
}

void Agent::State::begin_drain() {
  if (draining) return;
  draining = true;
  take_tick();
  if (placed) table->drain(now(), for_good);
  std::fill(due.begin(), due.end(), Due::whole);
  read_bell.ring();
}

AgentStatus Agent::State::status() const {
  AgentStatus s;
  if (!table) return s;
  s.files = table->size();
  s.files_seen = table->seen();
  s.bytes_read = bytes_read;
  s.lines_read = lines_read;
  s.lines_final = session->lines_final();
  for (size_t c = 0; c < due.size(); ++c) s.bytes_unread += table->unread(c);
  s.oldest_unread_ms = table->oldest_unread_ms();
  s.split_lines = split_lines;
  s.gaps = session->gaps();
  for (const auto& [path, reason] : table->unreadable()) {
    if (s.unreadable.size() >= kMostUnreadableTold) break;
    s.unreadable.push_back({path, reason});
  }
  s.unreadable_count = table->unreadable_count();
  s.held = !session->held().empty() ? session->held() : refusal;
  s.retiring = session->retiring();
  const bool unanswered = !s.retiring.empty();
  if (!unanswered) s.retiring = session->rereading();
  if (unanswered && s.held.empty() && retiring_ms >= 0 && mono_ms() - retiring_ms >= kRetireAlarmMs)
    s.held = s.retiring;
  s.connected = session->live();
  s.refused = refused;
  s.oldest_unacked_ms = unacked.oldest_ms();
  for (const auto& [category, flow] : session->flows()) {
    AgentFlow& out = s.categories[category];
    out.taken = flow.taken;
    out.waiting = flow.waiting;
    out.passed = flow.taken - flow.waiting;
    out.unpublished = flow.unpublished;
    const auto age = unpublished.find(category);
    if (age != unpublished.end()) out.oldest_unpublished_ms = age->second.oldest_ms();
  }
  for (size_t c = 0; c < due.size(); ++c)
    s.categories[table->category(c)].bytes_unread = table->unread(c);
  s.draining_for_good = for_good;
  s.idle = placed && table->all_read() && session->all_acked() && session->all_final();
  return s;
}

// --- the door

Agent::Agent(asio::io_context& road, AgentSettings settings, Connect connect)
    : state_(std::make_unique<State>(road, std::move(settings), std::move(connect))) {}
Agent::~Agent() = default;

Result<void> Agent::open() { return state_->open(); }

// A reload is a restart within the process: what was not acked is read again.
asio::awaitable<void> Agent::run() {
  for (;;) {
    co_await state_->run();
    if (!next_sources_) co_return;
    AgentSettings settings = std::move(state_->settings);
    settings.sources = std::move(*next_sources_);
    next_sources_.reset();
    earlier_ = status();
    state_ = std::make_unique<State>(state_->road, std::move(settings), std::move(state_->connect));
    if (const auto opened = state_->open(); !opened) {
      log::error("the agent cannot go on with its new pipelines: " + opened.error().text);
      co_return;
    }
  }
}

Result<void> Agent::reload(std::vector<AgentSource> sources) {
  auto compiled = SourceRules::compile(sources, state_->settings.never_below);
  if (!compiled) return compiled.error();
  if (state_->drain_asked || state_->leaving)
    return Error{Error::Kind::rejected, "the agent is about to end"};
  next_sources_ = std::move(sources);
  state_->leave();
  return {};
}

void Agent::drain() { state_->drain(); }
void Agent::drain_for_good() {
  state_->for_good = true;
  state_->drain();
}
void Agent::leave() {
  next_sources_.reset();
  state_->leave();
}

AgentStatus Agent::status() const {
  AgentStatus now = state_->status();
  now.bytes_read += earlier_.bytes_read;
  now.split_lines += earlier_.split_lines;
  now.refused += earlier_.refused;
  now.lines_final += earlier_.lines_final;
  // What was taken before and not passed on is read, and counted, again.
  for (const auto& [category, flow] : earlier_.categories) {
    now.categories[category].taken += flow.passed;
    now.categories[category].passed += flow.passed;
    now.lines_read += flow.passed;
  }
  return now;
}

}  // namespace tailrace
