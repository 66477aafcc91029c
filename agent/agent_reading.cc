// The agent's reading: whose turn it is, a batch of it, and what the session then wants done.
#include <algorithm>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include "agent/agent_state.h"
#include "agent/messages.h"
#include "base/log.h"
#include "base/units.h"

namespace tailrace {

namespace {
constexpr int64_t kComplainMs = 10'000;

FileTable::Clock now() { return {mono_ms(), wall_ms()}; }
}  // namespace

// --- the reading loop

asio::awaitable<void> Agent::State::read_files() {
  while (!leaving) {
    if (read_step()) {
      co_await asio::post(road, asio::use_awaitable);  // acks, names and the others have their turn
      continue;
    }
    co_await read_bell.wait();
  }
}

// One batch, or one look at many files that have nothing new. False: nothing to do until a bell.
bool Agent::State::read_step() {
  place_if_known();
  const auto category = next_due();
  if (!category) {
    session->push();
    carry_out(true);
    look_for_end();
    return false;
  }
  std::deque<TailedFile*>& queue = table->queue(*category);
  const FileTable::Clock clock = now();
  builder.gather(queue, clock.wall_ms);
  if (!builder.empty()) send_batch(*category, clock.wall_ms);
  for (TailedFile* file : builder.changed()) table->changed(*file, clock);
  for (const BatchBuilder::Failed& f : builder.failed()) table->failed(*f.file, f.error, clock);
  for (TailedFile* file : builder.drained()) table->drained(*file);
  if (queue.empty() || (due[*category] == Due::full &&
                        table->readable(*category, settings.batch_bytes) < settings.batch_bytes))
    due[*category] = Due::no;
  carry_out(false);
  return true;
}

std::optional<size_t> Agent::State::next_due() {
  if (!placed || !session->live() || session->window_full() || journal_stuck) return std::nullopt;
  for (size_t i = 0; i < due.size(); ++i) {
    const size_t c = (turn + i) % due.size();
    if (due[c] == Due::no || !session->may_read(table->category(c))) continue;
    table->sort_out(c);
    if (table->queue(c).empty()) {
      due[c] = Due::no;
      continue;
    }
    turn = c + 1;
    return c;
  }
  return std::nullopt;
}

void Agent::State::send_batch(size_t category, int64_t wall) {
  const std::string& name = table->category(category);
  for (TailedFile* file : builder.files())
    if (file->id() == 0)
      file->set_id(session->define_file(file->identity(), file->path(), file->generation(), name));
  const Session::Place place = session->place(name);
  // The clock may step back, a stream's buckets may not.
  const Bucket bucket = std::max(place.bucket, bucket_of(wall));
  BatchPtr batch =
      builder.finish(place.stream, place.first_seq, bucket, table->codec(category), wall_ms());
  session->append(std::move(batch), builder.ranges());
  bytes_read += builder.source_bytes();
  lines_read += builder.lines();
  split_lines += builder.split_lines();
  if (builder.split_file()) say_split(name);
}

void Agent::State::say_split(const std::string& category) {
  const std::string& path = builder.split_file()->path();
  const std::string text =
      splits.text(category,
                  "a line of '" + category + "' in " + escape(path) + " is longer than " +
                      show_size(settings.max_record_bytes) +
                      " (max_record): it is cut into several, nothing is dropped",
                  mono_ms());
  if (!text.empty()) log::warning(text, {{"path", path}, {"category", category}});
}

void Agent::State::place_if_known() {
  if (placed || !settled || table->scans() == 0) return;
  placed = true;
  table->place_all(now());
  if (draining) table->drain(now(), for_good);
  if (settings.once || draining) std::fill(due.begin(), due.end(), Due::whole);
  note_due();
}

// Files that can fill a batch are read at once, the others wait for the tick.
void Agent::State::note_due() {
  for (size_t c = 0; c < due.size(); ++c)
    if (due[c] == Due::no && table->readable(c, settings.batch_bytes) >= settings.batch_bytes)
      due[c] = Due::full;
  read_bell.ring();
}

// Writes the journal, then sends what it allows. `all` false: the last batch stays until it is
// known whether another follows.
void Agent::State::carry_out(bool all) {
  if (const auto written = journal_file.write(); !written) {
    journal_stuck = true;
    return complain("the agent's journal cannot be written, nothing is read until it can: " +
                    written.error().text);
  }
  if (journal_stuck) log::info("the agent's journal can be written again");
  journal_stuck = false;
  std::vector<SessionAction>& actions = session->actions();
  if (actions.empty() || !connection) return;
  size_t n = actions.size();
  if (!all)
    while (n > 0 && actions[--n].kind != SessionAction::Kind::append) {
    }
  for (size_t i = 0; i < n; ++i)
    if (const auto frame = frame_of(actions[i], session->state())) connection->send(*frame);
  actions.erase(actions.begin(), actions.begin() + static_cast<std::ptrdiff_t>(n));
}

void Agent::State::look_for_end() {
  if (!settings.once && !draining) return;
  if (!session->held().empty() && for_good) return;
  if (!session->held().empty()) return leave();
  if (!table->all_read() || !session->all_acked() || !session->live()) return;
  if (session->all_final()) return leave();
  if (flushed) return;
  flushed = true;
  session->flush();
  carry_out(true);
}

void Agent::State::complain(const std::string& text) {
  if (mono_ms() - complained_ms < kComplainMs) return;
  complained_ms = mono_ms();
  log::error(text);
}

}  // namespace tailrace
