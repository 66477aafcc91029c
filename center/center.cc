#include "center/center.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/bell.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/workers.h"
#include "center/hub.h"
#include "center/kafka_shell.h"
#include "center/known_sink.h"
#include "center/remove_staged.h"
#include "center/store_driver.h"
#include "center/store_trouble.h"
#include "flow/connection.h"

namespace tailrace {

namespace {
constexpr int64_t kBusyTickMs = 50;
constexpr int64_t kIdleTickMs = 500;
constexpr uint64_t kLooks = 8;              // at least so many while limits.memory comes in
constexpr int64_t kQuietMs = 1'000;         // then what a link's last frame took is given back
constexpr uint64_t kDescriptorsKept = 256;  // for files, records and what else is opened
constexpr std::chrono::seconds kAwayPause(2);

DoorLimits door_limits(const CenterLimits& set) {
  DoorLimits limits;
  limits.most = set.connections;
  limits.most_of_address = set.per_address;
  struct rlimit files {};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  const uint64_t spare =
      files.rlim_cur > 2 * kDescriptorsKept ? files.rlim_cur - kDescriptorsKept : kDescriptorsKept;
  limits.most = std::min<uint64_t>(limits.most, spare);
  return limits;
}

// The uuid of a state directory, made once: whoever holds the state's lock speaks for every
// incarnation announced with it.
Result<uint64_t> state_uuid_in(const std::string& directory) {
  const std::string path = directory + "/center.id";
  if (auto known = read_file(path, 64)) {
    const uint64_t uuid = parse_hex16(known->substr(0, 16));
    if (uuid == 0)
      return Error{
          Error::Kind::corrupt,
          path + " does not hold an id; remove it to get a new one (a take-over then waits 15 s)"};
    return uuid;
  }
  if (auto r = make_directories(directory); !r) return r.error();
  const uint64_t uuid = os_random();
  if (auto r = replace_file(path, hex16(uuid) + "\n"); !r) return r.error();
  return uuid;
}

Moment now() { return {mono_ms(), wall_ms()}; }
}  // namespace

// What blocks at one sink's store: nothing of it keeps another sink waiting.
struct Shore {
  Shore(asio::io_context& road, SinkStore store, std::function<std::string()> tmp_name)
      : records(std::move(store.records)),
        files(std::move(store.files)),
        reopen(std::move(store.reopen)),
        calls(std::make_unique<Workers>(road, "store", store.calls)),
        uploads(std::make_unique<Workers>(road, "upload", store.uploads)),
        driver(std::make_unique<StoreDriver>(road, *calls, *records, *files, std::move(tmp_name))) {
  }
  Shore(asio::io_context& road, const KafkaSettings& settings)
      : kafka(std::make_unique<KafkaShell>(road, settings)) {}
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
  std::function<Result<void>()> reopen;
  SinkIdentity identity;
  std::string away;  // not empty: since the start it could not be asked which sink it is
  std::unique_ptr<Workers> calls;    // claims, entries, publishing
  std::unique_ptr<Workers> uploads;  // each makes one file after another durable
  std::unique_ptr<StoreDriver> driver;
  StoreTrouble trouble{mono_ms()};
  std::unique_ptr<KafkaShell> kafka;  // null: a sink of files, which has all but this
};

// The hub's shell: connections and workers, each a coroutine.
struct Center::State {
  State(asio::io_context& road, CenterSettings settings, std::vector<SinkStore> stores);

  Result<void> open();
  Result<HubSinkOptions> open_sink(const SinkSettings& sink, Shore& shore);
  Result<HubSinkOptions> open_kafka(const SinkSettings& sink, Shore& shore);
  asio::awaitable<void> run();

  // --- Locals
  struct Link {
    Link(asio::io_context& road, StreamSocket socket, const std::string& peer)
        : connection(road, std::move(socket), peer) {}
    Connection connection;
    Frame frame;  // the one that is being read
  };
  void accept(StreamSocket socket);
  asio::awaitable<void> serve(LinkId id, std::shared_ptr<Link> link);
  [[nodiscard]] std::vector<LinkView> look_at_links();

