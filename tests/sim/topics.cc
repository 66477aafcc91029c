#include "tests/sim/topics.h"

#include <algorithm>

#include "flow/codec.h"

namespace tailrace::sim {

namespace {
constexpr int64_t kTransactionMs = 15'000;
constexpr uint64_t kPartitions = 2;

KafkaReply fenced() {
  KafkaReply reply;
  reply.outcome = KafkaReply::Outcome::over;
  reply.why = "fenced";
  return reply;
}

std::string lines_of(const KafkaBatch& batch) {
  if (batch.fields.payload_codec == Codec::none) return *batch.payload;
  std::string lines;
  static_cast<void>(make_inflater(batch.fields.payload_codec)
                        ->inflate(*batch.payload, batch.fields.raw_len, lines)
                        .ok());
  return lines;
}
}  // namespace

KafkaReply Topics::carry_out(const Request& request, uint64_t* term) {
  time_out();
  Coordinated& id = ids_[request.from.id];
  KafkaReply reply;
  if (std::holds_alternative<KafkaOpen>(request.call.what)) {
    if (id.open) id.open->state = State::aborted;
    id.open.reset();
    id.committed = 0;
    *term = ++id.term;
  } else if (const auto* what = std::get_if<KafkaWrite>(&request.call.what)) {
    reply = write(id, request, *what);
  } else if (std::holds_alternative<KafkaCommit>(request.call.what)) {
    reply = commit(id, request);
  } else if (std::holds_alternative<KafkaReadPositions>(request.call.what)) {
    reply = positions(request.call.category);
  }
  look();
  return reply;
}

KafkaReply Topics::write(Coordinated& id, const Request& request, const KafkaWrite& what) {
  const Producer& from = request.from;
  if (from.term != id.term) return fenced();
  if (from.transaction <= id.committed) return {};  // late: it was carried out before
  if (!id.open) {
    if (from.write != 1) return fenced();  // it was aborted
    id.open =
        std::make_shared<Transaction>(Transaction{State::open, world_.now_ms, from.transaction, 0});
  }
  if (from.transaction != id.open->number || from.write <= id.open->writes) return {};
  if (from.write != id.open->writes + 1) return fenced();
  ++id.open->writes;
  for (const KafkaBatch& batch : what.batches) {
    const uint64_t partition = (batch.key.local_id + batch.key.sub) % kPartitions;
    logs_[{request.call.category, partition}].records.push_back(
        {batch.key, lines_of(batch), batch.fields.count, id.open});
  }
  for (const KafkaPosition& position : what.positions)
    positions_.push_back({request.call.category, position, id.open});
  return {};
}

KafkaReply Topics::commit(Coordinated& id, const Request& request) {
  if (request.from.term != id.term) return fenced();
  if (request.from.transaction <= id.committed) return {};
  if (!id.open || id.open->number != request.from.transaction) return fenced();
  id.open->state = State::committed;
  id.committed = id.open->number;
  id.open.reset();
  return {};
}

KafkaReply Topics::positions(const std::string& category) const {
  KafkaReply reply;
  reply.target = positions_.size();
  std::map<StreamKey, KafkaPosition> newest;
  for (const Said& said : positions_) {
    if (said.of->state == State::open) break;
    ++reply.end;
    if (said.of->state == State::committed && said.category == category)
      newest[said.position.key] = said.position;
  }
  for (const auto& [key, position] : newest) reply.positions.push_back(position);
  return reply;
}

// As the coordinator does: whoever was late is fenced.
void Topics::time_out() {
  for (auto& [name, id] : ids_) {
    if (!id.open || world_.now_ms - id.open->began_ms < kTransactionMs) continue;
    id.open->state = State::aborted;
    id.open.reset();
    ++id.term;
  }
}

void Topics::look() {
  time_out();
  for (auto& [name, log] : logs_) {
    const std::string where = "topic " + name.first + "/" + std::to_string(name.second);
    for (; log.read < log.records.size(); ++log.read) {
      const Lines& lines = log.records[log.read];
      if (lines.of->state == State::open) break;
      if (lines.of->state == State::committed) judge_.read(where, lines.lines);
    }
  }
}

testing::StoreFindings Topics::audit() const {
  testing::StoreFindings found;
  std::map<std::pair<std::string, StreamKey>, uint64_t> seen;
  for (const auto& [name, log] : logs_)
    for (const Lines& lines : log.records)
      if (lines.of->state == State::committed) seen[{name.first, lines.key}] += lines.count;
  std::map<std::pair<std::string, StreamKey>, KafkaPosition> newest;
  for (const Said& said : positions_)
    if (said.of->state == State::committed)
      newest[{said.category, said.position.key}] = said.position;
  for (const auto& [stream, position] : newest) {
    const uint64_t lines = position.at.seq - position.origin - position.lost;
    if (lines != seen[stream])
      found.wrong = "I10: the position of a stream of " + stream.first + " says " +
                    std::to_string(lines) + " lines, readers see " + std::to_string(seen[stream]);
    seen.erase(stream);
    if (position.lost > 0) found.gap_lines[{stream.first, stream.second.local_id}] += position.lost;
  }
  for (const auto& [stream, lines] : seen)
    if (lines > 0)
      found.wrong = "I10: readers see lines of " + stream.first + " without a position";
  return found;
}

}  // namespace tailrace::sim
