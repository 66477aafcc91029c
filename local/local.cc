#include "local/local.h"

#include <algorithm>
#include <cstdlib>

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sparingly.h"
#include "base/spawn.h"
#include "base/units.h"
#include "base/worker.h"
#include "control.pb.h"
#include "flow/peer_address.h"
#include "local/agent_session.h"
#include "local/figures.h"
#include "local/spool.h"
#include "local/spool_disk.h"
#include "local/spool_opening.h"
#include "local/spool_recovery.h"
#include "local/uplink.h"

namespace tailrace {

namespace {

constexpr int64_t kTickMs = 1'000;
constexpr uint64_t kMostPendingBytes = 8u << 20;  // taken and in no group: reading waits above it
constexpr size_t kMostQueuedBytes = 1u << 20;     // answers that the agent does not read
constexpr size_t kPooledBatches = 64;
constexpr int kFatalExit = 70;

// Whether it can keep its promises is unknown now, so nothing more may be acked or sent.
[[noreturn]] void end_process(const std::string& directory, const Error& error) {
  log::error(
      "the spool " + directory + " cannot be written: " + error.text +
      ". The process ends, so that nothing is acknowledged that is not on the disk; nothing is "
      "lost. Look at the disk, then start again");
  std::_Exit(kFatalExit);
}

void send(Connection& connection, const Outgoing& out) {
  if (out.batch)
    connection.send(out.type, out.before, out.batch);
  else if (out.message)
    connection.send(out.type, *out.message);
  else
    connection.send(out.type);
}

void say(const std::vector<std::string>& alarms) {
  for (const std::string& alarm : alarms) log::warning(alarm);
}

}  // namespace

struct Local::State : std::enable_shared_from_this<State> {
  State(asio::io_context& r, LocalSettings s, Connect c)
      : road(r),
        settings(std::move(s)),
        connect_center(std::move(c)),
        disk(std::make_shared<SpoolDisk>(settings.spool_dir)),
        batches(kPooledBatches),
        writer(r, "spool"),
        reader(r, "spool-read"),
        group_bell(r),
        agent_bell(r),
        center_bell(r),
        tick_bell(r),
        run_bell(r) {}

  Result<void> open();
  void accept_agent(StreamSocket socket);
  asio::awaitable<void> run(std::shared_ptr<State> self);
  void leave();

  // Coroutines; each holds `self`, and run() waits for their end.
  void begin(const char* name, asio::awaitable<void> task);
  asio::awaitable<void> counted(asio::awaitable<void> task, std::shared_ptr<State> self);
  asio::awaitable<void> commit_groups();
  asio::awaitable<void> write_group();
  asio::awaitable<void> shut_down();
  asio::awaitable<void> serve_agent(std::shared_ptr<Connection> connection);
  asio::awaitable<void> serve_center();
  asio::awaitable<void> serve_connection(StreamSocket socket);
  asio::awaitable<void> read_cold(ColdRead read);
  asio::awaitable<void> quarantine(RefusedBatch batch);
  asio::awaitable<void> tick();
  void say_trouble();
  void say_refused(const std::string& peer, const std::string& why);

  // What the machines want done, carried out.
  void settle_agent();
  void settle_center();
  void wake_committer();
  [[nodiscard]] int64_t group_due_ms() const;

  asio::io_context& road;
  LocalSettings settings;
  Connect connect_center;
  std::shared_ptr<SpoolDisk> disk;  // the workers' jobs hold it too
  std::unique_ptr<Spool> spool;
  uint64_t quota_bytes = 0;
  Pool<Batch> batches;
  Worker writer;
  Worker reader;  // a cold read must not wait for an fsync, nor a group for a backlog
  Bell group_bell, agent_bell, center_bell, tick_bell, run_bell;
  bool committer_sleeps = false;  // without a time to wake
  bool served = false;            // what recovery found is safe
  bool leaving = false;
  size_t tasks = 0;

  struct GroupJob {
    SpoolGroup group;
    Result<void> outcome;
  };
  std::shared_ptr<GroupJob> job = std::make_shared<GroupJob>();

  std::shared_ptr<Connection> agent;
  std::unique_ptr<AgentSession> session;
  bool agent_read = true;  // false: reading waits for the disk
  AgentActions agent_actions;
  std::string said_trouble;
  uint64_t lines_taken = 0;  // of sessions that have ended
  uint64_t refused = 0;
  Sparingly refusals;

