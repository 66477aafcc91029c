#include "bench/load_local.h"

#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cstdio>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/spawn.h"
#include "local/spool_recovery.h"

namespace tailrace::bench {

namespace {
constexpr uint64_t kSegmentBytes = 1u << 20;
constexpr uint64_t kQuotaBytes = 64u << 20;
constexpr uint64_t kKeptBytes = 1u << 30;  // nothing is ever read again

SpoolOptions spool_options() {
  SpoolOptions options;
  options.segment_bytes = kSegmentBytes;
  options.quota_bytes = kQuotaBytes;
  options.category_share_percent = 100;
  options.cache_bytes = kKeptBytes;
  return options;
}
}  // namespace

LoadLocal::LoadLocal(asio::io_context& road, const LoadOptions& options, uint64_t number)
    : road_(road), options_(options), bell_(road), streams_(options.categories.size()) {
  RecoveredSpool nothing;
  nothing.tables.local_id = os_random();
  spool_ = std::make_unique<Spool>(spool_options(), std::move(nothing), os_random());
  while (!spool_->all_durable()) commit_groups();
  for (size_t i = 0; i < options.categories.size(); ++i) {
    const auto id = static_cast<StreamId>(i + 1);
    FileInfo file;
    file.file = id;
    file.path = "/load/" + options.categories[i];
    const bool defined =
        spool_->define_stream(StreamInfo{id, options.categories[i], 0, {}, {}}, mono_ms()).ok() &&
        spool_->define_file(file, mono_ms()).ok();
    TAILRACE_CHECK(defined, "a stream of the load");
  }
  commit_groups();
  UplinkOptions up;
  up.cluster = options.cluster;
  up.host = "load-" + std::to_string(number);
  up.version = "bench";
  up.quota_bytes = kQuotaBytes;
  uplinks_ = std::make_unique<Uplinks>(*spool_, up, options.centers);
}

void LoadLocal::start() { spawn(road_, "a Local's ways", serve()); }

bool LoadLocal::make(size_t category, const LoadPayload& payload) {
  const uint64_t waiting = (lines_made_ - lines_committed()) / lines_a_batch_;
  if (waiting >= options_.most_waiting) return false;
  Stream& stream = streams_[category];
  auto batch = std::make_shared<Batch>();
  BatchFields& f = batch->fields;
  f.payload_codec = f.file_codec = Codec::gzip;
  f.stream = static_cast<StreamId>(category + 1);
  f.first_seq = stream.next;
  f.count = payload.lines;
  f.raw_len = payload.raw_bytes;
  f.payload_len = static_cast<uint32_t>(payload.bytes.size());
  f.payload_crc = payload.crc;
  f.bucket = bucket_of(wall_ms());
  f.first_read_ms = f.last_read_ms = wall_ms();
  SourceRange range;
  range.file = f.stream;
  range.start = stream.bytes;
  range.end = stream.bytes + payload.raw_bytes;
  range.lines = payload.lines;
  encode_batch_head(f, {range}, {}, batch->head);
  batch->payload = payload.bytes;
  if (spool_->append(std::move(batch), mono_ms()) != Spool::Taken::appended) return false;
  stream.next += payload.lines;
  stream.bytes += payload.raw_bytes;
  lines_made_ += payload.lines;
  lines_a_batch_ = payload.lines;
  bytes_made_ += payload.bytes.size();
  commit_groups();
  settle_all();
  return true;
}

void LoadLocal::flush() {
  std::vector<StreamId> all;
  for (size_t i = 0; i < streams_.size(); ++i) all.push_back(static_cast<StreamId>(i + 1));
  uplinks_->flush(all);
  settle_all();
}

void LoadLocal::tick() {
  uplinks_->tick(mono_ms());
  settle_all();
  bell_.ring();
}

void LoadLocal::mark() {
  sent_since_mark_ = false;
  for (Stream& stream : streams_) stream.at_mark = stream.next;
}

uint64_t LoadLocal::committed(StreamId stream) const {
  const auto& names = uplinks_->delivery().sink_names;
  if (names.empty()) return 0;
  uint64_t least = UINT64_MAX;
  for (const auto& [sink, name] : names) least = std::min(least, spool_->cursor(sink, stream).seq);
  return least;
}

uint64_t LoadLocal::streams_behind_mark() const {
  uint64_t behind = 0;
  for (size_t i = 0; i < streams_.size(); ++i)
    behind += committed(static_cast<StreamId>(i + 1)) < streams_[i].at_mark;
  return behind;
}

void LoadLocal::commit_groups() {
  while (spool_->group_due_ms(true, mono_ms()) == 0) {
    SpoolGroup group = spool_->begin_group(mono_ms());
    spool_->group_done(mono_ms());
    spool_->reuse(std::move(group));
  }
}

// --- as local/local_uplink.cc --------------------------------------------------------------------

asio::awaitable<void> LoadLocal::serve() {
  const auto self = shared_from_this();
  for (;;) {
    for (std::string& address : uplinks_->connect(mono_ms()))
      spawn(road_, "a way to a Center", serve_center(std::move(address), self));
    co_await bell_.wait(uplinks_->connect_due_ms(mono_ms()));
  }
}

asio::awaitable<Result<StreamSocket>> LoadLocal::connect(const std::string& address) {
  const size_t colon = address.rfind(':');
  const asio::ip::tcp::endpoint to(asio::ip::make_address(address.substr(0, colon)),
                                   static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  asio::ip::tcp::socket socket(road_);
  asio::error_code failed;
  auto token = asio::redirect_error(asio::use_awaitable, failed);
  co_await socket.async_connect(to, token);
  if (failed) co_return Error{Error::Kind::retry_later, failed.message()};
  socket.set_option(asio::ip::tcp::no_delay(true), failed);
  co_return StreamSocket(std::move(socket));
}

asio::awaitable<void> LoadLocal::serve_center(std::string address, std::shared_ptr<LoadLocal>) {
  std::string why;
  Result<StreamSocket> socket = co_await connect(address);
  if (!socket) {
    why = socket.error().text;
  } else {
    auto connection = std::make_shared<Connection>(road_, std::move(*socket), "center");
    standing_[address] = connection;
    connection->on_drained([this, address] { settle(address); });
    uplinks_->connected(address, mono_ms());
    settle(address);
    Frame frame;
    while (why.empty()) {
      const Result<void> read = co_await connection->read(frame);
      if (!read) {
        why = read.error().text;
        break;
      }
      uplinks_->frame(address, frame, mono_ms());
      if (!connection->more_waiting()) settle(address);
    }
    connection->close();
    standing_.erase(address);
  }
  uplinks_->disconnected(address, why, os_random(), mono_ms());
  settle(address);
  bell_.ring();
}

void LoadLocal::settle_all() {
  for (const std::string& address : uplinks_->addresses()) settle(address);
}

void LoadLocal::settle(const std::string& address) {
  if (!uplinks_->knows(address)) return;
  const auto found = standing_.find(address);
  const std::shared_ptr<Connection> center = found == standing_.end() ? nullptr : found->second;
  uplinks_->pump(address, center ? center->queued_bytes() : 0, mono_ms());
  uplinks_->take(address, actions_);
  if (center)
    for (const Outgoing& out : actions_.frames) {
      center->send(out);
      if (out.type != FrameType::data) continue;
      sent_since_mark_ = true;
      bytes_sent_ += out.batch->payload.size();
    }
  for (const std::string& alarm : actions_.alarms) std::fprintf(stderr, "%s\n", alarm.c_str());
  TAILRACE_CHECK(actions_.reads.empty(), "a batch of the load was let go");
  TAILRACE_CHECK(actions_.quarantines.empty(), "a batch of the load was refused");
  if (center && actions_.close) center->close();
  if (!actions_.redirects.empty()) bell_.ring();
  for (Outgoing& out : actions_.frames) out = {};
  commit_groups();  // cursors
}

}  // namespace tailrace::bench
