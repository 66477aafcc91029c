#include "agent/agent.h"

#include <sys/resource.h>

#include <algorithm>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <optional>

#include "agent/batch_builder.h"
#include "agent/file_table.h"
#include "agent/file_watch.h"
#include "agent/journal_file.h"
#include "agent/messages.h"
#include "agent/session.h"
#include "agent/source_rules.h"
#include "agent/tree_walk.h"
#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/spawn.h"
#include "base/worker.h"

namespace tailrace {

namespace {
constexpr int64_t kPingMs = 5'000;
constexpr int64_t kDeadMs = 15'000;
constexpr int64_t kJournalMs = 1'000;
constexpr int64_t kBackoffMs = 100;
constexpr int64_t kMostBackoffMs = 5'000;
constexpr int64_t kSoonMs = 200;  // between scans that the watch asks for
constexpr int64_t kComplainMs = 10'000;
constexpr uint32_t kLeastRecord = 64;
constexpr size_t kMostUnreadableTold = 1000;

FileTable::Clock now() { return {mono_ms(), wall_ms()}; }

// Half of what the process may open: the other roles may live in it too.
size_t most_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  return std::clamp<size_t>(limit.rlim_cur / 2, 64, 16384);
}
}  // namespace

struct Agent::State {
  State(asio::io_context& r, AgentSettings s, Connect c)
      : road(r),
        settings(std::move(s)),
        connect(std::move(c)),
        journal_file(settings.state_dir + "/agent.journal", journal),
        builder(settings.batch_bytes, settings.max_record_bytes),
        watch(r),
        worker(r, "agent"),
        ended(r),
        read_bell(r),
        tick_bell(r),
        scan_bell(r),
        soon_bell(r),
        journal_bell(r),
        connect_bell(r) {}

  Result<void> open();
  asio::awaitable<void> run();
  void leave();
  void drain();
  void begin_drain();
  AgentStatus status() const;

  // --- the loops, one coroutine each
  void start(const char* name, asio::awaitable<void> task);
  asio::awaitable<void> until_ended(asio::awaitable<void> task);
  asio::awaitable<void> read_files();
  asio::awaitable<void> keep_time();
  asio::awaitable<void> scan_files();
  asio::awaitable<void> hear_names();
  asio::awaitable<void> keep_journal();
  asio::awaitable<void> keep_connection();
  asio::awaitable<void> serve(StreamSocket socket);

  // --- steps
  bool read_step();
  std::optional<size_t> next_due();
  void send_batch(size_t category, int64_t wall);
  void take_tick();
  void note_due();
  void place_if_known();
  void carry_out(bool all);
  void look_for_end();
  void complain(const std::string& text);

  asio::io_context& road;
  AgentSettings settings;
  Connect connect;
  std::optional<SourceRules> rules;
  Journal journal;
  JournalFile journal_file;
  std::optional<Session> session;
  std::optional<FileTable> table;
  BatchBuilder builder;
  FileWatch watch;
  Worker worker;
  std::unique_ptr<Connection> connection;

  // Why a category's queue is read now.
  enum class Due : uint8_t {
    no,
    whole,  // the tick: until it is empty
    full,   // for as long as it fills batches
  };
  std::vector<Due> due;
  size_t turn = 0;  // whose turn it is among the categories
  bool watching = false;
  bool placed = false;
  bool drain_asked = false;  // begins behind one more look at all names
  bool draining = false;
  bool flushed = false;
  bool leaving = false;
  bool journal_stuck = false;  // the last write failed: nothing is read until it succeeds
  std::string refusal;         // why the Local closed the last connection
  int64_t complained_ms = INT64_MIN / 2;
  int64_t pinged_ms = 0;
  uint64_t bytes_read = 0;
  uint64_t lines_read = 0;
  uint64_t split_lines = 0;

  int running = 0;
  Bell ended, read_bell, tick_bell, scan_bell, soon_bell, journal_bell,
      connect_bell;  // one waiter each
};

// --- the reading loop
// -----------------------------------------------------------------------------

