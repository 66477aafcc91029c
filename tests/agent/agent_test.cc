// The whole agent over a socket pair: a Local that keeps what it is sent, in memory.
#include "agent/agent.h"

#include <boost/test/unit_test.hpp>
#include <set>

#include "base/clock.h"
#include "base/spawn.h"
#include "control.pb.h"
#include "flow/codec.h"
#include "tests/agent/temp_dir.h"

namespace tailrace {

namespace {
// Acks and commits at once. What it took outlives its connections.
class TinyLocal {
 public:
  explicit TinyLocal(asio::io_context& road) : road_(road) {}

  Result<StreamSocket> connect() {
    if (refusing) return Error{Error::Kind::retry_later, "nobody is there"};
    auto pair = socket_pair(road_);
    if (!pair) return pair.error();
    spawn(road_, "tiny local", serve(std::move(pair->second)));
    return std::move(pair->first);
  }
  void cut() {
    if (connection) connection->close();
  }
  std::vector<std::string> lines(const std::string& category) {
    std::vector<std::string> out;
    for (const std::string& text : payloads[category]) {
      size_t at = 0;
      for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
        out.push_back(text.substr(at, end - at));
        at = end + 1;
      }
    }
    return out;
  }

  std::map<std::string, std::vector<std::string>> payloads;  // by category
  std::vector<std::string> gaps;
  uint64_t batches = 0;
  uint64_t pushed = 0;
  bool refusing = false;
  bool flushed = false;
  bool commit_at_flush_only = false;

 private:
  struct Stream {
    std::string category;
    uint64_t next = 0;
  };

  asio::awaitable<void> serve(StreamSocket socket) {
    auto c = std::make_shared<Connection>(road_, std::move(socket), "agent");
    connection = c;
    Frame frame;
    for (;;) {
      const Result<void> got = co_await c->read(frame);
      if (!got) break;
      take(*c, frame);
    }
    c->close();
    if (connection == c) connection.reset();
  }
  void take(Connection& c, Frame& frame) {
    switch (frame.type) {
      case FrameType::hello: return welcome(c);
      case FrameType::ping: return c.send(FrameType::pong);
      case FrameType::stream_def: {
        proto::StreamDef m;
        BOOST_REQUIRE(parse_message(frame, m).ok());
        streams_[m.stream()].category = m.category();
        return;
      }
      case FrameType::file_def: {
        proto::FileDef m;
        BOOST_REQUIRE(parse_message(frame, m).ok());
        files_[m.file().file()] = m.file();
        return;
      }
      case FrameType::file_gap: {
        proto::FileGap m;
        BOOST_REQUIRE(parse_message(frame, m).ok());
        gaps.push_back(m.reason());
        return;
      }
      case FrameType::file_gone: {
        proto::FileGone m;
        BOOST_REQUIRE(parse_message(frame, m).ok());
        files_.erase(m.file());
        return;
      }
      case FrameType::append: return append(c, frame);
      case FrameType::flush:
        flushed = true;
        for (const auto& [id, s] : streams_) commit(c, id);
        return;
      default: return;
    }
  }
  void welcome(Connection& c) {
    proto::LocalWelcome w;
    w.set_local_id(77);
    w.set_last(true);
    for (const auto& [id, s] : streams_) {
      proto::StreamState& state = *w.add_streams();
      state.set_stream(id);
      state.set_category(s.category);
      state.set_next_seq(s.next);
    }
    for (const auto& [id, f] : files_) *w.add_files() = f;
    c.send(FrameType::welcome, w);
  }
  void append(Connection& c, Frame& frame) {
    const auto head = BatchHead::parse(frame.header);
    BOOST_REQUIRE(head.ok());
    const BatchFields& f = head->fields();
    Stream& s = streams_.at(f.stream);
    BOOST_REQUIRE_EQUAL(s.next, f.first_seq);
    for (size_t i = 0; i < head->source_count(); ++i) {
      const SourceRange r = head->source(i);
      proto::FileState& file = files_.at(r.file);
      BOOST_REQUIRE_EQUAL(file.next(), r.start);
      file.set_next(r.end);
      file.set_head_hash(r.head_hash);
      file.set_tail_hash(r.tail_hash);
    }
    s.next = f.end_seq();
    ++batches;
    pushed += (frame.flags & kFramePush) != 0;
    std::string raw = frame.payload;
    if (f.payload_codec != Codec::none)
      BOOST_REQUIRE(make_inflater(f.payload_codec)->inflate(frame.payload, f.raw_len, raw).ok());
    payloads[s.category].push_back(std::move(raw));
    proto::Ack ack;
    ack.set_stream(f.stream);
    ack.set_next_seq(s.next);
    c.send(FrameType::ack, ack);
    if (!commit_at_flush_only) commit(c, f.stream);
  }
  void commit(Connection& c, StreamId id) {
    proto::Committed m;
    proto::SinkStreamPosition& p = *m.add_positions();
    p.set_sink("0123456789abcdef");
    p.set_stream(id);
    p.set_seq(streams_[id].next);
    c.send(FrameType::committed, m);
  }

