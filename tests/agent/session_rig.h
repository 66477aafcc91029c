// The agent around a session: a journal "on disk", files that only have a length, and the wires.
// Thread: one; no I/O.
#pragma once

#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "agent/session.h"
#include "tests/agent/model_local.h"

namespace tailrace {

inline constexpr uint64_t kLineBytes = 10;

struct Rig {
  explicit Rig(size_t window = 2000, SpoolLoss what = SpoolLoss::hold)
      : window_bytes(window), loss(what) {
    start();
  }

  void start() {
    journal = Journal();
    if (!disk.empty()) BOOST_REQUIRE(journal.replay(disk).ok());
    session = std::make_unique<Session>(journal, window_bytes, loss);
    read.clear();
    placed = false;
  }
  void write_journal() {
    if (disk.empty()) Journal().encode_all(disk);
    disk += journal.unwritten();
    journal.unwritten().clear();
  }
  // As the shell: the journal first, then the frames.
  void carry_out() {
    write_journal();
    for (SessionAction& a : session->actions()) to_local.push_back(std::move(a));
    session->actions().clear();
  }
  void connect(ModelLocal& local) {
    disconnect();
    std::deque<ModelLocal::Reply> dropped;
    local.make_durable(dropped);
    session->connected();
    session->welcome(local.welcome());
    if (session->placed() && !placed) {
      placed = true;
      for (auto& [identity, lines] : written)
        if (const FileRecord* f = session->state().file_of(identity))
          read[identity] = f->acked.offset;
    }
    carry_out();
  }
  void disconnect() {
    session->disconnected();
    to_local.clear();
    to_agent.clear();
  }
  void crash() {
    write_journal();
    disconnect();
    start();
  }

  // Reads up to `most` lines of each of the files.
  bool read_batch(const std::string& category, const std::vector<std::string>& files,
                  uint32_t most) {
    std::vector<SourceRange> ranges;
    auto batch = std::make_shared<Batch>();
    for (const std::string& identity : files) {
      const uint64_t at = read[identity];
      const FileRecord* f = session->state().file_of(identity);
      const uint64_t to =
          std::min(written[identity] * kLineBytes, session->read_to(category, f ? f->id : 0));
      if (to <= at) continue;
      const auto lines = static_cast<uint32_t>(std::min<uint64_t>(most, (to - at) / kLineBytes));
      const FileId id = f ? f->id : session->define_file(identity, "/" + identity, 0, category);
      const uint64_t end = at + lines * kLineBytes;
      ranges.push_back(
          {id, at, end, lines, static_cast<uint32_t>(end * 3), static_cast<uint32_t>(end)});
      read[identity] = end;
      batch->fields.count += lines;
    }
    if (ranges.empty()) return false;
    const Session::Place place = session->place(category);
    BatchFields& b = batch->fields;
    b.stream = place.stream;
    b.first_seq = place.first_seq;
    b.bucket = std::max<Bucket>(place.bucket, 100);
    b.raw_len = b.payload_len = b.count * static_cast<uint32_t>(kLineBytes);
    batch->payload.assign(b.raw_len, '\n');
    encode_batch_head(b, ranges, {}, batch->head);
    session->append(batch, ranges);
    session->push();
    carry_out();
    return true;
  }

  void settle_acks(ModelLocal& local) {
    while (!to_local.empty()) deliver_to_local(local);
    local.make_durable(to_agent);
    while (!to_agent.empty()) deliver_to_agent();
  }
  void deliver_to_local(ModelLocal& local) {
    if (to_local.empty()) return;
    local.take(to_local.front(), session->state(), to_agent);
    to_local.pop_front();
  }
  void deliver_to_agent() {
    if (to_agent.empty()) return;
    const ModelLocal::Reply reply = std::move(to_agent.front());
    to_agent.pop_front();
    if (const auto* ack = std::get_if<ModelLocal::Ack>(&reply))
      session->ack(ack->stream, ack->next);
    else if (const auto* expect = std::get_if<ModelLocal::Expect>(&reply))
      session->expect(expect->stream, expect->next, now_ms);
    else if (const auto* committed = std::get_if<ModelLocal::Committed>(&reply))
      session->committed(committed->positions);
    else if (const auto* credit = std::get_if<ModelLocal::Credit>(&reply))
      session->credit(credit->category, credit->paused, now_ms);
    carry_out();
  }
  // Until nothing moves: all delivered, durable and committed.
  void settle(ModelLocal& local) {
    for (int quiet = 0; quiet < 3; ++quiet) {
      now_ms += 1500;
      session->tick(now_ms);
      carry_out();
      while (!to_local.empty()) deliver_to_local(local);
      local.make_durable(to_agent);
      for (const auto& [id, s] : local.durable.streams) local.commit(id, 1000, to_agent);
      if (!to_agent.empty()) quiet = 0;
      while (!to_agent.empty()) deliver_to_agent();
      if (quiet == 0 && session->all_final()) quiet = 1;
    }
  }

  size_t window_bytes;
  SpoolLoss loss;
  std::string disk;
  Journal journal;
  std::unique_ptr<Session> session;
  std::map<std::string, uint64_t> written;  // lines, by identity
  std::map<std::string, uint64_t> read;     // bytes
  bool placed = false;
  std::deque<SessionAction> to_local;
  std::deque<ModelLocal::Reply> to_agent;
  int64_t now_ms = 0;
};

// Each file's lines stand there once, in order, and none is missing.
inline void judge(const Rig& rig, const ModelLocal& local) {
  std::map<std::string, uint64_t> next;
  std::map<std::string, uint32_t> index;
  for (const auto& [id, s] : local.durable.streams)
    for (const ModelLocal::Line& l : s.lines) {
      BOOST_REQUIRE_EQUAL(next[l.identity], l.at + l.index * kLineBytes);
      next[l.identity] += kLineBytes;
    }
  for (const auto& [identity, lines] : rig.written)
    BOOST_REQUIRE_EQUAL(next[identity], lines * kLineBytes);
}

inline std::string file_name(uint64_t i) { return "f" + std::to_string(i); }
}  // namespace tailrace