asio::awaitable<void> Agent::State::read_files() {
  while (!leaving) {
    if (read_step()) {
      co_await asio::post(road, asio::use_awaitable);  // acks, names and the others have their turn
      continue;
    }
    co_await read_bell.wait();
  }
}

// One batch, or one look at many files that have nothing new. False: nothing to do until a bell.
bool Agent::State::read_step() {
  place_if_known();
  const auto category = next_due();
  if (!category) {
    session->push();
    carry_out(true);
    look_for_end();
    return false;
  }
  std::deque<TailedFile*>& queue = table->queue(*category);
  const FileTable::Clock clock = now();
  builder.gather(queue, clock.wall_ms);
  if (!builder.empty()) send_batch(*category, clock.wall_ms);
  for (TailedFile* file : builder.changed()) table->changed(*file, clock);
  for (const BatchBuilder::Failed& f : builder.failed()) table->failed(*f.file, f.error, clock);
  for (TailedFile* file : builder.drained()) table->drained(*file);
  if (queue.empty() || (due[*category] == Due::full &&
                        table->unread(*category, settings.batch_bytes) < settings.batch_bytes))
    due[*category] = Due::no;
  carry_out(false);
  return true;
}

std::optional<size_t> Agent::State::next_due() {
  if (!placed || !session->live() || session->window_full() || journal_stuck) return std::nullopt;
  for (size_t i = 0; i < due.size(); ++i) {
    const size_t c = (turn + i) % due.size();
    if (due[c] == Due::no || !session->may_read(table->category(c))) continue;
    if (table->queue(c).empty()) {
      due[c] = Due::no;
      continue;
    }
    turn = c + 1;
    return c;
  }
  return std::nullopt;
}

void Agent::State::send_batch(size_t category, int64_t wall) {
  const std::string& name = table->category(category);
  for (TailedFile* file : builder.files())
    if (file->id() == 0)
      file->set_id(session->define_file(file->identity(), file->path(), file->generation(), name));
  const Session::Place place = session->place(name);
  // The clock may step back, a stream's buckets may not.
  const Bucket bucket = std::max(place.bucket, bucket_of(wall));
  BatchPtr batch =
      builder.finish(place.stream, place.first_seq, bucket, table->codec(category), wall_ms());
  session->append(std::move(batch), builder.ranges());
  bytes_read += builder.source_bytes();
  lines_read += builder.lines();
  split_lines += builder.split_lines();
}

void Agent::State::place_if_known() {
  if (placed || !session->placed() || table->scans() == 0) return;
  placed = true;
  table->place_all(now());
  if (draining) table->drain(now());
  if (settings.once || draining) std::fill(due.begin(), due.end(), Due::whole);
  note_due();
}

// Files that can fill a batch are read at once, the others wait for the tick.
void Agent::State::note_due() {
  for (size_t c = 0; c < due.size(); ++c)
    if (due[c] == Due::no && table->unread(c, settings.batch_bytes) >= settings.batch_bytes)
      due[c] = Due::full;
  read_bell.ring();
}

// Writes the journal, then sends what it allows. `all` false: the last batch stays until it is
// known whether another follows.
void Agent::State::carry_out(bool all) {
  if (const auto written = journal_file.write(); !written) {
    journal_stuck = true;
    return complain("the agent's journal cannot be written, nothing is read until it can: " +
                    written.error().text);
  }
  if (journal_stuck) log::info("the agent's journal can be written again");
  journal_stuck = false;
  std::vector<SessionAction>& actions = session->actions();
  if (actions.empty() || !connection) return;
  size_t n = actions.size();
  if (!all)
    while (n > 0 && actions[--n].kind != SessionAction::Kind::append) {
    }
  for (size_t i = 0; i < n; ++i) send_action(*connection, actions[i], session->state());
  actions.erase(actions.begin(), actions.begin() + static_cast<std::ptrdiff_t>(n));
}

void Agent::State::look_for_end() {
  if (!settings.once && !draining) return;
  if (!session->held().empty()) return leave();
  if (!table->all_read() || !session->all_acked() || !session->live()) return;
  if (session->all_final()) return leave();
  if (flushed) return;
  flushed = true;
  session->flush();
  carry_out(true);
}

