#include "agent/journal.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "agent/journal_file.h"
#include "agent/journal_records.h"
#include "base/random.h"
#include "base/spawn.h"
#include "tests/agent/temp_dir.h"

namespace tailrace {

namespace {
std::string image(const Journal& journal) {
  std::string out;
  journal.encode_all(out);
  return out;
}

FileRecord file_record(FileId id, std::string identity, std::string path) {
  FileRecord f;
  f.id = id;
  f.identity = std::move(identity);
  f.path = std::move(path);
  f.stream = 1;
  return f;
}

// One record of each kind, with the values that docs/formats/journal.md shows.
std::string sample() {
  Journal j;
  std::string file = image(j);
  j.set_spool(0x1122334455667788);
  j.add_stream("nginx.access", 0);
  FileRecord f = file_record(1, "identity-1", "/var/log/nginx/access.log");
  f.generation = 2;
  f.acked = {100, 0xA1, 0xA2};
  f.final_ = {50, 0xB1, 0xB2};
  j.put_file(f);
  j.put_file(file_record(2, "identity-2", "/var/log/\xff name"));
  j.add_batch(1, 3, 1234, {{1, 100, 130, 2, 0xC1, 0xC2}, {2, 0, 10, 1, 0xD1, 0xD2}});
  j.acked(1, 3);
  j.final_at(1, 3);
  j.add_batch(1, 5, 1234, {{1, 130, 200, 5, 0xE1, 0xE2}});
  j.strike(1, 3);
  j.add_notice({.file = 1, .start = 130, .reason = "copytruncate"});
  const uint64_t gone = j.add_notice({.file = 2, .gone = true, .start = 10, .reason = {}});
  j.erase_notice(gone);
  j.erase_file(2);
  file += j.unwritten();
  j.unwritten().clear();
  j.mark_durable(file.size());
  return file + j.unwritten();
}

// A stream that was lost with its spool, and one that goes on; one that some sinks are ahead of, of
// which one has begun: what only a fold writes.
std::string folded_sample() {
  Journal j;
  j.set_spool(0x1122334455667788);
  j.add_stream("nginx.access", 0);
  j.add_stream("app", 0);
  j.put_file(file_record(1, "identity-1", "/var/log/nginx/access.log"));
  j.add_batch(1, 3, 1234, {{1, 0, 30, 3, 0xC1, 0xC2}});
  j.add_stream("db", 0);
  j.put_file(file_record(3, "identity-3", "/var/log/db.log"));
  for (const uint64_t at : {0, 10, 20}) j.add_batch(3, 1, 1234, {{3, at, at + 10, 1, 1, 1}});
  j.set_spool(0x99);
  j.restart(3, 0, {{"51", 1}, {"52", 3}});
  j.begin_sink(3, "51", 1);
  std::string file = image(j);
  j.unwritten().clear();
  j.restart(1, 0, {{"51", 3}});
  return file + j.unwritten();
}

// Changes a journal in a random way that is allowed.
class Wild {
 public:
  explicit Wild(uint64_t seed) : rng_(seed) {
    journal.set_spool(7);
    for (const char* c : {"a", "b"}) journal.add_stream(c, 0);
  }
  void step() {
    const auto stream = static_cast<StreamId>(1 + rng_.below(2));
    const StreamRecord& s = *journal.state().stream(stream);
    if (rng_.chance(0.02)) journal.set_spool(8 + rng_.below(1'000));
    if (journal.state().lost(s)) {
      if (rng_.chance(0.1))
        restart(stream, s.open.empty() || rng_.chance(0.5) ? s.final_seq : s.open[0].end_seq());
      return;
    }
    switch (rng_.below(8)) {
      case 0: {
        FileRecord f =
            file_record(journal.state().next_file, "i" + std::to_string(rng_.below(20)), "/p");
        f.generation = static_cast<uint32_t>(rng_.below(3));
        return journal.put_file(f);
      }
      case 1:
        if (!journal.state().files.empty() && rng_.chance(0.3))
          journal.erase_file(journal.state().files.begin()->first);
        return;
      case 2:
      case 3: {
        std::vector<SourceRange> ranges;
        uint32_t lines = 0;
        for (const auto& [id, f] : journal.state().files) {
          const uint32_t n = 1 + static_cast<uint32_t>(rng_.below(3));
          ranges.push_back({id, at_[id], at_[id] + 10 * n, n, id, n});
          at_[id] += 10 * n;
          lines += n;
        }
        if (lines > 0)
          journal.add_batch(stream, lines, static_cast<Bucket>(10 + rng_.below(5)), ranges);
        return;
      }
      case 4:
        if (s.acked_open < s.open.size()) journal.acked(stream, s.open[s.acked_open].end_seq());
        return;
      case 5:
        if (s.acked_open > 0) journal.final_at(stream, s.open[0].end_seq());
        return;
      case 6:
        if (rng_.chance(0.2)) journal.strike(stream, s.acked_seq);
        if (!s.ahead.empty() && rng_.chance(0.3))
          journal.begin_sink(stream, std::string(s.ahead[0].sink), s.acked_seq);
        return;
      case 7:
        if (rng_.chance(0.5) || journal.state().notices.empty())
          journal.add_notice({.file = 1, .start = rng_.below(100), .reason = "r"});
        else
          journal.erase_notice(journal.state().notices.begin()->first);
        return;
    }
  }
  Journal journal;

 private:
  void restart(StreamId stream, uint64_t seq) {
    const StreamRecord& s = *journal.state().stream(stream);
    Checkpoint::Further further;
    for (const StreamRecord::OpenBatch& b : s.open)
      if (b.end_seq() > seq && rng_.chance(0.3))
        further["s" + std::to_string(rng_.below(3))] = b.end_seq();
    for (const StreamRecord::Ahead& ahead : s.ahead) further.erase(ahead.sink);
    if (journal.state().cannot_restart(s, seq, further).empty())
      journal.restart(stream, seq, further);
  }
  Rng rng_;
  std::map<FileId, uint64_t> at_;
};

std::string replayed(std::string_view bytes) {
  Journal j;
  const auto r = j.replay(bytes);
  return r ? image(j) : "refused: " + r.error().text;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(journal)

BOOST_AUTO_TEST_CASE(golden) {
  const std::string path = std::string(TAILRACE_GOLDEN_DIR) + "/journal_v3.bin";
  if (std::getenv("TAILRACE_WRITE_GOLDEN")) BOOST_REQUIRE(replace_file(path, sample()).ok());
  const auto bytes = read_file(path, 1 << 16);
  BOOST_REQUIRE_MESSAGE(bytes.ok(), path);
  BOOST_TEST((*bytes == sample()), "the journal's layout is not what the golden file shows");
  Journal j;
  const auto r = j.replay(*bytes);
  BOOST_REQUIRE(r.ok());
  BOOST_TEST(r->good == bytes->size());
  BOOST_TEST(j.state().local_id == 0x1122334455667788u);
  const FileRecord* f = j.state().file_of("identity-1");
  BOOST_REQUIRE(f);
  BOOST_CHECK((f->acked == FilePosition{130, 0xC1, 0xC2}));
  BOOST_CHECK((f->final_ == FilePosition{130, 0xC1, 0xC2}));
  BOOST_TEST(f->generation == 2u);
  BOOST_TEST(!j.state().file(2));
  BOOST_TEST(j.state().stream(1)->next_seq == 3u);
  BOOST_TEST(j.state().stream(1)->bucket == 1234u);
  BOOST_TEST(j.state().all_final());
  BOOST_TEST(j.state().notices.size() == 1u);
  BOOST_TEST(j.state().next_file == 3u);
}

BOOST_AUTO_TEST_CASE(golden_folded) {
  const std::string path = std::string(TAILRACE_GOLDEN_DIR) + "/journal_folded_v3.bin";
  if (std::getenv("TAILRACE_WRITE_GOLDEN")) BOOST_REQUIRE(replace_file(path, folded_sample()).ok());
  const auto bytes = read_file(path, 1 << 16);
  BOOST_REQUIRE_MESSAGE(bytes.ok(), path);
  BOOST_TEST((*bytes == folded_sample()), "the layout is not what the golden file shows");
  Journal j;
  BOOST_REQUIRE(j.replay(*bytes).ok());
  BOOST_TEST((j.state().former == std::set<uint64_t>{0x1122334455667788}));
  const StreamRecord& s = *j.state().stream(1);
  BOOST_TEST(!j.state().lost(s));
  BOOST_TEST(s.next_seq == 0u);
  BOOST_TEST(j.state().file(1)->acked.offset == 0u);
  BOOST_TEST(j.state().file(1)->rewound);
  using Files = std::map<FileId, uint64_t>;
  BOOST_REQUIRE(s.ahead.size() == 1u);
  BOOST_TEST(s.ahead[0].sink == "51");
  BOOST_TEST((s.ahead[0].up_to == Files{{1, 30}}));
  const StreamRecord& db = *j.state().stream(3);
  BOOST_REQUIRE(db.ahead.size() == 1u);
  BOOST_TEST((db.ahead[0].up_to == Files{{3, 30}}));
  BOOST_TEST((db.begins == Checkpoint::Further{{"51", 1}}));
}

BOOST_AUTO_TEST_CASE(a_journal_of_version_2) {
  Journal j;
  const auto bytes =
      read_file(std::string(TAILRACE_GOLDEN_DIR) + "/journal_folded_v2.bin", 1 << 16);
  BOOST_REQUIRE(bytes.ok());
  BOOST_REQUIRE(j.replay(*bytes).ok());
  BOOST_TEST(j.state().file(1)->rewound);
  BOOST_TEST(j.state().stream(1)->ahead.empty());
}

void must_be_renewed(const char* golden) {
  const auto bytes = read_file(std::string(TAILRACE_GOLDEN_DIR) + golden, 1 << 16);
  BOOST_REQUIRE(bytes.ok());
  const TempDir dir;
  const std::string path = dir / "agent.journal";
  BOOST_REQUIRE(replace_file(path, *bytes).ok());
  Journal journal;
  JournalFile file(path, journal);
  BOOST_REQUIRE(file.open().ok());
  BOOST_TEST(journal.state().stream(1)->next_seq == 3u);
  BOOST_TEST(journal.state().stream(1)->spool == journal.state().local_id);
  const auto renewed = read_file(path, 1 << 16);
  BOOST_REQUIRE(renewed.ok());
  BOOST_TEST(static_cast<int>((*renewed)[4]) == 3);
  BOOST_TEST((*renewed == image(journal)));
}

BOOST_AUTO_TEST_CASE(an_older_journal_is_renewed_before_it_gets_new_records) {
  must_be_renewed("/journal_v1.bin");
  must_be_renewed("/journal_v2.bin");
}

// More files than one record may name.
BOOST_AUTO_TEST_CASE(a_sink_that_is_ahead_in_very_many_files) {
  Journal j;
  j.set_spool(7);
  j.add_stream("a", 0);
  std::map<FileId, uint64_t> all;
  for (FileId id = 1; id <= 120'000; id += 1'000) {
    std::vector<SourceRange> ranges;
    for (FileId f = id; f < id + 1'000; ++f) {
      ranges.push_back({f, 0, f, 1, 1, 1});
      all[f] = f;
    }
    j.add_batch(1, 1'000, 10, ranges);
  }
  j.set_spool(8);
  j.restart(1, 0, {{"51", 120'000}, {"52", 120'000}});
  Journal again;
  BOOST_REQUIRE(again.replay(image(j)).ok());
  const auto& ahead = again.state().stream(1)->ahead;
  BOOST_REQUIRE(ahead.size() == 2u);
  BOOST_TEST((ahead[0].up_to == all));
  BOOST_TEST((ahead[1].up_to == all));
}

// The Local had lines that the journal lost with its torn end: the numbers of its batches jump.
BOOST_AUTO_TEST_CASE(a_fold_over_lines_that_the_journal_does_not_know) {
  Journal j;
  j.set_spool(7);
  j.add_stream("a", 0);
  j.add_batch(1, 3, 10, {{1, 0, 30, 3, 1, 1}});
  j.acked(1, 5);
  j.add_batch(1, 2, 10, {{1, 50, 70, 2, 1, 1}});
  Journal again;
  BOOST_REQUIRE(again.replay(image(j)).ok());
  BOOST_TEST((image(again) == image(j)));
  BOOST_TEST(again.state().stream(1)->next_seq == 7u);
  // What to read again is known behind them, and before them it is not.
  const StreamRecord& s = *again.state().stream(1);
  BOOST_TEST(again.state().cannot_restart(s, 5).empty());
  BOOST_TEST(again.state().cannot_restart(s, 7).empty());
  for (const uint64_t seq : {0, 1, 3, 4, 6, 8})
    BOOST_TEST(!again.state().cannot_restart(s, seq).empty());
}

BOOST_AUTO_TEST_CASE(a_lost_stream_goes_back_to_what_is_final) {
  Journal j;
  j.set_spool(7);
  j.add_stream("a", 0);
  j.add_stream("b", 0);
  FileRecord f = file_record(1, "identity-1", "/a");
  f.acked = f.final_ = {};
  j.put_file(f);
  j.add_batch(1, 3, 10, {{1, 0, 30, 3, 0x11, 0x12}});
  j.add_batch(1, 2, 10, {{1, 30, 50, 2, 0x21, 0x22}});
  j.add_batch(1, 2, 10, {{1, 50, 70, 2, 0x31, 0x32}});
  j.acked(1, 5);
  j.set_spool(8);
  BOOST_TEST(j.state().lost(*j.state().stream(1)));
  BOOST_TEST(!j.state().lost(*j.state().stream(2)));
  BOOST_TEST(j.state().cannot_restart(*j.state().stream(1), 4) ==
             "no batch of the journal ends there");
  BOOST_REQUIRE(j.state().cannot_restart(*j.state().stream(1), 3).empty());
  j.restart(1, 3);
  BOOST_CHECK((j.state().file(1)->acked == FilePosition{30, 0x11, 0x12}));
  BOOST_TEST(j.state().stream(1)->next_seq == 0u);
  BOOST_TEST(j.state().all_final());
}

BOOST_AUTO_TEST_CASE(replay_and_fold_give_the_same_state) {
  const uint64_t seed = os_random();
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (uint64_t round = 0; round < 40; ++round) {
      Wild wild(seed + round);
      std::string file = image(Journal());
      for (int i = 0; i < 120; ++i) {
        wild.step();
        file += wild.journal.unwritten();
        wild.journal.unwritten().clear();
      }
      const std::string now = image(wild.journal);
      BOOST_REQUIRE(replayed(file) == now);
      BOOST_REQUIRE(replayed(now) == now);  // a fold of a fold
    }
  }
}

// Any end may be missing; what is left is the state as it was then.
BOOST_AUTO_TEST_CASE(torn_ends) {
  Wild wild(1);
  std::string file = image(Journal());
  std::map<size_t, std::string> at = {{file.size(), image(Journal())}};
  for (int i = 0; i < 25; ++i) {
    wild.step();
    file += wild.journal.unwritten();
    wild.journal.unwritten().clear();
    at[file.size()] = image(wild.journal);
  }
  const size_t first = at.begin()->first;
  for (size_t cut = first; cut <= file.size(); ++cut) {
    Journal j;
    const auto r = j.replay(std::string_view(file).substr(0, cut));
    BOOST_REQUIRE(r.ok());
    BOOST_REQUIRE(r->good + r->torn == cut);
    if (at.contains(cut)) BOOST_REQUIRE(image(j) == at[cut]);
  }
  // Pages that never reached the disk read as zeros, with later ones intact behind them.
  std::string holed = file;
  const size_t hole = first + (file.size() - first) / 2;
  std::fill_n(holed.begin() + static_cast<std::ptrdiff_t>(hole), 64, '\0');
  BOOST_TEST(Journal().replay(holed).ok());
}

BOOST_AUTO_TEST_CASE(damage_below_what_was_durable_is_said) {
  Wild wild(2);
  for (int i = 0; i < 60; ++i) wild.step();
  wild.journal.unwritten().clear();
  const std::string folded = image(wild.journal);  // ends with the mark
  size_t refused = 0;
  for (size_t at = 0; at < folded.size(); ++at) {
    std::string bad = folded;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    const auto r = Journal().replay(bad);
    if (!r) ++refused;
    // The header's reserved bytes mean nothing; the mark itself is not covered by itself.
    const bool may_pass = (at >= 5 && at < 8) || at >= folded.size() - 17;
    BOOST_REQUIRE_MESSAGE(!r || may_pass, "a flip at " << at << " of " << folded.size());
  }
  BOOST_TEST(refused > folded.size() - 30);
  std::string newer = folded;
  newer[4] = 4;
  BOOST_CHECK(Journal().replay(newer).error().kind == Error::Kind::rejected);
}

BOOST_AUTO_TEST_CASE(on_the_disk) {
  const TempDir dir;
  const std::string path = dir / "agent.journal";
  asio::io_context road;
  std::string want;
  {
    Journal journal;
    JournalFile file(path, journal, 2000);
    BOOST_REQUIRE(file.open().ok());
    Worker worker(road, "journal");
    const auto keep = [&] {
      Result<void> result;
      spawn(road, "keep", [](JournalFile& f, Worker& w, Result<void>& r) -> asio::awaitable<void> {
        r = co_await f.keep(w);
      }(file, worker, result));
      road.restart();
      road.run();
      return result;
    };
    journal.set_spool(9);
    journal.add_stream("a", 0);
    journal.put_file(file_record(1, "i", "/p"));
    BOOST_REQUIRE(file.write().ok());
    uint64_t largest = 0;
    for (int i = 0; i < 300; ++i) {
      const auto at = static_cast<uint64_t>(i) * 10;
      journal.add_batch(1, 1, 5, {{1, at, at + 10, 1, 2, 3}});
      BOOST_REQUIRE(file.write().ok());
      if (i > 10) journal.acked(1, static_cast<uint64_t>(i - 10));
      if (i > 20) journal.final_at(1, static_cast<uint64_t>(i - 20));
      if (i % 10 == 0) BOOST_REQUIRE(keep().ok());
      largest = std::max(largest, file.bytes());
    }
    BOOST_TEST(largest < 20'000u);  // it was folded
    want = image(journal);
    BOOST_REQUIRE(file.write().ok());
  }
  {
    Journal journal;
    JournalFile file(path, journal);
    BOOST_REQUIRE(file.open().ok());
    BOOST_TEST((image(journal) == want));
  }
  // A torn end is cut off and written over.
  BOOST_REQUIRE(
      ::truncate(path.c_str(), ::lseek(open_file(path, O_RDONLY)->get(), 0, SEEK_END) - 3) == 0);
  {
    Journal journal;
    JournalFile file(path, journal);
    BOOST_REQUIRE(file.open().ok());
    journal.set_spool(9);
    BOOST_REQUIRE(file.write().ok());
    want = image(journal);
  }
  Journal journal;
  JournalFile file(path, journal);
  BOOST_REQUIRE(file.open().ok());
  BOOST_TEST((image(journal) == want));
}

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_nothing_half_written) {
  const TempDir dir;
  Journal journal;
  JournalFile file(dir / "j", journal);
  BOOST_REQUIRE(file.open().ok());
  journal.set_spool(9);
  BOOST_REQUIRE(file.write().ok());
  struct Limit {  // a file size limit stands in for the full disk
    rlimit before{};
    Limit() { ::getrlimit(RLIMIT_FSIZE, &before); }
    ~Limit() { ::setrlimit(RLIMIT_FSIZE, &before); }
  } restore;
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = restore.before;
  small.rlim_cur = file.bytes() + 10;
  BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  journal.add_stream("a-category-with-a-name", 0);
  const auto failed = file.write();
  BOOST_REQUIRE(!failed.ok());
  BOOST_CHECK(failed.error().kind == Error::Kind::retry_later);
  Journal reader;
  BOOST_TEST(reader.replay(*read_file(dir / "j", 1 << 20)).ok());
  BOOST_TEST(reader.state().local_id == 9u);
  BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &restore.before) == 0);
  BOOST_REQUIRE(file.write().ok());
  Journal later;
  BOOST_REQUIRE(later.replay(*read_file(dir / "j", 1 << 20)).ok());
  BOOST_TEST((image(later) == image(journal)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tailrace
