// Knows which lines were written, and looks at what readers can see. It knows nothing of positions,
// chains or epochs: a line is there once, in its file's order, or something is wrong. What a Center
// held of a host that died must be there too, unless that Center's session was over (I15).
// Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/world.h"
#include "tests/sinks/memory_store.h"

namespace tailrace::sim {

class Judge {
 public:
  explicit Judge(World& world) : world_(world) {}

  // The next line of that file, as it stands in it.
  std::string write(const std::string& source);
  // Somebody may have published `path` just now.
  void look(const testing::MemoryStore& store, const std::string& path);
  // A reader has got these lines of a topic's partition, behind those before.
  void read(const std::string& partition, const std::string& lines);
  // After a power cut of the store: what a published file showed is to be seen again if it is gone.
  void look_again(const testing::MemoryStore& store);
  // After all: every written line was seen, and nothing else stands among the published files.
  void look_at_all(const testing::MemoryStore& store);

  // That line, or all of that host, need not be seen any more.
  void excuse_line(const std::string& line);
  void excuse_host(const std::string& host);
  // Somebody took that published file away: it was his.
  void taken(const std::string& path) { taken_.insert(path); }
  // That file was committed, and somebody took it away before anybody could publish it: its lines
  // are lost, and nothing else.
  void lost(const std::string& path, const std::string& bytes);
  // A Center's session with its store begins, takes lines (told only if somebody wants to know),
  // and is over without having been stopped in order.
  using Session = uint64_t;
  Session begin() { return ++sessions_; }
  bool told_of_batches = false;
  void received(Session by, const std::string& lines);
  void over(Session session);
  // A host is gone, and the session holds the last `n` lines of a category that it received of it.
  void owes(Session by, const std::string& host, const std::string& category, uint64_t n);

  [[nodiscard]] bool knows(const std::string& path) const { return files_.contains(path); }
  [[nodiscard]] bool complete() const { return seen_ + excused_ == written_; }
  // The first line that was not seen; empty: all were.
  [[nodiscard]] std::string missing() const;
  // Lines of that host and category that were not seen, and not taken away by somebody.
  [[nodiscard]] uint64_t missing(const std::string& host, const std::string& category) const;
  [[nodiscard]] uint64_t written() const { return written_; }
  [[nodiscard]] uint64_t seen() const { return seen_; }
  [[nodiscard]] size_t files() const { return files_.size(); }

 private:
  struct Source {
    uint64_t written = 0;
    std::vector<std::string> file_of;  // by line: where it was seen; empty: nowhere yet
    std::vector<bool> excused;
  };
  struct Lines {  // of one source in one file: the first, and the one behind the last
    uint64_t first = 0;
    uint64_t end = 0;
  };
  using Seen = std::map<std::string, Lines>;
  void see(const std::string& line, const std::string& path, Seen& seen);
  void look_at_order();
  void look_at_debts();
  void excuse(Source& source, uint64_t line);

  World& world_;
  std::map<std::string, Source> sources_;
  std::set<std::string> taken_;
  std::set<std::string> lost_;              // lines
  std::map<std::string, uint64_t> hashes_;  // of what was seen
  std::map<std::string, uint64_t> gone_;    // of those that a power cut took
  std::map<std::string, Seen> files_;       // by path
  std::map<std::string, Seen> topics_;      // by partition
  std::map<Session, std::map<std::string, std::vector<std::string>>> received_;  // by source group
  std::map<Session, std::vector<std::string>> debts_;
  Session sessions_ = 0;
  uint64_t written_ = 0;
  uint64_t seen_ = 0;
  uint64_t excused_ = 0;  // and not seen
};

}  // namespace tailrace::sim
