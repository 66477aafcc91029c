#include "center/center.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "center/center_state.h"

namespace tailrace {

namespace {
constexpr int64_t kBusyTickMs = 50;
constexpr int64_t kIdleTickMs = 500;
constexpr int64_t kLongestFencePauseMs = 300'000;
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
}  // namespace

Center::State::State(asio::io_context& road_in, CenterSettings settings_in,
                     std::unique_ptr<Records> records_in, std::unique_ptr<Files> files_in)
    : road(road_in),
      settings(std::move(settings_in)),
      records(std::move(records_in)),
      files(std::move(files_in)),
      rng(os_random()),
      door(door_limits(settings.limits)),
      bell(road_in),
      store_worker(road_in, "store"),
      upload_worker(road_in, "upload"),
      driver(road_in, store_worker, *records, *files, [this] {
        return incarnation->me().names.tmp(incarnation->me().incarnation, rng.next());
      }) {}

Result<void> Center::State::open() {
  auto loaded = TimeZone::load(settings.timezone);
  if (!loaded) return loaded.error();
  zone = std::move(*loaded);
  auto parsed = Layout::parse(settings.layout);
  if (!parsed) return parsed.error();
  layout = std::move(*parsed);
  auto uuid = state_uuid_in(settings.state_dir);
  if (!uuid) return uuid.error();
  state_uuid = *uuid;

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

void Center::State::begin_incarnation(int64_t not_before_ms) {
  const int64_t now = wall_ms();
  ++incarnation_number;
  IncarnationOptions options;
  options.center = settings.name;
  options.version = TAILRACE_VERSION;
  options.most_categories = settings.limits.categories;
  options.roll = RollPolicy{settings.roll_bytes, settings.roll_age_ms, settings.roll_idle_ms,
                            settings.bucket_grace_ms, settings.bucket_jitter_ms};
  Acquirer me{.names = StoreNames(sink.control, sink.sink),
              .cluster = sink.cluster,
              .sink = sink.sink,
              .incarnation = incarnation_name(IncarnationId{now, os_random()}),
              .address = "",
              .state_uuid = state_uuid};
  incarnation = std::make_unique<Incarnation>(std::move(options), std::move(me), layout, zone,
                                              Rng(os_random()), now, not_before_ms);
}

void Center::State::end_incarnation(const std::string& reason) {
  log::warning("this Center's session with its store is over: " + reason +
               "; a new one begins, Locals send again what was not committed");
  const IncarnationCounts& c = incarnation->counts();
  earlier += c;
  if (c.lines_committed > 0) fence_pause_ms = 1'000;
  writers.clear();
  drop_links();
  if (stop_asked) {
    end_trouble = reason;
    stopped = true;
    ++incarnation_number;  // nothing of the old one is current any more
    bell.ring();
    return;
  }
  begin_incarnation(wall_ms() + fence_pause_ms);
  fence_pause_ms = std::min(fence_pause_ms * 2, kLongestFencePauseMs);
}

asio::awaitable<void> Center::State::run() {
  begin_incarnation(0);
  pump();
  while (!stopped && !leaving) {
    const bool rewinds = std::any_of(links.begin(), links.end(),
                                     [](const auto& link) { return !link->rewinds.empty(); });
    const bool busy =
        incarnation->open_files() + incarnation->pending_files() > 0 || stop_asked || rewinds;
    const int64_t tick_ms = busy ? kBusyTickMs : kIdleTickMs;
    co_await bell.wait(tick_ms);
    if (stopped || leaving) break;
    drop_silent_links();
    shed_links();
    incarnation->tick(wall_ms());
    if (stop_asked) incarnation->stop(stop_everything);
    pump();
    top_up();
  }
  drop_links();
}

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
  state_->stop_asked = true;
  state_->stop_everything = everything;
  state_->bell.ring();
}

void Center::leave() {
  state_->leaving = true;
  state_->bell.ring();
}

CenterStatus Center::status() const {
  const State& s = *state_;
  CenterStatus out;
  if (!s.incarnation) return out;
  IncarnationCounts all = s.earlier;
  all += s.incarnation->counts();
  out.lines_received = s.lines_received;
  out.lines_committed = all.lines_committed;
  out.lines_published = all.lines_published;
  out.raw_bytes_published = all.raw_bytes_published;
  out.file_bytes_published = all.file_bytes_published;
  out.files_published = all.files_published;
  out.files_open = s.incarnation->open_files();
  out.files_pending = s.incarnation->pending_files();
  out.lanes = s.incarnation->lanes();
  out.refused = s.refused;
  for (const auto& [name, lines] : s.received_of) out.categories[name].taken = lines;
  for (const auto& [name, lines] : s.refused_of) out.categories[name].refused = lines;
  for (const auto& [name, of] : all.categories) {
    out.categories[name].committed = of.committed;
    out.categories[name].published = of.published;
    out.categories[name].lost = of.lost;
    out.categories[name].files = of.files;
  }
  for (const auto& [name, of] : s.incarnation->waiting()) {
    CenterFlow& flow = out.categories[name];
    flow.uncommitted = of.uncommitted;
    flow.unpublished = of.unpublished;
    flow.open_files = of.open_files;
    flow.lanes = of.lanes;
  }
  for (const auto& link : s.links)
    if (link->greeted) ++out.locals;
  out.newest_published_ms = s.newest_published_ms;
  out.lines_clock_skewed = s.lines_clock_skewed;
  for (const std::string& trouble : {s.driver.trouble(), s.write_trouble, s.finish_trouble,
                                     s.incarnation->trouble(), s.end_trouble})
    if (out.trouble.empty()) out.trouble = trouble;
  return out;
}

}  // namespace tailrace
