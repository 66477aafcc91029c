// Hears of new names and of writes in folders (inotify). A hint only: whatever it misses, the scan
// finds. Names are told at once; writes are collected and asked for once a tick, so that a busy
// writer wakes nobody. Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace tailrace {

class FileWatch {
 public:
  explicit FileWatch(asio::io_context& road);
  // rejected or retry_later: inotify is not to be had (the text names the sysctl); scans must do.
  Result<void> open();

  // To be called with each scan. True if the folder that stands there now was not watched before:
  // what happened in it earlier was not told.
  bool watch_directory(const std::string& path);
  // Writes to a file outside the watched folders (a symlink's target); told as writes to `path`.
  void watch_target(const std::string& target, const std::string& path);

  struct Names {
    std::vector<std::string> paths;  // made, renamed or removed: to be looked at
    bool scan = false;               // folders came or went, or events were lost
    void clear() {
      paths.clear();
      scan = false;
    }
  };
  // Waits for names; closed after close().
  asio::awaitable<Result<void>> wait(Names& into);
  // Calls `written` for each path written to since the last call (once or more often). False:
  // events were lost, any file may have been written to.
  bool collect_writes(const std::function<void(std::string_view path)>& written);
  void close();

 private:
  // One inotify descriptor and what it watches.
  struct Queue {
    explicit Queue(asio::io_context& road) : descriptor(road) {}
    asio::posix::stream_descriptor descriptor;
    std::unordered_map<int, std::string> paths;    // by watch
    std::unordered_map<std::string, int> watches;  // by path
    // Nothing: it failed (errno). False: that is watched already.
    std::optional<bool> add(const std::string& path, const std::string& told_as, uint32_t mask);
    // A name leads there no more; others may.
    void leave(int watch);
    void drop(int watch);
  };
  Result<void> open_queue(Queue& queue);
  // False: nothing more to read now.
  bool read_names(Names& into);
  void complain(int error, const std::string& path);

  Queue names_;
  Queue writes_;
  std::vector<char> buffer_;
  std::string path_;
  bool complained_ = false;
};

}  // namespace tailrace
