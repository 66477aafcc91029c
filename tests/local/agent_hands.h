// The session between a spool on paper and an agent's hands: what its tests share. Thread: one.
#pragma once

#include <boost/test/unit_test.hpp>

#include "control.pb.h"
#include "flow/connection.h"
#include "local/agent_session.h"
#include "tests/local/paper_spool.h"

namespace tailrace::test {

// The session with an agent's hands: sends frames, collects what is answered.
struct AgentHop {
  explicit AgentHop(PaperSpool& p) : paper(p), pool(8), session(p.spool, pool, "1", p.now_ms) {}

  void send(FrameType type, const google::protobuf::MessageLite& message, uint16_t flags = 0) {
    Frame frame{type, flags, message.SerializeAsString(), {}};
    session.frame(frame, paper.now_ms);
  }
  void send(FrameType type, uint16_t flags = 0) {
    Frame frame{type, flags, {}, {}};
    session.frame(frame, paper.now_ms);
  }
  void append(const std::shared_ptr<Batch>& batch, uint16_t flags = 0) {
    Frame frame{FrameType::append, flags, batch->head, batch->payload};
    session.frame(frame, paper.now_ms);
  }
  void hello() {
    proto::Hello h;
    h.set_role(proto::ROLE_AGENT);
    send(FrameType::hello, h);
  }
  void stream(StreamId id, const std::string& category) {
    proto::StreamDef def;
    def.set_stream(id);
    def.set_category(category);
    send(FrameType::stream_def, def);
  }
  void file(FileId id, const std::string& path, uint64_t inode = 0, uint64_t next = 0) {
    proto::FileDef def;
    def.mutable_file()->set_file(id);
    def.mutable_file()->set_path(path);
    def.mutable_file()->set_next(next);
    def.mutable_file()->mutable_identity()->set_inode(inode ? inode : id);
    send(FrameType::file_def, def);
  }
  // A group is written and becomes durable.
  void commit() {
    session.group_begun();
    paper.commit_all();
    session.spool_moved(paper.now_ms);
  }
  AgentActions& answers() {
    session.take(got);
    return got;
  }
  // The frames of that type since the last call of answers().
  template <class Message>
  std::vector<Message> said(FrameType type) const {
    std::vector<Message> all;
    for (const Outgoing& out : got.frames)
      if (out.type == type) all.push_back(dynamic_cast<const Message&>(*out.message));
    return all;
  }
  size_t count(FrameType type) const {
    size_t n = 0;
    for (const Outgoing& out : got.frames) n += out.type == type;
    return n;
  }
  void open() {
    hello();
    stream(1, "web");
    file(7, "/var/log/web.log");
    commit();
    answers();
  }
  void must_be_rejected(proto::Reject::Code code) {
    answers();
    BOOST_TEST(got.close);
    BOOST_REQUIRE_EQUAL(count(FrameType::reject), 1u);
    const auto reject = said<proto::Reject>(FrameType::reject).front();
    BOOST_TEST(reject.code() == code);
    BOOST_TEST(!reject.text().empty());
  }

  PaperSpool& paper;
  Pool<Batch> pool;
  AgentSession session;
  AgentActions got;
};

}  // namespace tailrace::test