  // --- what the hub wants done
  void carry_out();
  void start(size_t sink, FinishWork work);
  void start(size_t sink, CommitEntry work);
  void start(size_t sink, PublishFile work);
  void start(size_t sink, RunProcedure work);
  void start(size_t sink, CallKafka work);
  asio::awaitable<void> finish_file(size_t sink, FinishWork work);
  // True: it is whole, and its session still there. May take minutes, and end after the session.
  asio::awaitable<bool> finish(size_t sink, const FinishWork& work,
                               const std::function<bool()>& current);
  asio::awaitable<void> remove_late(size_t sink, std::shared_ptr<Finishing> finishing);
  asio::awaitable<void> commit_entry(size_t sink, CommitEntry action);
  asio::awaitable<void> publish_file(size_t sink, FileRef file);
  asio::awaitable<void> run_procedure(size_t sink, std::shared_ptr<StoreProcedure> procedure);
  asio::awaitable<void> call_kafka(size_t sink, KafkaCall call);
  // Waits until the store can be asked and is the sink that was known. False: it is nobody's any
  // more.
  asio::awaitable<bool> back(size_t sink, std::function<bool()> current);
  // Once for as long as a store does not do what it is asked for.
  void say_troubles();
  // At all sinks; one that was away all the time has nothing to stop.
  [[nodiscard]] bool stopped() const;
  // True while the incarnation that was current when it was called still is.
  std::function<bool()> while_current(size_t sink);

