#include "agent/messages.h"

#include "base/units.h"
#include "control.pb.h"

namespace tailrace {

namespace {
WelcomePart::Final to_final(const proto::SinkStreamPosition& p) {
  return {p.sink(), p.stream(), p.seq(), p.given_up()};
}

WelcomePart to_part(const proto::LocalWelcome& w) {
  WelcomePart part;
  part.local_id = w.local_id();
  part.last = w.last();
  part.replaces.assign(w.replaces().begin(), w.replaces().end());
  for (const proto::StreamState& s : w.streams())
    part.streams.push_back({s.stream(),
                            s.category(),
                            static_cast<uint8_t>(s.sub()),
                            s.next_seq(),
                            {s.waits().begin(), s.waits().end()}});
  for (const proto::FileState& f : w.files())
    part.files.push_back({f.file(),
                          f.identity().SerializeAsString(),
                          f.path(),
                          f.generation(),
                          {f.next(), f.head_hash(), f.tail_hash()}});
  for (const proto::SinkStreamPosition& p : w.committed()) part.committed.push_back(to_final(p));
  return part;
}

Outgoing file_def(const FileRecord& f, const FilePosition& next) {
  proto::FileDef def;
  proto::FileState& file = *def.mutable_file();
  file.set_file(f.id);
  (void)file.mutable_identity()->ParseFromString(f.identity);
  file.set_path(f.path);
  file.set_generation(f.generation);
  file.set_next(next.offset);
  file.set_head_hash(next.head_hash);
  file.set_tail_hash(next.tail_hash);
  return outgoing(FrameType::file_def, std::move(def));
}

Result<void> take_reject(const Frame& frame, Session& session) {
  proto::Reject reject;
  if (auto r = parse_message(frame, reject); !r) return r;
  const std::string text = escape(reject.text());
  if (reject.code() == proto::Reject::CATEGORY && reject.stream() != 0) {
    session.refused(reject.stream(), text);
    return {};
  }
  return Error{Error::Kind::closed, "the Local refuses this agent: " + text};
}
}  // namespace

Outgoing hello_frame(const Checkpoint& state) {
  proto::Hello hello;
  hello.set_role(proto::ROLE_AGENT);
  hello.set_version(TAILRACE_VERSION);
  hello.set_frame_version_max(kFrameVersion);
  for (const uint64_t former : state.former) hello.add_given_up(former);
  for (const auto& [id, s] : state.streams)
    if (!s.ahead.empty() || !s.begins.empty()) hello.set_features(kSinksApart);
  return outgoing(FrameType::hello, std::move(hello));
}

std::optional<Outgoing> frame_of(const SessionAction& action, const Checkpoint& state) {
  switch (action.kind) {
    case SessionAction::Kind::append:
      return Outgoing{.type = FrameType::append,
                      .batch = action.batch,
                      .flags = action.push ? kFramePush : uint16_t{0}};
    case SessionAction::Kind::stream_def: {
      const StreamRecord& s = *state.stream(action.stream);
      proto::StreamDef def;
      def.set_stream(s.id);
      def.set_category(s.category);
      def.set_sub(s.sub);
      for (const std::string& sink : action.sinks) def.add_ahead(sink);
      return outgoing(FrameType::stream_def, std::move(def));
    }
    case SessionAction::Kind::file_def:
      if (const FileRecord* f = state.file(action.file)) return file_def(*f, action.next);
      return std::nullopt;
    case SessionAction::Kind::file_gap: {
      proto::FileGap gap;
      gap.set_file(action.file);
      gap.set_start(action.gap.start);
      gap.set_end(action.gap.end);
      gap.set_reason(action.gap.reason);
      return outgoing(FrameType::file_gap, std::move(gap));
    }
    case SessionAction::Kind::file_gone: {
      proto::FileGone gone;
      gone.set_file(action.file);
      return outgoing(FrameType::file_gone, std::move(gone));
    }
    case SessionAction::Kind::retire: {
      const StreamRecord& s = *state.stream(action.stream);
      proto::Retire retire;
      retire.set_local_id(s.spool);
      retire.set_category(s.category);
      retire.set_sub(s.sub);
      retire.set_each_sink(true);
      return outgoing(FrameType::retire, std::move(retire));
    }
    case SessionAction::Kind::origin: {
      proto::Origin origin;
      origin.set_stream(action.stream);
      origin.set_sink(action.sinks.at(0));
      origin.set_seq(action.seq);
      return outgoing(FrameType::origin, std::move(origin));
    }
    case SessionAction::Kind::flush: return outgoing(FrameType::flush, proto::Flush());
  }
  return std::nullopt;
}

Result<void> take_frame(const Frame& frame, Session& session, int64_t now_ms) {
  switch (frame.type) {
    case FrameType::welcome: {
      proto::LocalWelcome m;
      if (auto r = parse_message(frame, m); !r) return r;
      session.welcome(to_part(m));
      return {};
    }
    case FrameType::ack: {
      proto::Ack m;
      if (auto r = parse_message(frame, m); !r) return r;
      session.ack(m.stream(), m.next_seq());
      return {};
    }
    case FrameType::expect: {
      proto::Expect m;
      if (auto r = parse_message(frame, m); !r) return r;
      session.expect(m.stream(), m.next_seq(), now_ms);
      return {};
    }
    case FrameType::committed: {
      proto::Committed m;
      if (auto r = parse_message(frame, m); !r) return r;
      std::vector<WelcomePart::Final> positions;
      for (const proto::SinkStreamPosition& p : m.positions()) positions.push_back(to_final(p));
      session.committed(positions);
      return {};
    }
    case FrameType::credit: {
      proto::Credit m;
      if (auto r = parse_message(frame, m); !r) return r;
      session.credit(m.category(), m.paused(), now_ms);
      return {};
    }
    case FrameType::retired: {
      proto::Retired m;
      if (auto r = parse_message(frame, m); !r) return r;
      Session::Finals finals{m.position().seq(), {}};
      for (const proto::SinkPosition& p : m.finals()) finals.of[p.sink()] = p.seq();
      session.retired(m.local_id(), m.category(), static_cast<uint8_t>(m.sub()), finals);
      return {};
    }
    case FrameType::reject: return take_reject(frame, session);
    case FrameType::goodbye: return Error{Error::Kind::closed, "the Local leaves"};
    default: return {};  // PING and PONG: any frame counts as life
  }
}

}  // namespace tailrace