void Agent::State::complain(const std::string& text) {
  if (mono_ms() - complained_ms < kComplainMs) return;
  complained_ms = mono_ms();
  log::error(text);
}

// --- time, names, scans
// -----------------------------------------------------------------------------

asio::awaitable<void> Agent::State::keep_time() {
  while (!leaving) {
    co_await tick_bell.wait(settings.tick_ms);
    if (!leaving) take_tick();
  }
}

void Agent::State::take_tick() {
  const FileTable::Clock clock = now();
  if (watching) {
    const auto written = [&](std::string_view path) { table->written(path, clock); };
    if (!watch.collect_writes(written)) {
      table->written_somewhere(clock);
      scan_bell.ring();
    }
  }
  table->tick(clock);
  session->tick(clock.mono_ms);
  if (placed) std::fill(due.begin(), due.end(), Due::whole);
  if (journal_stuck) carry_out(true);
  if (connection) {
    if (clock.mono_ms - connection->last_heard_ms() > kDeadMs) {
      log::warning("the Local has said nothing for 15 s: connecting again");
      connection->close();
    } else if (clock.mono_ms - pinged_ms >= kPingMs) {
      pinged_ms = clock.mono_ms;
      send_ping(*connection);
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
// ---------------------------------------------------------------------------

asio::awaitable<void> Agent::State::keep_journal() {
  while (!leaving) {
    co_await journal_bell.wait(kJournalMs);
    const Result<void> kept = co_await journal_file.keep(worker);
    if (!kept) complain("the agent's journal cannot be made durable: " + kept.error().text);
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
  send_hello(*connection);
  Frame frame;
  while (!leaving) {
    Result<void> got = co_await connection->read(frame);
    if (got) got = take_frame(frame, *session, mono_ms());
    if (session->live()) refusal.clear();
    if (!got) {
      if (!leaving) complain("connection to the Local: " + got.error().text);
      if (frame.type == FrameType::reject) refusal = got.error().text;
      break;
    }
    if (!session->held().empty()) complain("holding: " + session->held());
    // What answers a frame goes out with what the reading loop has.
    carry_out(false);
    read_bell.ring();
  }
  session->disconnected();
  connection->close();
  connection.reset();
}

// --- beginning and end
// --------------------------------------------------------------------------------

Result<void> Agent::State::open() {
  if (settings.max_record_bytes < kLeastRecord || settings.max_record_bytes > 3u << 20)
    return Error{Error::Kind::rejected, "max_record must be between 64 B and 3 MiB"};
  auto compiled = SourceRules::compile(settings.sources, settings.never_below);
  if (!compiled) return compiled.error();
  rules.emplace(std::move(*compiled));
  if (auto r = make_directories(settings.state_dir); !r) return r;
  if (auto r = journal_file.open(); !r) return r;
  session.emplace(journal, settings.window_bytes);
  FileTableOptions options;
  options.once = settings.once;
  options.most_open = most_open_files();
  options.lost_ms = 2 * settings.scan_ms;
  table.emplace(*rules, settings.sources, *session, options);
  due.assign(table->categories(), Due::no);
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
  for (Bell* bell : {&read_bell, &tick_bell, &scan_bell, &soon_bell, &journal_bell, &connect_bell})
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
  if (placed) table->drain(now());
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
  s.idle = placed && table->all_read() && session->all_acked() && session->all_final();
  return s;
}

// --- the door
// -------------------------------------------------------------------------------------------

Agent::Agent(asio::io_context& road, AgentSettings settings, Connect connect)
    : state_(std::make_unique<State>(road, std::move(settings), std::move(connect))) {}
Agent::~Agent() = default;

Result<void> Agent::open() { return state_->open(); }
asio::awaitable<void> Agent::run() { return state_->run(); }
void Agent::drain() { state_->drain(); }
void Agent::leave() { state_->leave(); }
AgentStatus Agent::status() const { return state_->status(); }

}  // namespace tailrace