  asio::io_context& road;
  CenterSettings settings;
  uint64_t state_uuid = 0;
  std::vector<std::unique_ptr<Shore>> shores;  // as settings.sinks
  std::unique_ptr<Hub> hub;
  std::map<LinkId, std::shared_ptr<Link>> links;
  LinkId next_link = 1;
  int64_t next_look_ms = 0;  // at all of them, or once this much has come:
  uint64_t arrived = 0;
  bool stopping = false;
  bool leaving = false;
  Bell bell;
};

Center::State::State(asio::io_context& road_in, CenterSettings settings_in,
                     std::vector<SinkStore> stores)
    : road(road_in), settings(std::move(settings_in)), bell(road_in) {
  TAILRACE_CHECK(stores.size() == settings.sinks.size(), "a store for each sink");
  for (SinkStore& store : stores) {
    const size_t at = shores.size();
    const SinkSettings& sink = settings.sinks[at];
    shores.push_back(sink.is_kafka() ? std::make_unique<Shore>(road, sink.kafka)
                                     : std::make_unique<Shore>(road, std::move(store), [this, at] {
                                         return hub->tmp_name(at);
                                       }));
  }
}

Result<void> Center::State::open() {
  const auto uuid = state_uuid_in(settings.state_dir);
  if (!uuid) return uuid.error();
  state_uuid = *uuid;
  std::vector<HubSinkOptions> sinks;
  for (size_t at = 0; at < shores.size(); ++at) {
    const SinkSettings& sink = settings.sinks[at];
    auto opened = open_sink(sink, *shores[at]);
    if (!opened) return shores.size() == 1 ? opened.error() : opened.error().within(sink.name);
    settings.cluster = opened->identity.cluster;
    for (const HubSinkOptions& other : sinks)
      if (other.identity.sink == opened->identity.sink)
        return Error{Error::Kind::rejected, "two sinks are the same one: " + sink.where()};
    sinks.push_back(std::move(*opened));
  }
  hub = std::make_unique<Hub>(
      HubOptions{settings, std::move(sinks), state_uuid, door_limits(settings.limits)},
      Rng(os_random()), now());
  for (size_t at = 0; at < shores.size(); ++at)
    if (!shores[at]->away.empty())
      log::warning("sink " + settings.sinks[at].name + " is away: " + shores[at]->away +
                   "; its lines wait in the spools, the other sinks go on");
  return {};
}

Result<HubSinkOptions> Center::State::open_sink(const SinkSettings& of, Shore& shore) {
  if (shore.kafka) return open_kafka(of, shore);
  auto zone = TimeZone::load(of.timezone);
  if (!zone) return zone.error();
  auto layout = Layout::parse(of.layout);
  if (!layout) return layout.error();
  const auto known = know_sink(*shore.records, of, settings.cluster, settings.state_dir);
  if (!known) return known.error();
  // Where there is nothing else to serve, whoever starts it is told at once.
  if (known->empty && shores.size() == 1) return Error{Error::Kind::rejected, known->away};
  shore.identity = known->identity;
  shore.away = known->away;
  return HubSinkOptions{known->identity, std::move(*layout), std::move(*zone), shore.files.get()};
}

Result<HubSinkOptions> Center::State::open_kafka(const SinkSettings& of, Shore& shore) {
  const auto known = know_kafka(shore.kafka->first(), of, settings.cluster, settings.state_dir);
  if (!known) return known.error();
  if (known->empty && shores.size() == 1) return Error{Error::Kind::rejected, known->away};
  shore.identity = known->identity;
  shore.kafka->know(known->identity.sink, state_uuid);
  if (!known->away.empty())
    log::warning("sink " + of.name + " is away: " + known->away +
                 "; its lines wait in the spools, the other sinks go on");
  KafkaSessionOptions options;
  options.fences = of.kafka.exactly_once();
  options.commit_ms = of.kafka.commit_ms;
  options.paths = of.kafka.has_header("path");
  return HubSinkOptions{
      .identity = known->identity, .layout = {}, .zone = {}, .files = nullptr, .kafka = options};
}

// --- Locals --------------------------------------------------------------------------------------

void Center::State::accept(StreamSocket socket) {
  const PeerAddress from = peer_address(socket.native_handle());
  const LinkId id = next_link++;
  const bool in = hub->knock(id, from, now()).empty();
  carry_out();
  if (!in) return;  // the socket closes
  auto link = std::make_shared<Link>(road, std::move(socket), from.name);
  links[id] = link;
  link->connection.on_arrived([this](size_t bytes) {
    arrived += bytes;
    if (arrived * kLooks >= settings.limits.memory_bytes) bell.ring();
  });
  spawn(road, "a Local's connection", serve(id, std::move(link)));
}

asio::awaitable<void> Center::State::serve(LinkId id, std::shared_ptr<Link> link) {
  for (;;) {
    auto read = co_await link->connection.read(link->frame);
    if (!read) {
      if (read.error().kind != Error::Kind::closed)
        hub->unreadable(id, read.error(), link->connection.other_version(), now());
      break;
    }
    if (leaving) break;
    hub->frame(id, link->frame, link->connection.queued_bytes(), now());
    carry_out();
  }
  carry_out();
  link->connection.close();
  links.erase(id);
  hub->gone(id);
}

std::vector<LinkView> Center::State::look_at_links() {
  const int64_t mono = mono_ms();
  std::vector<LinkView> out;
  for (const auto& [id, link] : links) {
    const Connection& connection = link->connection;
    if (mono - connection.last_heard_ms() >= kQuietMs && connection.between_frames())
      link->frame = {};
    out.push_back({id, connection.last_heard_ms(), connection.too_slow(mono),
                   connection.queued_bytes(),
                   link->frame.header.capacity() + link->frame.payload.capacity()});
  }
  return out;
}

// --- what the hub wants done

void Center::State::carry_out() {
  const HubActions actions = std::exchange(hub->actions(), {});
  for (const Saying& saying : actions.sayings)
    log::write(saying.level, saying.text, {saying.fields.begin(), saying.fields.end()});
  for (const FrameOut& frame : actions.frames)
    if (const auto link = links.find(frame.link); link != links.end())
      link->second->connection.send(frame.frame);
  for (const LinkId id : actions.closes)
    if (const auto link = links.find(id); link != links.end()) link->second->connection.close();
  for (const HubWork& work : actions.work)
    std::visit([this, &work](const auto& what) { start(work.sink, what); }, work.what);
  if (stopped()) bell.ring();
}

std::function<bool()> Center::State::while_current(size_t sink) {
  return [this, sink, life = hub->life(sink)] { return life == hub->life(sink) && !leaving; };
}

void Center::State::start(size_t sink, FinishWork work) {
  spawn(road, "finishing a file", finish_file(sink, std::move(work)));
}

asio::awaitable<void> Center::State::finish_file(size_t sink, FinishWork work) {
  const auto current = while_current(sink);
  const bool finished = co_await finish(sink, work, current);
  if (current() && finished) hub->file_finished(sink, work, now());
  carry_out();
  if (!finished) co_await remove_late(sink, work.finishing);
}

asio::awaitable<bool> Center::State::finish(size_t sink, const FinishWork& work,
                                            const std::function<bool()>& current) {
  while (current()) {
    auto outcome = std::make_shared<Result<void>>();
    Shore& shore = *shores[sink];
    if (work.finishing->cuts())
      *outcome = work.finishing->stage(*shore.files, hub->stage_name(sink, work.category));
    if (outcome->ok()) {
      std::function<void()> finish = [finishing = work.finishing, outcome] {
        *outcome = finishing->run();
      };
      co_await shore.uploads->run(std::move(finish));
    }
    if (!current()) break;
    if (*outcome) co_return true;
    if (outcome->error().kind != Error::Kind::retry_later) {
      hub->fail(sink, "a file could not be made durable: " + outcome->error().text, now());
      break;
    }
    hub->finish_waits(sink, work.category, outcome->error().text, now());
    carry_out();
    asio::steady_timer timer(road, std::chrono::seconds(1));
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return false;
}

// No record names it, and whoever finished its session's log may have looked before it was there.
asio::awaitable<void> Center::State::remove_late(size_t sink,
                                                 std::shared_ptr<Finishing> finishing) {
  const std::function<bool()> here = [this] { return !leaving; };
  const auto remove = std::make_shared<RemoveStaged>(finishing->names());
  if (here()) co_await shores[sink]->driver->drive(remove, here);
}

void Center::State::start(size_t sink, CommitEntry work) {
  spawn(road, "a commit", commit_entry(sink, std::move(work)));
}

asio::awaitable<void> Center::State::commit_entry(size_t sink, CommitEntry action) {
  const auto current = while_current(sink);
  StoreRequest request = CasRequest{std::move(action.name), std::move(action.record)};
  StoreReply reply = co_await shores[sink]->driver->perform(std::move(request), current);
  if (!current()) co_return;
  hub->commit_done(sink, reply.error ? Result<Cas>(*reply.error) : Result<Cas>(reply.cas), now());
  carry_out();
}

void Center::State::start(size_t sink, PublishFile work) {
  spawn(road, "publishing a file", publish_file(sink, std::move(work.file)));
}

asio::awaitable<void> Center::State::publish_file(size_t sink, FileRef file) {
  const auto current = while_current(sink);
  StoreRequest request = PublishRequest{file.stage, file.final_path};
  StoreReply reply = co_await shores[sink]->driver->perform(std::move(request), current);
  if (!current()) co_return;
  const auto outcome =
      reply.error ? Result<Published>(*reply.error) : Result<Published>(reply.published);
  hub->publish_done(sink, file.stage, outcome, now());
  carry_out();
}

void Center::State::start(size_t sink, RunProcedure work) {
  spawn(road, "a store procedure", run_procedure(sink, std::move(work.procedure)));
}

asio::awaitable<void> Center::State::run_procedure(size_t sink,
                                                   std::shared_ptr<StoreProcedure> procedure) {
  const auto current = while_current(sink);
  const bool there = co_await back(sink, current);
  if (!there) co_return;
  const bool ended = co_await shores[sink]->driver->drive(procedure, current);
  if (!ended || !current()) co_return;
  hub->procedure_done(sink, *procedure, now());
  carry_out();
}

asio::awaitable<bool> Center::State::back(size_t sink, std::function<bool()> current) {
  Shore& shore = *shores[sink];
  while (!shore.away.empty() && current()) {
    auto same = std::make_shared<Result<void>>();
    std::function<void()> look = [same, reopen = shore.reopen, records = shore.records.get(),
                                  of = settings.sinks[sink], identity = shore.identity] {
      *same = reopen ? reopen() : Result<void>();
      if (*same) *same = is_sink(*records, of, identity);
    };
    co_await shore.calls->run(std::move(look));
    if (*same) {
      if (!std::exchange(shore.away, {}).empty())
        log::info("sink " + settings.sinks[sink].name + " is there");
      break;
    }
    shore.away = same->error().text;
    asio::steady_timer timer(road, kAwayPause);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return current();
}

void Center::State::say_troubles() {
  for (size_t at = 0; at < shores.size(); ++at) {
    Shore& shore = *shores[at];
    if (!shore.driver) continue;
    const std::string said = shore.trouble.look(
        shore.driver->trouble(), "the store of sink '" + settings.sinks[at].name + "'", mono_ms());
    if (!said.empty())
      log::write(shore.trouble.said() ? log::Level::warning : log::Level::info, said,
                 {{"sink", settings.sinks[at].name}});
  }
}

bool Center::State::stopped() const {
  for (size_t at = 0; at < shores.size(); ++at)
    if (!hub->stopped(at) && !(stopping && !shores[at]->away.empty())) return false;
  return true;
}

// One answer for each; whose lane has gone meanwhile the hub knows.
void Center::State::start(size_t sink, CallKafka work) {
  spawn(road, "a call at Kafka", call_kafka(sink, std::move(work.call)));
}

asio::awaitable<void> Center::State::call_kafka(size_t sink, KafkaCall call) {
  const auto asked = std::make_shared<KafkaCall>(std::move(call));
  const KafkaReply reply = co_await shores[sink]->kafka->perform(asked);
  if (leaving) co_return;
  hub->kafka_replied(sink, std::move(*asked), reply, now());
  carry_out();
}

asio::awaitable<void> Center::State::run() {
  carry_out();
  while (!stopped() && !leaving) {
    const int64_t wait_ms = hub->busy() ? kBusyTickMs : kIdleTickMs;
    co_await bell.wait(wait_ms);
    if (stopped() || leaving) break;
    const bool look = mono_ms() >= next_look_ms || arrived * kLooks >= settings.limits.memory_bytes;
    if (look) {
      next_look_ms = mono_ms() + kIdleTickMs;
      arrived = 0;
    }
    hub->tick(look ? look_at_links() : std::vector<LinkView>(), now());
    say_troubles();
    carry_out();
  }
  for (const auto& [id, link] : links) link->connection.close();
}

// --- the door ------------------------------------------------------------------------------------

Center::Center(asio::io_context& road, CenterSettings settings, std::vector<SinkStore> stores)
    : state_(std::make_unique<State>(road, std::move(settings), std::move(stores))) {}
Center::~Center() = default;

Result<void> Center::open() { return state_->open(); }
std::string Center::cluster() const { return hex16(state_->settings.cluster); }
std::vector<uint64_t> Center::sinks() const {
  std::vector<uint64_t> uuids;
  for (const auto& shore : state_->shores) uuids.push_back(shore->identity.sink);
  return uuids;
}

void Center::accept_local(StreamSocket socket) { state_->accept(std::move(socket)); }

asio::awaitable<void> Center::run() { return state_->run(); }

void Center::stop(bool everything) {
  state_->stopping = true;
  state_->hub->stop(everything);
  state_->bell.ring();
}

void Center::leave() {
  state_->leaving = true;
  state_->bell.ring();
}

void Center::presence(const Presence& presence) {
  state_->hub->presence(presence, now());
  state_->carry_out();
}

Member Center::member() const { return state_->hub->member(); }

CenterStatus Center::status() const {
  if (!state_->hub) return {};
  CenterStatus out = state_->hub->status();
  for (size_t at = 0; at < out.sinks.size(); ++at) {
    const Shore& shore = *state_->shores[at];
    if (shore.driver)
      if (std::string trouble = shore.driver->trouble(); !trouble.empty())
        out.sinks[at].trouble = std::move(trouble);
    if (!shore.away.empty()) out.sinks[at].trouble = "away since the start: " + shore.away;
  }
  return out;
}

}  // namespace tailrace
