// One or more incarnations over a store in memory, driven step by step in a seeded random order,
// with Locals that send numbered lines: what a machine's tests need, and nothing of sockets or
// threads.
#pragma once

#include <boost/test/unit_test.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/units.h"
#include "center/incarnation.h"
#include "center/store_call.h"
#include "tests/sinks/memory_store.h"

namespace tailrace::testing {

// A Local's side of one stream: every batch is a pure function of its number.
struct SentStream {
  std::string category;
  StreamKey key;
  uint64_t written = 0;  // batches that exist
  size_t next = 0;       // batch to send
  Position committed;
  std::vector<BatchFields> batches;
  std::set<size_t> lost;  // batches that the spool cannot read any more
  Position origin;        // where the stream starts, for a store that came later
  uint64_t refused = 0;   // as retired

  std::string text(const BatchFields& f) const {
    std::string out;
    for (uint64_t seq = f.first_seq; seq < f.end_seq(); ++seq)
      out += hex16(key.local_id) + ":" + std::to_string(key.sub) + ":" + category + ":" +
             std::to_string(seq) + "\n";
    return out;
  }
  void write(uint32_t lines, Bucket bucket) {
    BatchFields f;
    f.first_seq = batches.empty() ? origin.seq : batches.back().end_seq();
    f.chain_before = batches.empty() ? origin.chain : batches.back().chain_after;
    f.count = lines;
    f.bucket = bucket;
    f.file_codec = Codec::none;
    f.payload_crc = crc32c(text(f));
    f.raw_len = f.payload_len = static_cast<uint32_t>(text(f).size());
    f.chain_after = next_chain(f.chain_before, f.payload_crc, f.count);
    f.first_read_ms = f.last_read_ms = bucket_start_ms(bucket);
    batches.push_back(f);
  }
  void go_to(const Position& position) {
    for (next = 0; next < batches.size() && batches[next].first_seq < position.seq; ++next)
      continue;
    if (next < batches.size()) BOOST_REQUIRE_EQUAL(batches[next].first_seq, position.seq);
    if (next > 0) BOOST_REQUIRE_EQUAL(batches.at(next - 1).chain_after, position.chain);
  }
};

class CenterRig {
 public:
  CenterRig(std::shared_ptr<MemoryStore> store, std::vector<SentStream>& streams,
            IncarnationOptions options, uint64_t state_uuid, uint64_t seed, int64_t now_ms)
      : store_(std::move(store)),
        records_(store_->records()),
        files_(store_->files()),
        streams_(streams),
        options_(std::move(options)),
        state_uuid_(state_uuid),
        rng_(seed),
        now_ms_(now_ms) {
    begin();
  }

  bool stopped = false;
  uint64_t fences = 0;
  uint64_t told_again = 0;  // COMMITTED of a position that was known
  std::vector<std::string> troubles;
  std::vector<std::string> lost;  // the ranges of each LostFile
  std::vector<std::string> gone;  // where each GoneFile was to be published
  std::set<std::string> silent;   // categories whose files the store never says to be published
  std::map<std::string, size_t> asked;  // of those, how many files it was asked to publish
  Incarnation& incarnation() { return *incarnation_; }
  int64_t now_ms() const { return now_ms_; }
  Moment now() const { return {now_ms_, now_ms_}; }

  void stop(bool everything) {
    stop_asked_ = true;
    stop_everything_ = everything;
  }
  // One thing happens: a call at the store, a batch, or time passes.
  void step() {
    now_ms_ += static_cast<int64_t>(rng_.below(40));
    if (!tasks_.empty() && rng_.chance(0.7)) {
      const size_t i = rng_.below(tasks_.size());
      auto task = tasks_[i];
      if (task()) std::erase_if(tasks_, [&](const Task& t) { return t.id == task.id; });
    } else if (rng_.chance(0.3)) {
      incarnation_->tick(now());
      if (stop_asked_) incarnation_->stop(stop_everything_);
    } else if (!streams_.empty()) {
      send(streams_[rng_.below(streams_.size())]);
    }
    act();
  }
  void run_for(int64_t ms) {
    for (const int64_t end = now_ms_ + ms; now_ms_ < end;) step();
  }
  void flush_all() {
    for (const SentStream& s : streams_) incarnation_->flush(s.key.local_id);
    act();
  }

