// The Agent: watches files, reads them in batches, hands these to its Local, remembers how far it
// got. Thread: the road. docs/architecture.md, "Agent".
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/spool_loss.h"
#include "base/result.h"
#include "flow/batch.h"
#include "flow/connection.h"

namespace tailrace {

// Files of one category.
struct AgentSource {
  std::string category;
  std::vector<std::string> globs;    // absolute
  std::vector<std::string> exclude;  // globs over the whole path, or over the name if without '/'
  Codec codec = Codec::gzip;         // of the published files
  // Of the files that stand there when an agent without a past starts, those are read from their
  // beginning that were written to within this time; the others from their end. -1: all of them.
  int64_t start_within_ms = -1;
  bool low_latency = false;  // a batch each 50 ms instead of each tick
};

struct AgentSettings {
  std::vector<AgentSource> sources;
  std::string state_dir;                 // the journal's
  std::vector<std::string> never_below;  // absolute directories that are never watched
  uint32_t max_record_bytes = 1u << 20;  // a line without its newline
  uint32_t batch_bytes = 1u << 20;       // raw bytes at which a batch is closed
  int64_t tick_ms = 1000;
  size_t window_bytes = 4u << 20;  // sent and not yet acked
  int64_t scan_ms = 10'000;        // the net below inotify
  bool once = false;               // read each file to its size at first opening, then end
  SpoolLoss on_spool_loss = SpoolLoss::resume;
};

struct UnreadableFile {
  std::string path;
  std::string reason;
};

// What the agent did with one category's lines since it started.
struct AgentFlow {
  uint64_t taken = 0;        // read
  uint64_t waiting = 0;      // read, and the Local has not acked them
  uint64_t passed = 0;       // acked by the Local
  uint64_t unpublished = 0;  // read, and not committed at every required sink
  uint64_t bytes_unread = 0;
  int64_t oldest_unpublished_ms = -1;  // wall time when its first unpublished line was read
};

struct AgentStatus {
  uint64_t files = 0;       // known now
  uint64_t files_seen = 0;  // ever
  uint64_t bytes_read = 0;
  uint64_t lines_read = 0;
  uint64_t lines_final = 0;  // committed at every required sink
  uint64_t bytes_unread = 0;
  int64_t oldest_unread_ms = -1;  // wall time when the oldest unread byte was first seen; -1: none
  uint64_t split_lines = 0;
  uint64_t gaps = 0;                       // FILE_GAPs, each logged when found
  std::vector<UnreadableFile> unreadable;  // capped at 1,000
  uint64_t unreadable_count = 0;
  std::string held;      // not empty: holding, and why
  std::string retiring;  // not empty: of a lost spool it is not known yet what is final
  bool idle = false;     // all read and all final
  bool draining_for_good = false;
  std::map<std::string, AgentFlow> categories;
  bool connected = false;          // to the Local
  int64_t oldest_unacked_ms = -1;  // wall time when the first line was read that is not acked
  uint64_t refused = 0;            // by the Local: REJECTs
};

class Agent {
 public:
  // Opens a connection to the Local; called again, with pauses, whenever the last one ended.
  using Connect = std::function<Result<StreamSocket>()>;
  Agent(asio::io_context& road, AgentSettings settings, Connect connect);
  ~Agent();

  // Reads the journal; blocks. rejected or corrupt: a glob is none, the state belongs to somebody
  // else or is damaged (the text says what to do).
  Result<void> open();
  // Runs until leave(), or, with once or after drain(), until everything read is final or the agent
  // must hold (AgentStatus::held says why).
  asio::awaitable<void> run();
  // Read what stands in the files now, FLUSH, and end when all is final. Unlike with once, a last
  // line that has no newline yet waits in its file for the next start, unless its file is deleted.
  void drain();
  // The same for a host that is taken out of service: also a last line without newline is read, and
  // it does not end while it must hold.
  void drain_for_good();
  // Other files from now on, as after a restart: what is known of files goes on. rejected: a glob
  // is none, and nothing changes.
  Result<void> reload(std::vector<AgentSource> sources);
  // End now; what was not acked is read again next time.
  void leave();
  [[nodiscard]] AgentStatus status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::optional<std::vector<AgentSource>> next_sources_;  // of a reload
  AgentStatus earlier_;                                   // what was counted before it
};

}  // namespace tailrace
