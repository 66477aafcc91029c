// Knows which lines were written, and looks at what readers can see. It knows nothing of positions,
// chains or epochs: a line is there once, in its file's order, or something is wrong. Thread: one.
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
  // After all: every written line was seen, and nothing else stands among the published files.
  void look_at_all(const testing::MemoryStore& store);

  [[nodiscard]] bool complete() const { return seen_ == written_; }
  // The first line that was not seen; empty: all were.
  [[nodiscard]] std::string missing() const;
  [[nodiscard]] uint64_t written() const { return written_; }
  [[nodiscard]] uint64_t seen() const { return seen_; }
  [[nodiscard]] size_t files() const { return files_.size(); }

 private:
  struct Source {
    uint64_t written = 0;
    std::vector<std::string> file_of;  // by line: where it was seen; empty: nowhere yet
  };
  void see(const std::string& line, const std::string& path, std::map<std::string, uint64_t>& last);

  World& world_;
  std::map<std::string, Source> sources_;
  std::set<std::string> files_;
  uint64_t written_ = 0;
  uint64_t seen_ = 0;
};

}  // namespace tailrace::sim
