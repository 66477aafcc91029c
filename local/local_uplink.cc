// A Local's way to its Center: the connection, and what the uplink wants done, carried out.
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/units.h"
#include "local/local_state.h"

namespace tailrace {

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
    for (const Outgoing& out : uplink_actions.frames) center->send(out);
  say(uplink_actions.alarms);
  if (center && uplink_actions.close) center->close();
  for (ColdRead& read : uplink_actions.reads) begin("a cold read", read_cold(std::move(read)));
  for (RefusedBatch& batch : uplink_actions.quarantines)
    begin("a quarantine", quarantine(std::move(batch)));
  if (uplink_actions.holes_changed) begin("the list of holes", keep_holes());
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
  log::error(
      "LOST " + show_count(place->end_seq - batch.first_seq) + " lines of '" + batch.category +
          "': QUARANTINE, " + batch.why + "; their bytes are in " + **kept +
          ", a gap takes their place",
      {{"category", batch.category}, {"lines", std::to_string(place->end_seq - batch.first_seq)}});
  spool->give_up(batch.stream, batch.first_seq, "quarantine: " + batch.why, mono_ms());
  settle_center();
}

// For `tailrace spool`, which looks when nobody runs. A hint only: a store that still has the hole
// says so again.
asio::awaitable<void> Local::State::keep_holes() {
  auto kept = std::make_shared<Result<void>>();
  auto work = [dir = settings.spool_dir, holes = uplink->holes(), kept] {
    *kept = keep_spool_holes(dir, holes);
  };
  co_await reader.run(std::move(work));
  if (!*kept) log::warning("the list of holes could not be kept: " + kept->error().text);
}

}  // namespace tailrace