  std::shared_ptr<Connection> center;
  std::unique_ptr<Uplink> uplink;
  std::unique_ptr<LocalFigures> figures;
  UplinkActions uplink_actions;
};

// --- start and end ---------------------------------------------------------------------------

Result<void> Local::State::open() {
  const Result<void> opened = disk->open();
  if (!opened) return opened;
  const Result<uint64_t> quota = quota_on(settings.spool_dir, settings.quota_bytes);
  if (!quota) return quota.error();
  Result<RecoveredSpool> recovered = recover_spool(*disk, os_random());
  if (!recovered) return recovered.error().within("the spool " + settings.spool_dir);
  for (const std::string& note : recovered->notes) log::warning("spool: " + note);
  if (auto r = forget_other_sinks(recovered->tables, settings.sinks); !r)
    return r.error().within("the spool " + settings.spool_dir);
  SpoolOptions options;
  options.segment_bytes = segment_bytes_for(*quota, settings.segment_bytes);
  options.quota_bytes = quota_bytes = std::max(*quota, 4 * options.segment_bytes);
  spool = std::make_unique<Spool>(options, std::move(*recovered), os_random());
  uplink = std::make_unique<Uplink>(*spool,
                                    UplinkOptions{settings.cluster, settings.host, TAILRACE_VERSION,
                                                  settings.window_bytes, quota_bytes});
  figures = std::make_unique<LocalFigures>(*spool, *uplink, wall_ms());
  return {};
}

void Local::State::begin(const char* name, asio::awaitable<void> task) {
  ++tasks;
  spawn(road, name, counted(std::move(task), shared_from_this()));
}

asio::awaitable<void> Local::State::counted(asio::awaitable<void> task,
                                            std::shared_ptr<State> self) {
  co_await std::move(task);
  --self->tasks;
  self->run_bell.ring();
}

asio::awaitable<void> Local::State::run(std::shared_ptr<State>) {
  TAILRACE_CHECK(spool != nullptr, "run() before open()");
  begin("the spool's groups", commit_groups());
  begin("the way to the Center", serve_center());
  begin("the Local's clock", tick());
  while (!leaving) co_await run_bell.wait();
  while (tasks > 0) co_await run_bell.wait();
  co_await shut_down();
}

void Local::State::leave() {
  if (leaving) return;
  leaving = true;
  for (const auto& connection : {agent, center}) {
    if (!connection) continue;
    connection->send(FrameType::goodbye);
    connection->close();
  }
  for (Bell* bell : {&group_bell, &agent_bell, &center_bell, &tick_bell, &run_bell}) bell->ring();
}

asio::awaitable<void> Local::State::shut_down() {
  for (bool ended = false; !ended;) {
    job->group = spool->begin_shutdown(mono_ms());
    ended = job->group.last_lsn != 0;
    auto work = [disk = disk, job = job] { job->outcome = disk->apply(job->group); };
    co_await writer.run(std::move(work));
    if (job->outcome) {
      spool->group_done(mono_ms());
      continue;
    }
    if (job->outcome.error().kind != Error::Kind::retry_later)
      end_process(settings.spool_dir, job->outcome.error());
    log::warning("the spool was not closed in order: " + job->outcome.error().text +
                 "; the next start takes a little longer");
    co_return;
  }
}

asio::awaitable<void> Local::State::tick() {
  while (!leaving) {
    co_await tick_bell.wait(kTickMs);
    if (leaving) break;
    if (session) session->tick(agent_read, mono_ms());
    uplink->tick(mono_ms());
    figures->tick(wall_ms());
    say_trouble();
    settle_agent();
    settle_center();
  }
}

// Once when it begins, once when it is over.
void Local::State::say_trouble() {
  const std::string& now = spool->trouble();
  if (now.empty() == said_trouble.empty()) return;
  said_trouble = now;
  if (now.empty())
    log::info("the spool " + settings.spool_dir + " grows again");
  else
    log::warning("no room for the spool " + settings.spool_dir + ": " + now +
                 ". Reading waits until there is some; nothing is lost");
}

// --- the spool's groups ----------------------------------------------------------------------

// A sender that waits hurries a group only once it has nothing more on its way: decision 0006.
int64_t Local::State::group_due_ms() const {
  const bool push = !served || (session && session->pushes() && agent && !agent->more_waiting());
  return spool->group_due_ms(push, mono_ms());
}

void Local::State::wake_committer() {
  const int64_t due_ms = group_due_ms();
  if (due_ms == 0 || (due_ms > 0 && committer_sleeps)) group_bell.ring();
}

asio::awaitable<void> Local::State::commit_groups() {
  while (!leaving) {
    const int64_t due_ms = group_due_ms();
    if (due_ms == 0) {
      co_await write_group();
      continue;
    }
    committer_sleeps = due_ms < 0;
    co_await group_bell.wait(due_ms);
    committer_sleeps = false;
  }
}

asio::awaitable<void> Local::State::write_group() {
  job->group = spool->begin_group(mono_ms());
  const bool writes_records = job->group.last_lsn != 0;
  if (session && writes_records) session->group_begun();
  agent_bell.ring();
  auto work = [disk = disk, job = job] { job->outcome = disk->apply(job->group); };
  co_await writer.run(std::move(work));
  if (!job->outcome) {
    const Error& error = job->outcome.error();
    if (error.kind != Error::Kind::retry_later) end_process(settings.spool_dir, error);
    spool->group_failed(error, mono_ms());
  } else {
    spool->group_done(mono_ms());
    spool->reuse(std::move(job->group));
  }
  if (!served && spool->all_durable()) {
    served = true;
    center_bell.ring();
  }
  if (session) session->spool_moved(mono_ms());
  settle_agent();
  settle_center();
}

// --- the agent -------------------------------------------------------------------------------

void Local::State::accept_agent(StreamSocket socket) {
  begin("an agent's connection", serve_connection(std::move(socket)));
}

asio::awaitable<void> Local::State::serve_connection(StreamSocket socket) {
  const std::string name = "agent, " + peer_address(socket.native_handle()).name;
  auto connection = std::make_shared<Connection>(road, std::move(socket), name);
  if (agent) {
    proto::Reject reject;
    reject.set_text("another agent is connected to this Local; a host has one");
    connection->send(FrameType::reject, reject);
    connection->close();
    say_refused("second", "a second agent was refused (" + name + ")");
    ++refused;
    // Whoever has not even said HELLO shall not keep the agent out: it finds the place free when it
    // comes again.
    if (!session->greeted()) agent->close();
    co_return;
  }
  if (leaving) co_return;
  agent = connection;
  session = std::make_unique<AgentSession>(*spool, batches, TAILRACE_VERSION, mono_ms());
  connection->on_drained([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || !self->session || !self->session->welcoming()) return;
    self->session->room(self->agent->queued_bytes());
    self->settle_agent();
  });
  co_await serve_agent(connection);
  connection->close();
  lines_taken += session->lines_taken();
  refused += session->refused();
  session.reset();
  agent.reset();
}