 private:
  struct Task {
    uint64_t id = 0;
    std::shared_ptr<std::function<bool()>> step;  // true: done
    bool operator()() const { return (*step)(); }
  };
  void add(std::function<bool()> step) {
    tasks_.push_back(Task{++next_task_, std::make_shared<std::function<bool()>>(std::move(step))});
  }
  void begin() {
    tasks_.clear();
    staged_.clear();
    Acquirer me{.names = StoreNames("_tailrace", 7),
                .cluster = 5,
                .sink = 7,
                .incarnation = incarnation_name(IncarnationId{now_ms_, rng_.next() | 1}),
                .address = "",
                .state_uuid = state_uuid_,
                .takeover_after_ms = 3'000};
    auto layout = Layout::parse("{category}/dt={date}/hr={hour}");
    incarnation_ =
        std::make_unique<Incarnation>(options_, std::move(me), *layout, TimeZone(),
                                      Rng(rng_.next()), now(), fences > 0 ? now_ms_ + 1'000 : 0);
    for (SentStream& s : streams_) s.go_to(s.committed);
    act();
  }
  void send(SentStream& s) {
    if (s.next >= s.batches.size()) return;
    const BatchFields& f = s.batches[s.next];
    const bool lost = s.lost.contains(s.next);
    Incarnation::Verdict verdict;
    if (lost)
      verdict.kind = incarnation_->on_gap(s.category, s.key, {f.first_seq, f.count, "damaged"},
                                          f.chain_after, now());
    else
      verdict = incarnation_->judge(s.category, s.key, f, now());
    using Kind = Incarnation::Verdict::Kind;
    if (verdict.kind == Kind::retired) {
      ++s.refused;
      return;
    }
    if (verdict.kind == Kind::not_owned) {
      BOOST_REQUIRE(incarnation_->wish(s.category, s.key, now()));
      return;
    }
    if (verdict.kind == Kind::known || verdict.kind == Kind::rewind)
      return s.go_to(verdict.position);
    BOOST_REQUIRE(verdict.kind == Kind::take || verdict.kind == Kind::later);
    if (verdict.kind == Kind::later) return;
    if (lost) {
      ++s.next;
      return;
    }
    auto& staged = staged_[verdict.file->id];
    if (!staged) {
      auto made = files_->stage(verdict.file->staged);
      if (made) staged = std::move(*made);
    }
    const std::string text = s.text(f);
    if (!staged || !staged->append({text})) {
      if (verdict.file->extents.empty()) staged_.erase(verdict.file->id);
      return incarnation_->not_taken(s.category, verdict);
    }
    incarnation_->took(s.category, s.key, f, verdict, staged->size(), now());
    ++s.next;
  }
  static bool again(const std::optional<Error>& error) {
    return error && error->kind == Error::Kind::retry_later;
  }
  std::string tmp() {
    return incarnation_->me().names.tmp(incarnation_->me().incarnation, ++next_tmp_ ^ state_uuid_);
  }
  StoreReply perform(const StoreRequest& request) {
    return call_store(request, *records_, *files_, tmp());
  }
  void act() {
    for (;;) {
      std::vector<CenterAction> actions = incarnation_->take_actions();
      if (actions.empty()) return;
      for (CenterAction& action : actions) {
        if (auto* fenced = std::get_if<Fenced>(&action)) {
          ++fences;
          troubles.push_back(fenced->reason);
          RunProcedure clear_up{incarnation_->clear_up()};
          begin();
          on(clear_up);
          return;
        }
        std::visit([this](auto& a) { on(a); }, action);
      }
    }
  }
  void on(FinishFile& a) {
    std::shared_ptr<StagedFile> file = std::move(staged_.at(a.file));
    staged_.erase(a.file);
    add([this, file, id = a.file] {
      if (!file->finish()) return false;
      incarnation_->file_finished(id, file->size(), 1);
      return true;
    });
  }
  void on(DropFile& a) { staged_.erase(a.file); }
  void on(CommitEntry& a) {
    add([this, request = StoreRequest(CasRequest{a.name, a.record})] {
      const StoreReply reply = perform(request);
      if (again(reply.error)) return false;
      incarnation_->commit_done(reply.cas, now());
      return true;
    });
  }
  void on(PublishFile& a) {
    const std::string category = a.file.final_path.substr(0, a.file.final_path.find('/'));
    if (silent.contains(category)) {
      ++asked[category];
      return;
    }
    add([this, file = a.file] {
      const StoreReply reply = perform(PublishRequest{file.stage, file.final_path});
      Result<Published> outcome = reply.published;
      if (reply.error) outcome = *reply.error;
      incarnation_->publish_done(file.stage, outcome, now());
      return true;
    });
  }
  void on(RunProcedure& a) {
    auto request = std::make_shared<std::optional<StoreRequest>>();
    auto due = std::make_shared<int64_t>(0);
    add([this, request, due, procedure = a.procedure] {
      if (!*request) *request = procedure->next();
      if (!*request) {
        incarnation_->procedure_done(*procedure, now());
        return true;
      }
      if (const auto* pause = std::get_if<PauseRequest>(&**request)) {
        if (*due == 0) *due = now_ms_ + pause->ms;
        if (now_ms_ < *due) return false;
        *due = 0;
      }
      const StoreReply reply = perform(**request);
      if (again(reply.error) && is_repeated(**request)) return false;
      request->reset();
      procedure->on(reply);
      return false;
    });
  }
  void on(TellCommitted& a) {
    for (SentStream& s : streams_)
      if (s.category == a.category && s.key == a.stream) {
        told_again += a.position == s.committed;
        BOOST_REQUIRE_GE(a.position.seq, s.committed.seq);
        s.committed = a.position;
      }
  }
  void on(TellReleased&) {}  // there is no other Center
  void on(TellSplit&) {}
  void on(TellElsewhere&) { BOOST_FAIL("there is no other Center"); }
  void on(TellLane& a) {
    for (SentStream& s : streams_)
      if (s.category == a.lane.category) {
        incarnation_->begin_at(s.category, s.key, s.origin);
        const auto standing = incarnation_->standing(s.category, s.key);
        BOOST_REQUIRE(standing.has_value());
        BOOST_REQUIRE_GE(standing->committed.seq, s.committed.seq);  // else: a HOLE
        s.committed = standing->committed;
        s.go_to(standing->received);
      }
  }
  void on(Fenced&) {}
  void on(Stopped&) { stopped = true; }
  void on(Trouble& a) { troubles.push_back(a.text); }
  void on(LostFile& a) { lost.push_back(a.ranges); }
  void on(GoneFile& a) { gone.push_back(a.file.final_path); }

  std::shared_ptr<MemoryStore> store_;
  std::unique_ptr<Records> records_;
  std::unique_ptr<Files> files_;
  std::vector<SentStream>& streams_;
  IncarnationOptions options_;
  uint64_t state_uuid_;
  Rng rng_;
  int64_t now_ms_;
  std::unique_ptr<Incarnation> incarnation_;
  std::map<OpenFileId, std::unique_ptr<StagedFile>> staged_;
  std::vector<Task> tasks_;
  uint64_t next_task_ = 0;
  uint64_t next_tmp_ = 0;
  bool stop_asked_ = false;
  bool stop_everything_ = false;
};

// Every line of every stream once and in order over the published files, and nothing else.
inline void check_published(const MemoryStore& store, const std::vector<SentStream>& streams) {
  std::map<std::string, std::vector<uint64_t>> seen;
  for (const auto& [path, bytes] : store.content()) {
    if (!parse_final_path(path)) continue;
    for (size_t at = 0; at < bytes.size();) {
      const size_t end = bytes.find('\n', at);
      const std::string line = bytes.substr(at, end - at);
      const size_t colon = line.rfind(':');
      seen[line.substr(0, colon)].push_back(std::stoull(line.substr(colon + 1)));
      at = end + 1;
    }
  }
  size_t known = 0;
  for (const SentStream& s : streams) {
    if (s.batches.size() == s.lost.size()) continue;
    ++known;
    auto& numbers =
        seen[hex16(s.key.local_id) + ":" + std::to_string(s.key.sub) + ":" + s.category];
    std::sort(numbers.begin(), numbers.end());
    std::vector<uint64_t> expected;
    for (size_t i = 0; i < s.batches.size(); ++i)
      for (uint64_t n = s.batches[i].first_seq; n < s.batches[i].end_seq(); ++n)
        if (!s.lost.contains(i)) expected.push_back(n);
    BOOST_REQUIRE(numbers == expected);
  }
  BOOST_REQUIRE_EQUAL(seen.size(), known);
}

}  // namespace tailrace::testing
