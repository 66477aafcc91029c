// The uplink between a spool on paper and a Center's hands: what its tests share. Thread: one.
#pragma once

#include <boost/test/unit_test.hpp>
#include <deque>

#include "base/bytes.h"
#include "base/random.h"
#include "control.pb.h"
#include "flow/connection.h"
#include "local/uplink.h"
#include "tests/local/paper_spool.h"

namespace tailrace::test {

inline constexpr uint64_t kSink = 0xABCD;
inline const std::string kSinkName = hex16(kSink);

inline void name_sink(proto::Welcome& in, const std::string& uuid, bool required = true) {
  proto::SinkWelcome& sink = *in.add_sinks();
  sink.set_sink(uuid);
  sink.set_required(required);
}

// The uplink with a Center's hands: says frames, collects what is sent.
struct UplinkHop {
  explicit UplinkHop(PaperSpool& p, UplinkOptions options = {"c1", "h", "1", 4u << 20, 20ull << 30})
      : paper(p), all(p.spool), uplink(all, std::move(options)) {}

  void say(FrameType type, const google::protobuf::MessageLite& message) {
    Frame frame{type, 0, message.SerializeAsString(), {}};
    uplink.frame(frame, paper.now_ms);
    pump();
  }
  void say(FrameType type) {
    Frame frame{type, 0, {}, {}};
    uplink.frame(frame, paper.now_ms);
    pump();
  }
  // Pumps and carries cold reads out, until nothing moves.
  void pump(size_t queued = 0) {
    for (;;) {
      uplink.pump(queued, paper.now_ms);
      uplink.take(got);
      for (Outgoing& frame : got.frames) sent.push_back(std::move(frame));
      for (std::string& alarm : got.alarms) alarms.push_back(std::move(alarm));
      for (const SinkPlace& place : got.committed) committed.push_back(place);
      closed = closed || got.close;
      holes_changes += got.holes_changed;
      if (got.reads.empty() || !read_cold) return;
      const std::vector<ColdRead> reads = got.reads;
      for (const ColdRead& read : reads) {
        ++cold_reads;
        uplink.cold(read, paper.spool.decode_record(read.place, paper.read(read.place)));
      }
    }
  }
  void connect() {
    closed = false;
    sent.clear();
    uplink.connected(paper.now_ms);
    pump();
  }
  proto::Welcome welcome_message(std::vector<proto::SinkStreamPosition> positions = {}) {
    proto::Welcome w;
    w.set_center("center");
    w.set_cluster("c1");
    auto& sink = *w.add_sinks();
    sink.set_sink(kSinkName);
    sink.set_name("files");
    sink.set_required(true);
    for (auto& p : positions) *w.add_positions() = std::move(p);
    return w;
  }
  void welcome(std::vector<proto::SinkStreamPosition> positions = {}) {
    say(FrameType::welcome, welcome_message(std::move(positions)));
  }
  static proto::SinkStreamPosition at(StreamId stream, Position p) {
    proto::SinkStreamPosition out;
    out.set_sink(kSinkName);
    out.set_stream(stream);
    out.set_seq(p.seq);
    out.set_chain(p.chain);
    return out;
  }
  void commit(StreamId stream, Position p) {
    proto::Committed c;
    *c.add_positions() = at(stream, p);
    say(FrameType::committed, c);
  }
  void rewind(StreamId stream, Position p) {
    proto::Rewind r;
    *r.mutable_to() = at(stream, p);
    say(FrameType::rewind, r);
  }
  void credit(const std::string& category, uint64_t bytes) {
    proto::Credit c;
    c.set_sink(kSinkName);
    c.set_category(category);
    c.set_bytes(bytes);
    say(FrameType::credit, c);
  }
  void reject(proto::Reject::Code code, StreamId stream = 0) {
    proto::Reject r;
    r.set_code(code);
    r.set_text("no");
    r.set_stream(stream);
    say(FrameType::reject, r);
  }
  template <class Message>
  std::vector<Message> said(FrameType type) const {
    std::vector<Message> all;
    for (const Outgoing& out : sent)
      if (out.type == type) all.push_back(dynamic_cast<const Message&>(*out.message));
    return all;
  }
  size_t count(FrameType type) const {
    size_t n = 0;
    for (const Outgoing& out : sent) n += out.type == type;
    return n;
  }
  // (stream, first_seq) of the DATA frames since `sent` was cleared.
  std::vector<std::pair<StreamId, uint64_t>> data() const {
    std::vector<std::pair<StreamId, uint64_t>> all;
    for (const Outgoing& out : sent)
      if (out.type == FrameType::data)
        all.emplace_back(out.batch->fields.stream, out.batch->fields.first_seq);
    return all;
  }

  PaperSpool& paper;
  Delivery all;
  Uplink uplink;
  UplinkActions got;
  std::vector<Outgoing> sent;
  std::vector<std::string> alarms;
  std::vector<SinkPlace> committed;
  bool closed = false;
  bool read_cold = true;
  size_t holes_changes = 0;
  size_t cold_reads = 0;
};

using Data = std::vector<std::pair<StreamId, uint64_t>>;

// A spool with stream 1 ("web", file 7) and stream 2 ("db", file 8), and hands that fill it.
struct Filled : PaperSpool {
  explicit Filled(SpoolOptions options = {}) : PaperSpool(options) {
    define(1, "web");
    define(2, "db");
  }
  void define(StreamId stream, const std::string& category) {
    StreamInfo info;
    info.stream = stream;
    info.category = category;
    BOOST_REQUIRE(spool.define_stream(info, now_ms));
    FileInfo file;
    file.file = stream;
    file.path = "/" + category;
    BOOST_REQUIRE(spool.define_file(file, now_ms));
    commit_all();
  }
  // One batch of one line; returns the position behind it.
  Position add(StreamId stream, size_t bytes = 10) {
    const uint64_t seq = spool.tables().streams.at(stream).next.seq;
    const uint64_t offset = spool.tables().files.at(stream).next;
    put(make_batch(stream, seq, 1, stream, offset, std::string(bytes - 1, 'x') + "\n"));
    return spool.durable(stream);
  }
};

}  // namespace tailrace::test