  asio::io_context& road_;
  std::shared_ptr<Connection> connection;
  std::map<StreamId, Stream> streams_;
  std::map<FileId, proto::FileState> files_;
};

struct Stage {
  asio::io_context road;
  TempDir dir;
  TinyLocal local{road};

  AgentSettings settings() const {
    AgentSettings s;
    s.sources.push_back({"app", {dir / "app*.log"}, {}, Codec::gzip});
    s.sources.push_back({"web", {dir / "web/**/*.log"}, {}, Codec::zstd});
    s.state_dir = dir / "state";
    s.never_below = {dir / "state"};
    s.tick_ms = 50;
    s.scan_ms = 60'000;  // new files must be heard of
    return s;
  }
  std::unique_ptr<Agent> agent(AgentSettings s) {
    auto a = std::make_unique<Agent>(road, std::move(s), [this] { return local.connect(); });
    const auto opened = a->open();
    BOOST_REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().text));
    return a;
  }
  // Something is done, then it must come true.
  struct Step {
    std::string name;
    std::function<void()> act;
    std::function<bool()> true_after = [] { return true; };
  };
  // Runs the agent beside the steps; both must end within a minute.
  void play(Agent& a, std::vector<Step> steps = {}) {
    int ended = 0;
    spawn(road, "agent", run(a, ended));
    spawn(road, "steps", walk(steps, ended));
    road.restart();
    const int64_t start = mono_ms();
    while (ended < 2 && mono_ms() - start < 60'000)
      road.run_one_for(std::chrono::milliseconds(100));
    BOOST_REQUIRE_EQUAL(ended, 2);
    road.poll();
  }

 private:
  static asio::awaitable<void> run(Agent& a, int& ended) {
    co_await a.run();
    ++ended;
  }
  asio::awaitable<void> walk(const std::vector<Step>& steps, int& ended) {
    asio::steady_timer timer(road);
    for (const Step& step : steps) {
      step.act();
      for (int i = 0; i < 1000 && !step.true_after(); ++i) {
        timer.expires_after(std::chrono::milliseconds(20));
        co_await timer.async_wait(asio::use_awaitable);
      }
      BOOST_TEST(step.true_after(), step.name);
    }
    ++ended;
  }
};
}  // namespace

BOOST_AUTO_TEST_SUITE(whole_agent)

