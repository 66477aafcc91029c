// A Local's ways to Centers: the connections, and what the uplinks want done, carried out.
#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/units.h"
#include "local/center_list.h"
#include "local/local_state.h"

namespace tailrace {

asio::awaitable<void> Local::State::serve_centers() {
  while (!leaving) {
    if (served)
      for (std::string& address : uplinks->connect(mono_ms()))
        begin("a way to a Center", serve_center(std::move(address)));
    const int64_t due_ms = served ? uplinks->connect_due_ms(mono_ms()) : -1;
    co_await center_bell.wait(due_ms);
  }
}

asio::awaitable<void> Local::State::serve_center(std::string address) {
  std::string why;
  Result<StreamSocket> socket = co_await connect_center(address);
  if (leaving) co_return;
  if (!socket) {
    why = socket.error().text;
  } else {
    auto connection = std::make_shared<Connection>(road, std::move(*socket), "center");
    centers[address] = connection;
    connection->on_drained([weak = weak_from_this(), address] {
      if (const auto self = weak.lock()) self->settle_center(address);
    });
    uplinks->connected(address, mono_ms());
    settle_center(address);
    Frame frame;
    while (why.empty()) {
      const Result<void> read = co_await connection->read(frame);
      if (read) {
        uplinks->frame(address, frame, mono_ms());
        // What a Center says at once is heard at once: a REWIND behind a CREDIT spares a resend.
        if (!connection->more_waiting()) settle_center(address);
      } else {
        why = read.error().text;
        if (connection->other_version()) uplinks->other_version(address);
      }
    }
    connection->close();
    centers.erase(address);
    if (leaving) co_return;
  }
  uplinks->disconnected(address, why, os_random(), mono_ms());
  settle_center(address);
  center_bell.ring();
}

// On each tick: whom one may ask, and that it is not forgotten.
void Local::State::look_for_centers() {
  const size_t known = uplinks->known().size();
  if (look_up && search.due(!uplinks->centers().empty(), known, mono_ms()))
    begin("the search for Centers", find_centers());
  if (settings.list_path.empty() || keeps || known == 0) return;
  std::vector<std::string> now = uplinks->known();
  std::sort(now.begin(), now.end());
  if (now == kept) return;
  kept = std::move(now);
  keeps = true;
  begin("the list of Centers", keep_list());
}

asio::awaitable<void> Local::State::find_centers() {
  const auto found = co_await look_up();
  search.ended(mono_ms());
  if (leaving) co_return;
  if (!found) {
    log::warning("no Center answers, and where others are is not known: " + found.error().text);
  } else if (found->empty()) {
    log::warning("no Center answers, and none is listed; lines wait in the spool");
  } else {
    log::info("no Center answered; the list names " + show_count(found->size()) + ", " +
              found->front() + " is one of them");
    uplinks->learn(*found, mono_ms());
    center_bell.ring();
  }
}

asio::awaitable<void> Local::State::keep_list() {
  auto outcome = std::make_shared<Result<void>>();
  auto work = [path = settings.list_path, list = kept, outcome] {
    *outcome = keep_center_list(path, list);
  };
  co_await reader.run(std::move(work));
  keeps = false;
  if (!*outcome) log::warning("the list of Centers could not be kept: " + outcome->error().text);
}

void Local::State::settle_centers() {
  for (const std::string& address : uplinks->addresses()) settle_center(address);
}

void Local::State::settle_center(const std::string& address) {
  if (!uplinks->knows(address)) return;  // given up meanwhile
  const auto found = centers.find(address);
  const std::shared_ptr<Connection> center = found == centers.end() ? nullptr : found->second;
  uplinks->pump(address, center ? center->queued_bytes() : 0, mono_ms());
  uplinks->take(address, uplink_actions);
  if (center)
    for (const Outgoing& out : uplink_actions.frames) center->send(out);
  say(uplink_actions.alarms);
  if (center && uplink_actions.close) center->close();
  for (ColdRead& read : uplink_actions.reads)
    begin("a cold read", read_cold(address, std::move(read)));
  for (RefusedBatch& batch : uplink_actions.quarantines)
    begin("a quarantine", quarantine(std::move(batch)));
  if (uplink_actions.holes_changed) begin("the list of holes", keep_holes());
  if (!uplink_actions.redirects.empty()) center_bell.ring();
  for (Outgoing& out : uplink_actions.frames) out = {};  // batches go back to their pool
  wake_committer();                                      // for cursors
  if (!session || (uplink_actions.committed.empty() && uplink_actions.retired.empty())) return;
  session->committed(uplink_actions.committed);
  session->retired(uplink_actions.retired);
  settle_agent();
}

asio::awaitable<void> Local::State::read_cold(std::string address, ColdRead read) {
  auto bytes = std::make_shared<Result<std::string>>(std::string());
  auto work = [disk = disk, place = read.place, bytes] { *bytes = disk->read_record(place); };
  co_await reader.run(std::move(work));
  if (*bytes)
    uplinks->cold(address, read, spool->decode_record(read.place, **bytes));
  else
    uplinks->cold(address, read, bytes->error());
  settle_center(address);
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
  settle_centers();
}

// For `tailrace spool`, which looks when nobody runs. A hint only: a store that still has the hole
// says so again.
asio::awaitable<void> Local::State::keep_holes() {
  auto kept = std::make_shared<Result<void>>();
  auto work = [dir = settings.spool_dir, holes = uplinks->delivery().holes(), kept] {
    *kept = keep_spool_holes(dir, holes);
  };
  co_await reader.run(std::move(work));
  if (!*kept) log::warning("the list of holes could not be kept: " + kept->error().text);
}

}  // namespace tailrace
