#include "center/center.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/bell.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/worker.h"
#include "center/hub.h"
#include "center/store_driver.h"
#include "flow/connection.h"

namespace tailrace {

namespace {
constexpr int64_t kBusyTickMs = 50;
constexpr int64_t kIdleTickMs = 500;
constexpr int64_t kQuietMs = 1'000;             // then what a link's last frame took is given back
constexpr uint64_t kDescriptorsKept = 256;      // for files, records and what else is opened
constexpr std::string_view kFirstTmp = "tmp-";  // of the sink's identity, while it has no name yet

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

// The hub's shell: connections and workers, each a coroutine.
struct Center::State {
  State(asio::io_context& road, CenterSettings settings, std::unique_ptr<Records> records,
        std::unique_ptr<Files> files);

  Result<void> open();
  Result<void> make_sink(const std::string& identity_name);
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
  void start(FinishWork work);
  void start(CommitEntry work);
  void start(PublishFile work);
  void start(RunProcedure work);
  asio::awaitable<void> finish_file(FinishWork work);
  asio::awaitable<void> commit_entry(CommitEntry action);
  asio::awaitable<void> publish_file(FileRef file);
  asio::awaitable<void> run_procedure(std::shared_ptr<StoreProcedure> procedure);
  // True while the incarnation that was current when it was called still is.
  std::function<bool()> while_current();