BOOST_AUTO_TEST_CASE(once) {
  Stage stage;
  stage.local.commit_at_flush_only = true;
  stage.dir.make("web/x/y");
  std::string big;
  for (int i = 0; i < 60'000; ++i)
    big += "a line of no great length, number " + std::to_string(i) + "\n";
  stage.dir.write("app1.log", big);
  stage.dir.write("app2.log", "two\nunterminated");
  stage.dir.write("web/x/y/z.log", "web\n\n\r\n");
  stage.dir.write("other", "no\n");
  AgentSettings s = stage.settings();
  s.once = true;
  auto agent = stage.agent(s);
  stage.play(*agent);
  const AgentStatus status = agent->status();
  BOOST_TEST(status.held == "");
  BOOST_TEST(status.lines_read == 60'005u);
  BOOST_TEST(status.lines_final == 60'005u);
  BOOST_TEST(status.bytes_read == big.size() + 16 + 7);
  BOOST_TEST(status.files == 3u);
  BOOST_TEST(status.bytes_unread == 0u);
  BOOST_TEST(status.idle);
  BOOST_TEST(stage.local.flushed);
  BOOST_TEST(stage.local.pushed >= 1u);
  BOOST_TEST(stage.local.pushed < stage.local.batches);
  BOOST_TEST(stage.local.lines("web").size() == 3u);
  std::vector<std::string> lines = stage.local.lines("app");
  BOOST_TEST(lines.size() == 60'002u);
  const auto two = std::find(lines.begin(), lines.end(), "two");
  BOOST_REQUIRE(two != lines.end());
  lines.erase(two, two + 2);
  for (size_t i = 0; i < lines.size(); ++i) BOOST_REQUIRE(lines[i].ends_with(std::to_string(i)));

  // Again: nothing is read twice; what was added is.
  agent = stage.agent(s);
  stage.play(*agent);
  BOOST_TEST(agent->status().lines_read == 0u);
  stage.dir.append("app2.log", "\nthree\n");
  agent = stage.agent(s);
  stage.play(*agent);
  BOOST_TEST(agent->status().lines_read == 1u);
  BOOST_TEST(stage.local.lines("app").back() == "three");
}

BOOST_AUTO_TEST_CASE(follows_files_as_they_come_and_go) {
  Stage stage;
  auto agent = stage.agent(stage.settings());
  TempDir& dir = stage.dir;
  TinyLocal& local = stage.local;
  const auto count = [&](const char* c) { return local.lines(c).size(); };
  const auto leave_half_a_line = [&] {
    dir.append("app.log", "6\nhalf");
    agent->drain();
  };
  stage.play(*agent,
             {{"idle", [] {}, [&] { return agent->status().idle; }},
              {"new", [&] { dir.write("app.log", "1\n"); }, [&] { return count("app") == 1; }},
              {"more", [&] { dir.append("app.log", "2\n"); }, [&] { return count("app") == 2; }},
              {"rotated",
               [&] {
                 dir.rename("app.log", "app.log.1");
                 dir.write("app.log", "3\n");
                 dir.append("app.log.1", "late\n");
               },
               [&] { return count("app") == 4; }},
              {"a folder that did not exist",
               [&] {
                 dir.make("web/new");
                 dir.write("web/new/a.log", "w1\n");
               },
               [&] { return count("web") == 1; }},
              {"and more in it", [&] { dir.append("web/new/a.log", "w2\n"); },
               [&] { return count("web") == 2; }},
              {"the Local is away",
               [&] {
                 local.refusing = true;
                 local.cut();
                 dir.append("app.log", "4\n");
               },
               [&] { return agent->status().bytes_unread == 2; }},
              {"and back",
               [&] {
                 BOOST_TEST(agent->status().oldest_unread_ms > 0);
                 local.refusing = false;
               },
               [&] { return count("app") == 5; }},
              {"truncated",
               [&] {
                 std::filesystem::resize_file(dir / "app.log", 0);
                 dir.append("app.log", "5\n");
               },
               [&] { return count("app") == 6 && local.gaps.size() == 1; }},
              {"left", leave_half_a_line}});
  BOOST_TEST(local.lines("app").size() == 7u);
  BOOST_TEST(local.lines("app").back() == "6");
  BOOST_TEST(local.flushed == false);  // all was final already
  BOOST_TEST(agent->status().gaps == 1u);
  BOOST_TEST(agent->status().held == "");
  // The half line was left, and is whole when the next agent comes.
  dir.append("app.log", " and half\n");
  agent = stage.agent(stage.settings());
  stage.play(*agent,
             {{"whole", [] {}, [&] { return local.lines("app").back() == "half and half"; }},
              {"left", [&] { agent->leave(); }}});
}

BOOST_AUTO_TEST_CASE(refuses_bad_settings_and_a_damaged_journal) {
  Stage stage;
  AgentSettings s = stage.settings();
  s.sources[0].globs = {"relative"};
  BOOST_TEST(!Agent(stage.road, s, nullptr).open().ok());
  stage.dir.make("state");
  stage.dir.write("state/agent.journal", "this is something else entirely");
  const auto damaged = Agent(stage.road, stage.settings(), nullptr).open();
  BOOST_REQUIRE(!damaged.ok());
  BOOST_TEST(damaged.error().text.find("Move it away") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