asio::awaitable<void> Local::State::serve_agent(std::shared_ptr<Connection> connection) {
  Frame frame;
  while (!connection->closed()) {
    if (session->pending_bytes() > kMostPendingBytes) {
      agent_read = false;
      co_await agent_bell.wait();
      agent_read = true;
      continue;
    }
    const Result<void> read = co_await connection->read(frame);
    if (!read) {
      if (read.error().kind == Error::Kind::closed) break;
      say_refused("agent", read.error().text + "; the connection is closed");
      proto::Reject reject;
      const bool corrupt = read.error().kind == Error::Kind::corrupt;
      reject.set_code(connection->other_version() ? proto::Reject::VERSION
                      : corrupt                   ? proto::Reject::CORRUPT
                                                  : proto::Reject::PROTOCOL);
      reject.set_text(read.error().text);
      connection->send(FrameType::reject, reject);
      break;
    }
    session->frame(frame, mono_ms());
    settle_agent();
    wake_committer();
  }
}

void Local::State::say_refused(const std::string& peer, const std::string& why) {
  const std::string text = refusals.text(peer, why, mono_ms());
  if (!text.empty()) log::warning(text);
}

void Local::State::settle_agent() {
  if (!session) return;
  session->take(agent_actions);
  for (const Outgoing& out : agent_actions.frames) send(*agent, out);
  say(agent_actions.alarms);
  for (const std::string& why : agent_actions.refusals)
    say_refused("agent", agent->peer() + ": " + why);
  if (agent->queued_bytes() > kMostQueuedBytes) {
    say_refused("agent", agent->peer() + " does not read its answers; its connection is closed");
    agent_actions.close = true;
  }
  if (agent_actions.close) agent->close();
  if (!agent_actions.flush) return;
  uplink->flush(agent_actions.flush_streams);
  settle_center();
}

// --- the Center ------------------------------------------------------------------------------

