#include <algorithm>

#include "local/spool_recovery.h"
#include "tests/sim/host.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kTickMs = 500;

SpoolOptions spool_options() {
  SpoolOptions options;
  options.segment_bytes = 8'192;
  options.quota_bytes = 256 << 10;
  options.category_share_percent = 60;
  options.cache_bytes = 2'048;
  options.group_bytes = 2'048;
  return options;
}
}  // namespace

LocalProcess::LocalProcess(World& world, const std::string& name, const std::string& cluster,
                           test::VirtualDisk& disk, Connect connect)
    : Process(world, name), cluster_(cluster), disk_(disk), connect_center_(std::move(connect)) {}

bool LocalProcess::start() {
  test::SpoolImage image = disk_.cached();
  auto recovered = recover_spool(image, world_.rng.next() | 1);
  if (!recovered) {
    world_.violated(name() + ": the spool: " + recovered.error().text);
    return false;
  }
  if (recovered->damaged) world_.violated(name() + ": the spool is damaged");
  say("starts");
  const SpoolOptions options = spool_options();
  spool_ = std::make_unique<Spool>(options, std::move(*recovered), world_.rng.next() | 1);
  UplinkOptions up;
  up.cluster = cluster_;
  up.host = name();
  up.version = "sim";
  up.window_bytes = 4'000;
  up.quota_bytes = options.quota_bytes;
  uplink_ = std::make_unique<Uplink>(*spool_, up);
  after(0, [this] { connect_center(); });
  tick();
  return true;
}

void LocalProcess::tick() {
  if (session_) session_->tick(true, world_.now_ms);
  uplink_->tick(world_.now_ms);
  settle_agent();
  settle_center();
  after(kTickMs, [this] { tick(); });
}

// --- the spool's groups --------------------------------------------------------------------------

void LocalProcess::wake_committer() {
  if (writing_) return;
  const bool push = !served_ || (session_ && session_->pushes());
  const int64_t due_ms = spool_->group_due_ms(push, world_.now_ms);
  if (due_ms == 0) return write_group();
  if (due_ms > 0) after(due_ms, [this] { wake_committer(); });
}

void LocalProcess::write_group() {
  writing_ = true;
  auto group = std::make_shared<SpoolGroup>(spool_->begin_group(world_.now_ms));
  if (session_ && group->last_lsn != 0) session_->group_begun();
  after(world_.delay(), [this, group] {
    writing_ = false;
    const Result<void> done = disk_.apply(*group);
    if (!done && done.error().kind != Error::Kind::retry_later) return end(done.error().text);
    if (done) {
      spool_->group_done(world_.now_ms);
      spool_->reuse(std::move(*group));
    } else {
      spool_->group_failed(done.error(), world_.now_ms);
    }
    served_ = served_ || spool_->all_durable();
    if (session_) session_->spool_moved(world_.now_ms);
    settle_agent();
    settle_center();
    wake_committer();
  });
}

// --- the agent -----------------------------------------------------------------------------------

void LocalProcess::accept(std::shared_ptr<Wire> wire) {
  if (agent_) {
    // The former one's end has not been heard of yet.
    agent_->close(1);
    session_.reset();
  }
  agent_ = wire;
  session_ = std::make_unique<AgentSession>(*spool_, batches_, "sim", world_.now_ms);
  const auto lost = [this, weak = std::weak_ptr(wire)](const std::string&) {
    if (agent_ != weak.lock()) return;
    session_.reset();
    agent_.reset();
  };
  wire->hook(1, {[this, raw = wire.get()](Frame& frame) {
                   if (agent_.get() != raw) return;
                   session_->frame(frame, world_.now_ms);
                   settle_agent();
                   wake_committer();
                 },
                 lost});
}

void LocalProcess::settle_agent() {
  if (!session_) return;
  if (session_->welcoming()) session_->room(agent_->queued_bytes(1));
  session_->take(agent_actions_);
  for (const Outgoing& out : agent_actions_.frames) agent_->send(1, out);
  for (const std::string& alarm : agent_actions_.alarms) say(alarm);
  for (const std::string& why : agent_actions_.refusals) say("refuses: " + why);
  const bool flush = agent_actions_.flush;
  if (flush) uplink_->flush(agent_actions_.flush_streams);
  if (agent_actions_.close) {
    agent_->close(1);
    agent_.reset();
    session_.reset();
  }
  if (flush) settle_center();
}

// --- the Center ----------------------------------------------------------------------------------

void LocalProcess::connect_center() {
  const int64_t due_ms = served_ ? uplink_->connect_due_ms(world_.now_ms) : 100;
  if (due_ms != 0) {
    if (due_ms < 0 && !center_) world_.violated(name() + " holds for good: " + uplink_->held());
    return after(std::max<int64_t>(due_ms, 100), [this] { connect_center(); });
  }
  center_ = connect_center_(*this);
  if (!center_) return lost_center("nobody answers");
  center_->hook(0, {[this](Frame& frame) {
                      uplink_->frame(frame, world_.now_ms);
                      settle_center();
                    },
                    [this](const std::string& why) { lost_center(why); }});
  uplink_->connected(world_.now_ms);
  settle_center();
}

void LocalProcess::lost_center(const std::string& why) {
  center_.reset();
  uplink_->disconnected(why, world_.rng.next(), world_.now_ms);
  settle_center();
  connect_center();
}

void LocalProcess::settle_center() {
  uplink_->pump(center_ ? center_->queued_bytes(0) : 0, world_.now_ms);
  uplink_->take(uplink_actions_);
  UplinkActions& actions = uplink_actions_;
  if (center_)
    for (const Outgoing& out : actions.frames) center_->send(0, out);
  for (const std::string& alarm : actions.alarms) say(alarm);
  if (!uplink_->held().empty()) world_.violated(name() + " holds: " + uplink_->held());
  for (const RefusedBatch& batch : actions.quarantines)
    world_.violated(name() + ": a batch of " + batch.category + " is refused: " + batch.why);
  for (const ColdRead& read : actions.reads) read_cold(read);
  wake_committer();
  if (session_ && !actions.committed.empty()) {
    session_->committed(actions.committed);
    settle_agent();
  }
  if (center_ && actions.close) {
    center_->close(0);
    center_.reset();
    after(0, [this] { lost_center("closed here"); });
  }
}

void LocalProcess::read_cold(const ColdRead& read) {
  after(world_.delay(), [this, read] {
    const auto bytes = disk_.read(read.place.segment, read.place.offset, read.place.bytes);
    uplink_->cold(read, bytes ? spool_->decode_record(read.place, *bytes)
                              : Result<std::shared_ptr<Batch>>(bytes.error()));
    settle_center();
  });
}

}  // namespace tailrace::sim
