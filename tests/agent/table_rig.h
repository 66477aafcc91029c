// Files as they come, move and go, with a real directory below and a Local that acks at once.
// Thread: one; writes to its own directory.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/batch_builder.h"
#include "agent/file_table.h"
#include "tests/agent/temp_dir.h"

namespace tailrace {

using Lines = std::vector<std::string>;

struct TableRig {
  explicit TableRig(std::string glob = "*.log", FileTableOptions o = {}) : options(o) {
    sources.push_back({"app", {dir / glob}, {}, Codec::gzip});
    rules.emplace(*SourceRules::compile(sources, {}));
    start();
  }
  // `forgetful`: the agent's journal was moved away, only the Local knows what it had.
  void start(bool forgetful = false) {
    table.reset();
    const std::string bytes = disk();
    journal = Journal();
    if (!forgetful) BOOST_REQUIRE(journal.replay(bytes).ok());
    session = std::make_unique<Session>(journal, 1 << 20);
    table = std::make_unique<FileTable>(*rules, sources, *session, options);
    scan();
    session->connected();
    session->welcome(local);
    BOOST_REQUIRE(session->live());
    table->place_all(clock);
  }
  // The journal as it stands, and what a Local would say after a restart.
  std::string disk() {
    WelcomePart w;
    w.local_id = journal.state().local_id != 0 ? journal.state().local_id : 1;
    w.last = true;
    for (const auto& [id, s] : journal.state().streams) {
      w.streams.push_back({id, s.category, 0, s.next_seq});
      w.committed.push_back({"sink", id, s.next_seq});
    }
    for (const auto& [id, f] : journal.state().files)
      w.files.push_back({id, f.identity, f.path, f.generation, f.acked});
    local = w;
    std::string out;
    journal.encode_all(out);
    return out;
  }
  void restart() { start(); }
  void scan() { table->scanned(walk_sources(*rules), clock); }
  // A second passes: writes are noticed as the watch would tell them, and all is read and acked.
  Lines second(std::initializer_list<const char*> looked = {}) { return pass(looked, true); }
  // A second in which nobody writes.
  Lines quiet_second(std::initializer_list<const char*> looked = {}) { return pass(looked, false); }
  Lines pass(std::initializer_list<const char*> looked, bool writing) {
    clock.mono_ms += 1000;
    clock.wall_ms += 1000;
    for (const char* name : looked) table->look(dir / name, clock);
    if (writing)
      for (const auto& e : std::filesystem::recursive_directory_iterator(dir.path()))
        table->written(e.path().string(), clock);
    table->tick(clock);
    return collect();
  }
  Lines collect() {
    Lines lines;
    for (table->sort_out(0); !table->queue(0).empty(); table->sort_out(0)) {
      builder.gather(table->queue(0), clock.wall_ms);
      if (!builder.empty()) {
        for (TailedFile* f : builder.files())
          if (f->id() == 0)
            f->set_id(session->define_file(f->identity(), f->path(), f->generation(), "app"));
        const Session::Place place = session->place("app");
        const BatchPtr batch =
            builder.finish(place.stream, place.first_seq, place.bucket, Codec::none, 0);
        session->append(batch, builder.ranges());
        std::string_view text = batch->payload;
        while (!text.empty()) {
          const size_t end = text.find('\n');
          lines.emplace_back(text.substr(0, end));
          text.remove_prefix(end + 1);
        }
        if (acking) {
          session->ack(place.stream, batch->fields.end_seq());
          session->committed({{"sink", place.stream, batch->fields.end_seq()}});
        }
      }
      for (TailedFile* f : builder.changed()) table->changed(*f, clock);
      for (const auto& f : builder.failed()) table->failed(*f.file, f.error, clock);
      for (TailedFile* f : builder.drained()) table->drained(*f);
    }
    return lines;
  }
  // A file that somebody has just written to; it waits to be read.
  TailedFile& written_file(const char* name) {
    table->written(dir / name, clock);
    return *table->queue(0).back();
  }
  // What the Local was told since the start.
  std::vector<Notice> gaps() {
    std::vector<Notice> out;
    for (const SessionAction& a : session->actions())
      if (a.kind == SessionAction::Kind::file_gap) out.push_back(a.gap);
    return out;
  }

  TempDir dir;
  std::vector<AgentSource> sources;
  std::optional<SourceRules> rules;
  FileTableOptions options;
  Journal journal;
  WelcomePart local;
  std::unique_ptr<Session> session;
  std::unique_ptr<FileTable> table;
  BatchBuilder builder{1 << 20, 1 << 20};
  FileTable::Clock clock{1'000'000, 1'700'000'000'000};
  bool acking = true;
};

inline void check(const Lines& got, const Lines& want, int line = __builtin_LINE()) {
  BOOST_TEST_CONTEXT("line " << line)
  BOOST_TEST(got == want, boost::test_tools::per_element());
}

}  // namespace tailrace