  asio::io_context& road;
  CenterSettings settings;
  std::unique_ptr<Records> records;
  std::unique_ptr<Files> files;
  SinkIdentity sink;
  std::unique_ptr<Hub> hub;
  std::map<LinkId, std::shared_ptr<Link>> links;
  LinkId next_link = 1;
  bool leaving = false;
  Bell bell;
  Worker store_worker;   // claims, entries, publishing: short calls
  Worker upload_worker;  // a file's fdatasync
  StoreDriver driver;
};

Center::State::State(asio::io_context& road_in, CenterSettings settings_in,
                     std::unique_ptr<Records> records_in, std::unique_ptr<Files> files_in)
    : road(road_in),
      settings(std::move(settings_in)),
      records(std::move(records_in)),
      files(std::move(files_in)),
      bell(road_in),
      store_worker(road_in, "store"),
      upload_worker(road_in, "upload"),
      driver(road_in, store_worker, *records, *files, [this] { return hub->tmp_name(); }) {}

Result<void> Center::State::open() {
  auto loaded = TimeZone::load(settings.timezone);
  if (!loaded) return loaded.error();
  auto parsed = Layout::parse(settings.layout);
  if (!parsed) return parsed.error();
  auto uuid = state_uuid_in(settings.state_dir);
  if (!uuid) return uuid.error();

  const std::string identity_name(kSinkIdentityName);
  const std::string& control = settings.control;
  auto found = records->read(identity_name);
  if (!found) return found.error();
  if (!*found) {
    if (auto made = make_sink(identity_name); !made) return made;
    found = records->read(identity_name);
    if (!found) return found.error();
    if (!*found)
      return Error{Error::Kind::corrupt, identity_name + " was written and is not there"};
  }
  auto identity = SinkIdentity::decode(**found);
  if (!identity) return identity.error().within(identity_name);
  if (identity->control != control)
    return Error{Error::Kind::rejected, "this output's control directory is " + identity->control +
                                            ", not " + control + ": name the one it was made with"};
  if (settings.cluster != 0 && identity->cluster != settings.cluster)
    return Error{Error::Kind::rejected, "this output belongs to another cluster: " + identity_name +
                                            " says " + hex16(identity->cluster) +
                                            ", this Center is of " + hex16(settings.cluster)};
  sink = *identity;
  const auto sinks = records->list(control);
  if (!sinks) return sinks.error();
  if (std::find(sinks->begin(), sinks->end(), hex16(sink.sink)) == sinks->end())
    return Error{Error::Kind::rejected,
                 identity_name + " stands in the output directory, but its records in " + control +
                     " are gone. What was published is not known without them, and would be "
                     "published again: restore them, or choose another output"};
  hub = std::make_unique<Hub>(HubOptions{settings, sink, std::move(*parsed), std::move(*loaded),
                                         *uuid, door_limits(settings.limits)},
                              *files, Rng(os_random()), now());
  return {};
}

// The sink's first start: its directory first, then its name, by which alone it exists.
Result<void> Center::State::make_sink(const std::string& identity_name) {
  const std::string& control = settings.control;
  auto names = records->list(control);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    // A start that died before the sink had its name left a tmp, or an empty directory.
    if (name.starts_with(kFirstTmp)) {
      if (auto r = records->remove(control + "/" + name); !r) return r;
      continue;
    }
    const auto inside = records->list(control + "/" + name);
    if (!inside) return inside.error();
    if (!inside->empty())
      return Error{
          Error::Kind::rejected,
          "the control directory " + control + " stands, but " + identity_name +
              " in the output directory is gone: restore it, or remove both to start afresh"};
  }
  const uint64_t cluster = settings.cluster != 0 ? settings.cluster : os_random();
  const SinkIdentity fresh{os_random(), cluster, control};
  if (auto r = records->make_directory(control + "/" + hex16(fresh.sink)); !r) return r;
  const auto won = records->cas(identity_name, fresh.encode(), Records::Parent::make,
                                control + "/" + std::string(kFirstTmp) + hex16(os_random()));
  return won ? Result<void>() : won.error();
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
  for (const HubWork& work : actions.work) std::visit([this](const auto& w) { start(w); }, work);
  if (hub->stopped()) bell.ring();
}

std::function<bool()> Center::State::while_current() {
  return [this, life = hub->life()] { return life == hub->life() && !leaving; };
}

void Center::State::start(FinishWork work) {
  spawn(road, "finishing a file", finish_file(std::move(work)));
}

asio::awaitable<void> Center::State::finish_file(FinishWork work) {
  const auto current = while_current();
  for (;;) {
    auto outcome = std::make_shared<Result<void>>();
    if (work.finishing->cuts())
      *outcome = work.finishing->stage(*files, hub->stage_name(work.category));
    if (outcome->ok()) {
      std::function<void()> finish = [finishing = work.finishing, outcome] {
        *outcome = finishing->run();
      };
      co_await upload_worker.run(std::move(finish));
    }
    if (!current()) co_return;
    if (*outcome) break;
    if (outcome->error().kind != Error::Kind::retry_later) {
      hub->fail("a file could not be made durable: " + outcome->error().text, now());
      carry_out();
      co_return;
    }
    hub->finish_waits(outcome->error().text);
    asio::steady_timer timer(road, std::chrono::seconds(1));
    co_await timer.async_wait(asio::use_awaitable);
    if (!current()) co_return;
  }
  hub->file_finished(work, now());
  carry_out();
}

void Center::State::start(CommitEntry work) {
  spawn(road, "a commit", commit_entry(std::move(work)));
}

asio::awaitable<void> Center::State::commit_entry(CommitEntry action) {
  const auto current = while_current();
  StoreRequest request = CasRequest{std::move(action.name), std::move(action.record)};
  StoreReply reply = co_await driver.perform(std::move(request), current);
  if (!current()) co_return;
  hub->commit_done(reply.error ? Result<Cas>(*reply.error) : Result<Cas>(reply.cas), now());
  carry_out();
}

void Center::State::start(PublishFile work) {
  spawn(road, "publishing a file", publish_file(std::move(work.file)));
}

asio::awaitable<void> Center::State::publish_file(FileRef file) {
  const auto current = while_current();
  StoreRequest request = PublishRequest{file.stage, file.final_path};
  StoreReply reply = co_await driver.perform(std::move(request), current);
  if (!current()) co_return;
  const auto outcome =
      reply.error ? Result<Published>(*reply.error) : Result<Published>(reply.published);
  hub->publish_done(file.stage, outcome, now());
  carry_out();
}

void Center::State::start(RunProcedure work) {
  spawn(road, "a store procedure", run_procedure(std::move(work.procedure)));
}

asio::awaitable<void> Center::State::run_procedure(std::shared_ptr<StoreProcedure> procedure) {
  const auto current = while_current();
  const bool ended = co_await driver.drive(procedure, current);
  if (!ended || !current()) co_return;
  hub->procedure_done(*procedure, now());
  carry_out();
}

asio::awaitable<void> Center::State::run() {
  carry_out();
  while (!hub->stopped() && !leaving) {
    const int64_t wait_ms = hub->busy() ? kBusyTickMs : kIdleTickMs;
    co_await bell.wait(wait_ms);
    if (hub->stopped() || leaving) break;
    hub->tick(look_at_links(), now());
    carry_out();
  }
  for (const auto& [id, link] : links) link->connection.close();
}

// --- the door ------------------------------------------------------------------------------------

Center::Center(asio::io_context& road, CenterSettings settings, std::unique_ptr<Records> records,
               std::unique_ptr<Files> files)
    : state_(std::make_unique<State>(road, std::move(settings), std::move(records),
                                     std::move(files))) {}
Center::~Center() = default;

Result<void> Center::open() { return state_->open(); }
std::string Center::cluster() const { return hex16(state_->sink.cluster); }
uint64_t Center::sink() const { return state_->sink.sink; }

void Center::accept_local(StreamSocket socket) { state_->accept(std::move(socket)); }

asio::awaitable<void> Center::run() { return state_->run(); }

void Center::stop(bool everything) {
  state_->hub->stop(everything);
  state_->bell.ring();
}

void Center::leave() {
  state_->leaving = true;
  state_->bell.ring();
}

CenterStatus Center::status() const {
  if (!state_->hub) return {};
  CenterStatus out = state_->hub->status();
  if (!state_->driver.trouble().empty()) out.trouble = state_->driver.trouble();
  return out;
}

}  // namespace tailrace
