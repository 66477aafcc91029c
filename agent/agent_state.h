// The agent's shell: what it holds and its loops, each a coroutine. Private to agent/agent*.cc.
// Thread: the road.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/batch_builder.h"
#include "agent/file_table.h"
#include "agent/file_watch.h"
#include "agent/journal_file.h"
#include "agent/session.h"
#include "agent/source_rules.h"
#include "base/age_track.h"
#include "base/bell.h"
#include "base/clock.h"
#include "base/sparingly.h"
#include "base/worker.h"

namespace tailrace {

struct Agent::State {
  State(asio::io_context& r, AgentSettings s, Connect c)
      : road(r),
        settings(std::move(s)),
        connect(std::move(c)),
        journal_file(settings.state_dir + "/agent.journal", journal),
        builder(settings.batch_bytes, settings.max_record_bytes),
        watch(r),
        worker(r, "agent"),
        ended(r),
        read_bell(r),
        tick_bell(r),
        low_bell(r),
        scan_bell(r),
        soon_bell(r),
        journal_bell(r),
        connect_bell(r) {}

  Result<void> open();
  asio::awaitable<void> run();
  void leave();
  void drain();
  void begin_drain();
  AgentStatus status() const;

  // --- the loops, one coroutine each
  void start(const char* name, asio::awaitable<void> task);
  asio::awaitable<void> until_ended(asio::awaitable<void> task);
  asio::awaitable<void> read_files();
  asio::awaitable<void> keep_time();
  asio::awaitable<void> keep_low_latency();
  asio::awaitable<void> scan_files();
  asio::awaitable<void> hear_names();
  asio::awaitable<void> keep_journal();
  asio::awaitable<void> keep_connection();
  asio::awaitable<void> serve(StreamSocket socket);

  // --- steps
  bool read_step();
  std::optional<size_t> next_due();
  void send_batch(size_t category, int64_t wall);
  void say_split(const std::string& category);
  void take_tick();
  void hear_writes(FileTable::Clock clock);
  void note_ages(int64_t wall_ms);
  void note_due();
  void place_if_known();
  void carry_out(bool all);
  void after_loss();
  void look_for_end();
  void complain(const std::string& text);

  asio::io_context& road;
  AgentSettings settings;
  Connect connect;
  std::optional<SourceRules> rules;
  Journal journal;
  JournalFile journal_file;
  std::optional<Session> session;
  std::optional<FileTable> table;
  BatchBuilder builder;
  FileWatch watch;
  Worker worker;
  std::unique_ptr<Connection> connection;

  // Why a category's queue is read now.
  enum class Due : uint8_t {
    no,
    whole,  // the tick: until it is empty
    full,   // for as long as it fills batches
  };
  std::vector<Due> due;
  std::vector<bool> low_latency;  // by category
  size_t turn = 0;                // whose turn it is among the categories
  bool watching = false;
  bool settled = false;  // what the Local's first answer changed in the journal is durable
  bool placed = false;
  bool drain_asked = false;  // begins behind one more look at all names
  bool draining = false;
  bool for_good = false;  // the host is taken out of service
  bool flushed = false;
  bool leaving = false;
  bool journal_stuck = false;  // the last write failed: nothing is read until it succeeds
  uint64_t losses_seen = 1;    // Session::losses(), and what of it is durable
  uint64_t losses_kept = 0;
  int64_t retiring_ms = -1;  // mono: since when it is not known what of a lost spool is final
  std::string refusal;       // why the Local closed the last connection
  int64_t complained_ms = INT64_MIN / 2;
  int64_t pinged_ms = 0;
  uint64_t bytes_read = 0;
  uint64_t lines_read = 0;
  uint64_t split_lines = 0;
  Sparingly splits;  // by category
  uint64_t refused = 0;
  AgeTrack unacked;
  std::map<std::string, AgeTrack> unpublished;  // by category

  int running = 0;
  Bell ended, read_bell, tick_bell, low_bell, scan_bell, soon_bell, journal_bell,
      connect_bell;  // one waiter each
};

}  // namespace tailrace
