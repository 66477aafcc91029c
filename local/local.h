// The Local: takes batches from its agent, makes them durable in the spool, forwards them to
// Centers. It never inflates. Thread: the road, with one worker for the spool's disk.
// docs/architecture.md, "Local".
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "flow/connection.h"
#include "flow/tally.h"

namespace tailrace {

struct LocalSettings {
  std::string spool_dir;
  std::string host;
  std::string cluster;  // uuid, hex16
  // Addresses of Centers, as Connect takes them: one that answers names those that own lanes.
  std::vector<std::string> centers;  // may be none if there is a `look_up`
  // Where the list of Centers that it has heard of is kept, so that a restart needs nobody to ask;
  // empty: nowhere.
  std::string list_path;
  uint64_t quota_bytes = 20ull << 30;    // and never more than 10 % of the disk
  uint64_t segment_bytes = 64ull << 20;  // and never more than an eighth of that, nor below 1 MiB
  // Where lines go, by uuid, if that is known before a Center says so: what the spool knows of
  // other sinks is forgotten, or the start refused if something is owed to them.
  std::vector<uint64_t> sinks;
  size_t window_bytes = 4u << 20;  // sent to a Center beyond its last answer, held in memory
};

struct LocalStatus {
  uint64_t local_id = 0;
  uint64_t spool_bytes = 0;
  uint64_t spool_quota_bytes = 0;
  uint64_t lines_taken = 0;      // this run
  uint64_t lines_committed = 0;  // this run, at the slowest sink
  uint64_t refused = 0;
  bool full = false;
  std::string trouble;  // not empty: the disk gives no room, and what it says
  std::string held;     // not empty: a stream holds, and why
  Tallies categories;
  std::map<std::pair<std::string, std::string>, uint64_t> lines_lost;  // by category and reason
  // Lines that a sink has not committed, by its name (or uuid) and category.
  std::map<std::pair<std::string, std::string>, uint64_t> waiting_at;
  // Lines that a sink which is not required misses, since the spool was full; the same keys.
  std::map<std::pair<std::string, std::string>, uint64_t> lines_given_up;
  double fills_bytes_per_second = 0;  // of the last minute; < 0: it empties
  bool agent_connected = false;
  std::string center;               // the names of those that are connected; empty: none is
  int64_t no_center_since_ms = -1;  // wall; -1: one is connected
  int64_t oldest_waiting_ms = -1;   // wall time since when the oldest uncommitted line waits here
};

class Local {
 public:
  // To the Center at an address: one of the settings', or one that a REDIRECT named.
  using Connect = std::function<asio::awaitable<Result<StreamSocket>>(std::string address)>;
  // Addresses of Centers, from wherever they are listed. Asked when none that is known answers.
  using LookUp = std::function<asio::awaitable<Result<std::vector<std::string>>>()>;
  Local(asio::io_context& road, LocalSettings settings, Connect connect_center,
        LookUp look_up = {});
  ~Local();

  // Recovers the spool. Blocks. fatal or rejected: text says what to do.
  Result<void> open();
  // Takes over one end of an agent's connection; a second agent is refused.
  void accept_agent(StreamSocket socket);
  // Runs until leave().
  asio::awaitable<void> run();
  // Writes SNAPSHOT and CLEAN_SHUTDOWN, then run() ends.
  void leave();
  [[nodiscard]] LocalStatus status() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // its coroutines hold it too
  bool left_ = false;
};

}  // namespace tailrace
