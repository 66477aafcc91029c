// Start, end, the spool's groups and the agent; local_uplink.cc has the ways to Centers.
#include "local/local.h"

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/spawn.h"
#include "base/units.h"
#include "control.pb.h"
#include "flow/peer_address.h"
#include "local/center_list.h"
#include "local/local_state.h"
#include "local/spool_aside.h"
#include "local/spool_holes.h"
#include "local/spool_opening.h"

namespace tailrace {

namespace {

constexpr int64_t kTickMs = 1'000;
constexpr uint64_t kMostPendingBytes = 8u << 20;  // taken and in no group: reading waits above it
constexpr size_t kMostQueuedBytes = 1u << 20;     // answers that the agent does not read
constexpr int kFatalExit = 70;
constexpr int64_t kGivenUpMs = 60'000;

// Whether it can keep its promises is unknown now, so nothing more may be acked or sent.
[[noreturn]] void end_process(const std::string& directory, const Error& error) {
  log::error(
      "the spool " + directory + " cannot be written: " + error.text +
      ". The process ends, so that nothing is acknowledged that is not on the disk; nothing is "
      "lost. Look at the disk, then start again");
  std::_Exit(kFatalExit);
}

}  // namespace

// --- start and end ---------------------------------------------------------------------------

Result<void> Local::State::open() {
  const Result<void> opened = disk->open();
  if (!opened) return opened;
  const Result<SpoolOptions> options =
      spool_options_on(settings.spool_dir, settings.quota_bytes, settings.segment_bytes);
  if (!options) return options.error();
  Result<RecoveredSpool> recovered = recover_spool(*disk, os_random());
  if (!recovered) return recovered.error().within("the spool " + settings.spool_dir);
  for (const std::string& note : recovered->notes) log::warning("spool: " + note);
  if (auto r = keep_spool_holes(settings.spool_dir, {}); !r) return r.error();
  auto former = spool_replaces(settings.spool_dir);
  if (!former) return former.error();
  replaces = std::move(*former);
  if (auto r = forget_other_sinks(recovered->tables, settings.sinks); !r)
    return r.error().within("the spool " + settings.spool_dir);
  quota_bytes = options->quota_bytes;
  spool = std::make_unique<Spool>(*options, std::move(*recovered), os_random());
  uplinks =
      std::make_unique<Uplinks>(*spool,
                                UplinkOptions{settings.cluster, settings.host, TAILRACE_VERSION,
                                              settings.window_bytes, quota_bytes},
                                settings.centers);
  figures = std::make_unique<LocalFigures>(*spool, *uplinks, wall_ms());
  if (!settings.list_path.empty()) {
    kept = read_center_list(settings.list_path);
    uplinks->learn(kept, mono_ms());
    std::sort(kept.begin(), kept.end());
  }
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
  begin("the ways to Centers", serve_centers());
  begin("the Local's clock", tick());
  while (!leaving) co_await run_bell.wait();
  while (tasks > 0) co_await run_bell.wait();
  co_await shut_down();
}

void Local::State::leave() {
  if (leaving) return;
  leaving = true;
  std::vector<std::shared_ptr<Connection>> standing;
  if (agent) standing.push_back(agent);
  for (const auto& [address, center] : centers) standing.push_back(center);
  for (const auto& connection : standing) {
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
    uplinks->tick(mono_ms());
    figures->tick(wall_ms());
    say_trouble();
    say_given_up();
    look_for_centers();
    settle_agent();
    settle_centers();
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

// Each minute while it goes on: what since then, by sink and category.
void Local::State::say_given_up() {
  const Spool::LinesGivenUp& now = spool->lines_given_up();
  if (now == said_given_up || mono_ms() - given_up_ms < kGivenUpMs) return;
  given_up_ms = mono_ms();
  for (const auto& [key, lines] : now) {
    const uint64_t since = lines - said_given_up[key];
    if (since == 0) continue;
    const std::string sink = uplinks->delivery().sink_name(key.first);
    log::warning("GIVEN UP for sink '" + sink + "' (required: false): the oldest " +
                     show_count(since) + " lines of '" + key.second +
                     "' that it had not got, since the spool is full",
                 {{"sink", sink}, {"category", key.second}, {"lines", std::to_string(since)}});
  }
  said_given_up = now;
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
  settle_centers();
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
  session = std::make_unique<AgentSession>(*spool, batches, TAILRACE_VERSION, mono_ms(), replaces);
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
  for (const auto& [category, lines] : session->lines_refused()) lines_refused[category] += lines;
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

void Local::State::say(const std::vector<std::string>& alarms) {
  for (const std::string& alarm : alarms) log::warning(alarm);
}

void Local::State::say_refused(const std::string& peer, const std::string& why) {
  const std::string text = refusals.text(peer, why, mono_ms());
  if (!text.empty()) log::warning(text, {{"peer", peer}});
}

void Local::State::settle_agent() {
  if (!session) return;
  session->take(agent_actions);
  for (const Outgoing& out : agent_actions.frames) agent->send(out);
  say(agent_actions.alarms);
  for (const auto& [category, trouble] : agent_actions.not_read)
    log::warning("the files of '" + category +
                 "' are not read on: " + (trouble.empty() ? figures->why_full() : trouble));
  for (const std::string& why : agent_actions.refusals)
    say_refused("agent", agent->peer() + ": " + why);
  if (agent->queued_bytes() > kMostQueuedBytes) {
    say_refused("agent", agent->peer() + " does not read its answers; its connection is closed");
    agent_actions.close = true;
  }
  if (agent_actions.close) agent->close();
  for (const RetiredStream& asked : agent_actions.retires)
    uplinks->retire(asked.local_id, asked.category, asked.sub, asked.each_sink);
  for (const SinkPlace& origin : agent_actions.origins) uplinks->begin_at(origin.sink);
  const bool settle = agent_actions.flush || !agent_actions.origins.empty();
  if (agent_actions.set_aside) {
    aside = true;
    leave();
  }
  if (agent_actions.flush) uplinks->flush(agent_actions.flush_streams);
  if (settle) settle_centers();
}

// --- the door --------------------------------------------------------------------------------

Local::Local(asio::io_context& road, LocalSettings settings, Connect connect_center, LookUp look_up)
    : state_(std::make_shared<State>(road, std::move(settings), std::move(connect_center),
                                     std::move(look_up))) {}
Local::~Local() = default;

Result<void> Local::open() { return state_->open(); }
void Local::accept_agent(StreamSocket socket) { state_->accept_agent(std::move(socket)); }

// A spool that must never be used again makes room for a new one, as if the Local had restarted.
asio::awaitable<void> Local::run() {
  for (;;) {
    co_await state_->run(state_);
    if (!state_->aside || left_) co_return;
    const LocalSettings settings = state_->settings;
    const auto named = set_spool_aside(settings.spool_dir, {});
    if (!named) {
      log::error("the spool " + settings.spool_dir + " cannot be set aside: " + named.error().text);
      co_return;
    }
    log::warning("the spool " + settings.spool_dir + " is " + *named + " now");
    const Connect connect = state_->connect_center;
    const LookUp look_up = state_->look_up;
    state_ = std::make_shared<State>(state_->road, settings, connect, look_up);
    if (const auto opened = state_->open(); !opened) {
      log::error(opened.error().text);
      co_return;
    }
  }
}

void Local::leave() {
  left_ = true;
  state_->leave();
}

LocalStatus Local::status() const {
  const State& s = *state_;
  LocalStatus status;
  if (!s.spool) return status;
  status.local_id = s.spool->local_id();
  status.spool_bytes = s.spool->used_bytes();
  status.spool_quota_bytes = s.quota_bytes;
  status.lines_taken = s.lines_taken + (s.session ? s.session->lines_taken() : 0);
  status.lines_committed = s.uplinks->delivery().lines_committed;
  status.refused =
      s.refused + s.uplinks->delivery().refused + (s.session ? s.session->refused() : 0);
  status.full = !s.spool->has_room();
  status.trouble = s.spool->trouble();
  status.held = s.uplinks->delivery().held();
  status.agent_connected = s.agent != nullptr;
  s.figures->show(status);
  for (const auto& [category, lines] : s.lines_refused)
    status.categories[category].refused += lines;
  if (s.session)
    for (const auto& [category, lines] : s.session->lines_refused())
      status.categories[category].refused += lines;
  return status;
}

}  // namespace tailrace
