// What the incarnation wants done, carried out: files, records, answers to Locals.
#include "base/clock.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/units.h"
#include "center/center_state.h"

namespace tailrace {

void Center::State::pump() {
  if (pumping) return;
  pumping = true;
  for (;;) {
    std::vector<CenterAction> actions = incarnation->take_actions();
    if (actions.empty()) break;
    const uint64_t number = incarnation_number;
    for (CenterAction& action : actions) {
      std::visit([this](auto& a) { act(a); }, action);
      if (number != incarnation_number) break;  // fenced: the rest is the old one's
    }
    if (stopped) break;
  }
  send_committed();
  pumping = false;
}

std::function<bool()> Center::State::while_current() {
  return [this, number = incarnation_number] { return number == incarnation_number && !leaving; };
}

void Center::State::act(FinishFile& action) {
  auto writer = writers.extract(action.file);
  TAILRACE_CHECK(!writer.empty(), "a file to finish has no writer");
  spawn(road, "finishing a file", finish_file(action.file, std::move(writer.mapped())));
}

asio::awaitable<void> Center::State::finish_file(OpenFileId id, std::shared_ptr<LineFile> writer) {
  const auto current = while_current();
  for (;;) {
    auto outcome = std::make_shared<Result<void>>();
    std::function<void()> work = [writer, outcome] { *outcome = writer->finish(); };
    co_await upload_worker.run(std::move(work));
    if (!current()) co_return;
    if (*outcome) break;
    if (outcome->error().kind != Error::Kind::retry_later) {
      incarnation->fail("a file could not be made durable: " + outcome->error().text);
      pump();
      co_return;
    }
    finish_trouble = "finishing a file: " + outcome->error().text;
    asio::steady_timer timer(road, std::chrono::seconds(1));
    co_await timer.async_wait(asio::use_awaitable);
    if (!current()) co_return;
  }
  finish_trouble.clear();
  incarnation->file_finished(id, writer->size(), writer->xxh3());
  pump();
}

void Center::State::act(DropFile& action) { writers.erase(action.file); }

void Center::State::act(CommitEntry& action) {
  spawn(road, "a commit", commit_entry(std::move(action)));
}

asio::awaitable<void> Center::State::commit_entry(CommitEntry action) {
  const auto current = while_current();
  StoreRequest request = CasRequest{std::move(action.name), std::move(action.record)};
  StoreReply reply = co_await driver.perform(std::move(request), current);
  if (!current()) co_return;
  if (reply.error)
    incarnation->commit_done(*reply.error, wall_ms());
  else
    incarnation->commit_done(reply.cas, wall_ms());
  pump();
}

void Center::State::act(PublishFile& action) {
  spawn(road, "publishing a file", publish_file(std::move(action.file)));
}

asio::awaitable<void> Center::State::publish_file(FileRef file) {
  const auto current = while_current();
  StoreRequest request = PublishRequest{file.stage, file.final_path};
  StoreReply reply = co_await driver.perform(std::move(request), current);
  if (!current()) co_return;
  if (reply.error) {
    incarnation->publish_done(file.stage, *reply.error, wall_ms());
  } else {
    newest_published_ms = wall_ms();
    incarnation->publish_done(file.stage, reply.published, newest_published_ms);
  }
  pump();
}

void Center::State::act(RunProcedure& action) {
  spawn(road, "a store procedure", run_procedure(std::move(action.procedure)));
}

asio::awaitable<void> Center::State::run_procedure(std::shared_ptr<StoreProcedure> procedure) {
  const auto current = while_current();
  const bool ended = co_await driver.drive(procedure, current);
  if (!ended || !current()) co_return;
  incarnation->procedure_done(*procedure, wall_ms());
  pump();
}

void Center::State::act(TellCommitted& action) {
  for (const auto& link : links) {
    uint32_t number = 0;
    if (!link->greeted || link->local_id != action.stream.local_id) continue;
    if (!link->number_of(action.category, action.stream, &number)) continue;
    *committed[link.get()].add_positions() = position_message(number, action.position);
  }
}

void Center::State::send_committed() {
  for (auto& [link, message] : committed) link->connection.send(FrameType::committed, message);
  committed.clear();
}

void Center::State::act(TellLane& action) {
  for (const auto& link : links)
    for (const auto& [number, stream] : link->streams)
      if (link->greeted && stream.category == action.lane.category) {
        incarnation->begin_at(stream.category, stream.key, stream.origin);
        tell_standing(*link, number);
        give_credit(*link, stream.category, stream.key);
      }
}

void Center::State::act(Fenced& action) {
  committed.clear();
  end_incarnation(action.reason);
}

void Center::State::act(Stopped&) {
  stopped = true;
  bell.ring();
}

void Center::State::act(Trouble& action) { log::warning(action.text); }

void Center::State::act(LostFile& action) {
  const CommittedFile& file = action.file;
  log::error(
      "LOST " + show_count(file.lines) + " lines of '" + file.category + "': " + file.final_path +
          " was removed by somebody before it was published; its record names " + action.ranges,
      {{"path", file.final_path},
       {"category", file.category},
       {"lines", std::to_string(file.lines)}});
}

}  // namespace tailrace
