#include <algorithm>

#include "local/spool_recovery.h"
#include "tests/sim/host.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kTickMs = 500;

SpoolOptions spool_options(bool odd, bool small, Rng& rng) {
  SpoolOptions options;
  options.segment_bytes = 8'192;
  options.quota_bytes = 256 << 10;
  options.category_share_percent = 60;
  options.cache_bytes = 2'048;
  options.group_bytes = 2'048;
  if (small) {
    options.segment_bytes = 4'096;
    options.quota_bytes = 48 << 10;
    return options;
  }
  if (!odd) return options;
  options.quota_bytes >>= rng.below(2);
  options.segment_bytes = std::min(options.segment_bytes << rng.below(3), options.quota_bytes / 8);
  // What waits for the next SNAPSHOT is up to a quarter of the quota, and a segment.
  options.category_share_percent = static_cast<uint32_t>(50 + rng.below(51));
  options.cache_bytes = rng.below(8'192);
  options.group_bytes = 1 + rng.below(4'096);
  return options;
}
}  // namespace

LocalProcess::LocalProcess(World& world, const std::string& name, const std::string& cluster,
                           test::VirtualDisk& disk, std::vector<std::string> seeds, Connect connect)
    : Process(world, name),
      cluster_(cluster),
      disk_(disk),
      seeds_(std::move(seeds)),
      connect_center_(std::move(connect)) {}

void LocalProcess::start() {
  test::SpoolImage image = disk_.cached();
  auto recovered = recover_spool(image, world_.rng.next() | 1);
  if (!recovered) {
    broken_ = recovered.error().text;
    say(broken_);
    if (!may_be_hurt) world_.violated(name() + ": the spool: " + broken_);
    return;
  }
  for (const std::string& note : recovered->notes) say(note);
  if (recovered->damaged && !may_be_hurt) world_.violated(name() + ": the spool is damaged");
  say("starts");
  const SpoolOptions options = spool_options(odd, small, world_.rng);
  spool_ = std::make_unique<Spool>(options, std::move(*recovered), world_.rng.next() | 1);
  UplinkOptions up;
  up.cluster = cluster_;
  up.host = name();
  up.version = "sim";
  up.window_bytes = 4'000;
  up.quota_bytes = options.quota_bytes;
  if (odd) up.window_bytes = 500 + world_.rng.below(8'000);
  uplinks_ = std::make_unique<Uplinks>(*spool_, up, seeds_);
  tick();
}

void LocalProcess::tick() {
  if (session_) session_->tick(true, world_.now_ms);
  uplinks_->tick(world_.now_ms);
  settle_agent();
  settle_centers();
  dial();
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
    settle_centers();
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
  for (const RetiredStream& asked : agent_actions_.retires)
    uplinks_->retire(asked.local_id, asked.category, asked.sub, asked.each_sink);
  for (const SinkPlace& origin : agent_actions_.origins) {
    on_origin(spool_->local_id(), spool_->tables().streams.at(origin.stream).category, origin);
    uplinks_->begin_at(origin.sink);
  }
  const bool settle = agent_actions_.flush || !agent_actions_.origins.empty();
  if (agent_actions_.set_aside) {
    aside_ = true;
    return end("its spool was given up");
  }
  if (agent_actions_.flush) uplinks_->flush(agent_actions_.flush_streams);
  if (agent_actions_.close) {
    agent_->close(1);
    agent_.reset();
    session_.reset();
  }
  if (settle) settle_centers();
}

// --- the Centers ---------------------------------------------------------------------------------

void LocalProcess::dial() {
  if (!served_) return;
  for (const std::string& address : uplinks_->connect(world_.now_ms)) connect_center(address);
  const int64_t due_ms = uplinks_->connect_due_ms(world_.now_ms);
  if (due_ms < 0 || dialing_) return;
  dialing_ = true;
  after(std::max<int64_t>(due_ms, 100), [this] {
    dialing_ = false;
    dial();
  });
}

void LocalProcess::connect_center(const std::string& address) {
  const std::shared_ptr<Wire> wire = connect_center_(*this, address);
  if (!wire) return lost_center(address, "nobody answers");
  centers_[address] = wire;
  wire->hook(0, {[this, address](Frame& frame) {
                   uplinks_->frame(address, frame, world_.now_ms);
                   // More may have come already, and what is said about all of it is said at once.
                   if (world_.rng.chance(0.3))
                     return after(world_.rng.below(50),
                                  [this, address] { settle_center(address); });
                   settle_center(address);
                 },
                 [this, address](const std::string& why) { lost_center(address, why); }});
  uplinks_->connected(address, world_.now_ms);
  settle_center(address);
}

void LocalProcess::lost_center(const std::string& address, const std::string& why) {
  centers_.erase(address);
  uplinks_->disconnected(address, why, world_.rng.next(), world_.now_ms);
  settle_center(address);
  dial();
}

void LocalProcess::settle_centers() {
  for (const std::string& address : uplinks_->addresses()) settle_center(address);
}

void LocalProcess::settle_center(const std::string& address) {
  if (!uplinks_->knows(address)) return;
  const auto found = centers_.find(address);
  const std::shared_ptr<Wire> center = found == centers_.end() ? nullptr : found->second;
  uplinks_->pump(address, center ? center->queued_bytes(0) : 0, world_.now_ms);
  uplinks_->take(address, uplink_actions_);
  UplinkActions& actions = uplink_actions_;
  if (center)
    for (const Outgoing& out : actions.frames) center->send(0, out);
  for (const std::string& alarm : actions.alarms) say(alarm);
  // A spool that turns up again is refused until the agent has it set aside.
  const bool refused = held().find("was retired") != std::string::npos;
  if (small && held().find("where no batch of this spool ends") != std::string::npos)
    may_hold = true;
  if (!held().empty() && !may_hold && !refused) world_.violated(name() + " holds: " + held());
  for (const RefusedBatch& batch : actions.quarantines)
    world_.violated(name() + ": a batch of " + batch.category + " is refused: " + batch.why);
  for (const ColdRead& read : actions.reads) read_cold(address, read);
  if (!actions.redirects.empty()) after(0, [this] { dial(); });
  wake_committer();
  const bool close = center && actions.close;
  if (session_ && !(actions.committed.empty() && actions.retired.empty())) {
    session_->committed(actions.committed);
    session_->retired(actions.retired);
    settle_agent();
  }
  if (!close) return;
  center->close(0);
  centers_.erase(address);
  after(0, [this, address] { lost_center(address, "closed here"); });
}

void LocalProcess::read_cold(const std::string& address, const ColdRead& read) {
  after(world_.delay(), [this, address, read] {
    const auto bytes = disk_.read(read.place.segment, read.place.offset, read.place.bytes);
    uplinks_->cold(address, read,
                   bytes ? spool_->decode_record(read.place, *bytes)
                         : Result<std::shared_ptr<Batch>>(bytes.error()));
    settle_center(address);
  });
}

}  // namespace tailrace::sim
