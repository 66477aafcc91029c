// A Local as small as the rules: takes the session's frames, keeps what is durable apart from what
// is not, may crash, fill up and commit; and remembers each line it took, to be judged. Thread:
// one; no I/O.
#pragma once

#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "agent/session.h"

namespace tailrace {

class ModelLocal {
 public:
  struct Ack {
    StreamId stream;
    uint64_t next;
  };
  struct Expect {
    StreamId stream;
    uint64_t next;
  };
  struct Committed {
    std::vector<WelcomePart::Final> positions;
  };
  struct Credit {
    std::string category;
    bool paused;
  };
  using Reply = std::variant<Ack, Expect, Committed, Credit>;

  struct Line {
    std::string identity;
    uint32_t generation;
    uint64_t at;  // where the range that held it starts, and which line of it
    uint32_t index;
    bool operator==(const Line&) const = default;
  };
  struct Stream {
    std::string category;
    std::vector<Line> lines;
    std::vector<uint64_t> ends;  // batches
  };
  using Way = std::pair<StreamId, std::string>;  // stream, sink
  struct Tables {
    std::map<StreamId, Stream> streams;
    std::map<FileId, WelcomePart::File> files;
    std::vector<Notice> gaps;
    std::set<Way> waits;  // for an ORIGIN
    std::map<Way, uint64_t> origins;
  };

  explicit ModelLocal(uint64_t id) : local_id(id) {}

  // A frame of the agent's; answers go to `replies`.
  void take(const SessionAction& action, const Checkpoint& agent, std::deque<Reply>& replies) {
    switch (action.kind) {
      case SessionAction::Kind::stream_def: {
        const StreamRecord& s = *agent.stream(action.stream);
        if (taken.streams.contains(s.id))
          BOOST_REQUIRE_EQUAL(taken.streams[s.id].category, s.category);
        taken.streams[s.id].category = s.category;
        for (const std::string& ahead : action.sinks) {
          BOOST_REQUIRE(taken.waits.contains({s.id, ahead}) || taken.streams[s.id].lines.empty());
          taken.waits.insert({s.id, ahead});
        }
        return;
      }
      case SessionAction::Kind::file_def: {
        const FileRecord* f = agent.file(action.file);
        if (!f) return;
        if (!taken.files.contains(f->id))
          taken.files[f->id] = {f->id, f->identity, f->path, f->generation, action.next};
        return;
      }
      case SessionAction::Kind::file_gap:
        BOOST_REQUIRE(taken.files.contains(action.file));
        taken.gaps.push_back(action.gap);
        return;
      case SessionAction::Kind::file_gone: taken.files.erase(action.file); return;
      case SessionAction::Kind::append: return append(*action.batch, replies);
      case SessionAction::Kind::flush: flushed = true; return;
      case SessionAction::Kind::origin: {
        const Way way{action.stream, action.sinks.at(0)};
        if (taken.waits.erase(way) == 0) return;
        BOOST_REQUIRE_EQUAL(action.seq, taken.streams[action.stream].lines.size());
        taken.origins[way] = action.seq;
        replies.push_back(Committed{{{way.second, way.first, action.seq}}});
        return;
      }
      case SessionAction::Kind::retire: retires.insert(action.stream); return;
    }
  }

  void make_durable(std::deque<Reply>& replies) {
    for (const auto& [id, s] : taken.streams)
      if (s.lines.size() != durable.streams[id].lines.size())
        replies.push_back(Ack{id, s.lines.size()});
    durable = taken;
  }
  void crash() { taken = durable; }

  // The sink commits some whole batches.
  void commit(StreamId stream, size_t batches, std::deque<Reply>& replies) {
    const Stream& s = durable.streams[stream];
    uint64_t& at = committed[stream];
    const uint64_t before = at;
    for (const uint64_t end : s.ends)
      if (end > at && batches-- > 0) at = end;
    if (at != before) replies.push_back(Committed{{{sink, stream, at}}});
  }

  [[nodiscard]] WelcomePart welcome() const {
    WelcomePart w;
    w.local_id = local_id;
    w.replaces = replaces;
    w.last = true;
    for (const auto& [id, s] : durable.streams)
      w.streams.push_back({id, s.category, 0, s.lines.size()});
    for (WelcomePart::Stream& s : w.streams)
      for (const auto& [stream, ahead] : durable.waits)
        if (stream == s.id) s.waits.push_back(ahead);
    for (const auto& [way, at] : durable.origins)
      w.committed.push_back({way.second, way.first, at});
    for (const auto& [id, f] : durable.files) w.files.push_back(f);
    for (const auto& [id, at] : committed) w.committed.push_back({sink, id, at});
    return w;
  }

  uint64_t local_id;
  std::string sink = "0123456789abcdef";
  Tables taken;
  Tables durable;
  std::map<StreamId, uint64_t> committed;
  std::map<std::string, bool> full;
  bool flushed = false;
  std::set<StreamId> retires;  // asked of
  std::vector<uint64_t> replaces;
  uint64_t refused = 0;

 private:
  void append(const Batch& batch, std::deque<Reply>& replies) {
    const auto head = BatchHead::parse(batch.head);
    BOOST_REQUIRE(head.ok());
    const BatchFields& f = head->fields();
    BOOST_REQUIRE(taken.streams.contains(f.stream));
    Stream& s = taken.streams[f.stream];
    bool fits = f.first_seq == s.lines.size();
    for (size_t i = 0; i < head->source_count(); ++i) {
      BOOST_REQUIRE(taken.files.contains(head->source(i).file));
      fits = fits && taken.files[head->source(i).file].next.offset == head->source(i).start;
    }
    if (fits && full[s.category]) {
      fits = false;
      replies.push_back(Credit{s.category, true});
    }
    if (!fits) {
      ++refused;
      replies.push_back(Expect{f.stream, s.lines.size()});
      return;
    }
    for (size_t i = 0; i < head->source_count(); ++i) {
      const SourceRange r = head->source(i);
      WelcomePart::File& file = taken.files[r.file];
      for (uint32_t n = 0; n < r.lines; ++n)
        s.lines.push_back({file.identity, file.generation, r.start, n});
      file.next = {r.end, r.head_hash, r.tail_hash};
    }
    s.ends.push_back(s.lines.size());
  }
};

}  // namespace tailrace