asio::awaitable<void> Local::State::serve_center() {
  Frame frame;
  while (!leaving) {
    const int64_t due_ms = served ? uplink->connect_due_ms(mono_ms()) : -1;
    if (due_ms != 0) {
      co_await center_bell.wait(due_ms);
      continue;
    }
    Result<StreamSocket> socket = co_await connect_center();
    if (leaving) break;
    if (!socket) {
      uplink->disconnected(socket.error().text, os_random(), mono_ms());
      settle_center();
      continue;
    }
    auto connection = std::make_shared<Connection>(road, std::move(*socket), "center");
    center = connection;
    connection->on_drained([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->settle_center();
    });
    uplink->connected(mono_ms());
    settle_center();
    std::string why;
    while (why.empty()) {
      const Result<void> read = co_await connection->read(frame);
      if (read) {
        uplink->frame(frame, mono_ms());
        // What a Center says at once is heard at once: a REWIND behind a CREDIT spares a resend.
        if (!connection->more_waiting()) settle_center();
      } else {
        why = read.error().text;
        if (connection->other_version()) uplink->other_version();
      }
    }
    connection->close();
    center.reset();
    if (leaving) break;
    uplink->disconnected(why, os_random(), mono_ms());
    settle_center();
  }
}

void Local::State::settle_center() {
  uplink->pump(center ? center->queued_bytes() : 0, mono_ms());
  uplink->take(uplink_actions);
  if (center)
    for (const Outgoing& out : uplink_actions.frames) send(*center, out);
  say(uplink_actions.alarms);
  if (center && uplink_actions.close) center->close();
  for (ColdRead& read : uplink_actions.reads) begin("a cold read", read_cold(std::move(read)));
  for (RefusedBatch& batch : uplink_actions.quarantines)
    begin("a quarantine", quarantine(std::move(batch)));
  for (Outgoing& out : uplink_actions.frames) out = {};  // batches go back to their pool
  wake_committer();                                      // for cursors
  if (!session || uplink_actions.committed.empty()) return;
  session->committed(uplink_actions.committed);
  settle_agent();
}

asio::awaitable<void> Local::State::read_cold(ColdRead read) {
  auto bytes = std::make_shared<Result<std::string>>(std::string());
  auto work = [disk = disk, place = read.place, bytes] { *bytes = disk->read_record(place); };
  co_await reader.run(std::move(work));
  if (*bytes)
    uplink->cold(read, spool->decode_record(read.place, **bytes));
  else
    uplink->cold(read, bytes->error());
  settle_center();
}

// A batch that no Center takes: its bytes are kept for a person, a gap takes its place, the stream
// goes on.
asio::awaitable<void> Local::State::quarantine(RefusedBatch batch) {
  const std::optional<Spool::Place> place = spool->find(batch.stream, batch.first_seq);
  if (!place || place->gap != nullptr) co_return;
  auto kept = std::make_shared<Result<std::string>>(std::string());
  auto work = [disk = disk, at = *place, name = batch.name, kept] {
    *kept = disk->set_aside(at, name);
  };
  co_await reader.run(std::move(work));
  if (!*kept) {
    log::error("a refused batch could not be set aside: " + kept->error().text +
               "; its stream waits");
    co_return;
  }
  log::error("LOST " + show_count(place->end_seq - batch.first_seq) + " lines of '" +
             batch.category + "': QUARANTINE, " + batch.why + "; their bytes are in " + **kept +
             ", a gap takes their place");
  spool->give_up(batch.stream, batch.first_seq, "quarantine: " + batch.why, mono_ms());
  settle_center();
}

// --- the door --------------------------------------------------------------------------------

Local::Local(asio::io_context& road, LocalSettings settings, Connect connect_center)
    : state_(std::make_shared<State>(road, std::move(settings), std::move(connect_center))) {}
Local::~Local() = default;

Result<void> Local::open() { return state_->open(); }
void Local::accept_agent(StreamSocket socket) { state_->accept_agent(std::move(socket)); }
asio::awaitable<void> Local::run() { return state_->run(state_); }
void Local::leave() { state_->leave(); }

LocalStatus Local::status() const {
  const State& s = *state_;
  LocalStatus status;
  if (!s.spool) return status;
  status.local_id = s.spool->local_id();
  status.spool_bytes = s.spool->used_bytes();
  status.spool_quota_bytes = s.quota_bytes;
  status.lines_taken = s.lines_taken + (s.session ? s.session->lines_taken() : 0);
  status.lines_committed = s.uplink->lines_committed();
  status.refused = s.refused + s.uplink->refused() + (s.session ? s.session->refused() : 0);
  status.full = !s.spool->has_room();
  status.trouble = s.spool->trouble();
  status.held = s.uplink->held();
  status.agent_connected = s.agent != nullptr;
  s.figures->show(status);
  return status;
}

}  // namespace tailrace
