// One Local of a measurement: the machines that ship (a spool and its uplinks) over real sockets,
// but for the disk: what the spool wants written is taken for written. So a process carries
// thousands of them. Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bell.h"
#include "flow/connection.h"
#include "local/spool.h"
#include "local/uplinks.h"

namespace tailrace::bench {

// A batch's payload, the same for many: lines, compressed once.
struct LoadPayload {
  std::string bytes;
  uint32_t raw_bytes = 0;
  uint32_t lines = 0;
  uint32_t crc = 0;
};

struct LoadOptions {
  std::string cluster;  // hex16
  std::vector<std::string> centers;
  std::vector<std::string> categories;
  uint64_t most_waiting = 64;  // batches that are not committed; then nothing more is made
};

class LoadLocal : public std::enable_shared_from_this<LoadLocal> {
 public:
  // `options` must outlive it.
  LoadLocal(asio::io_context& road, const LoadOptions& options, uint64_t number);

  // Connects, and stays so.
  void start();
  // Makes a batch. False: too many wait already.
  bool make(size_t category, const LoadPayload& payload);
  void flush();
  void tick();
  // From now on counts what it sends, and which lines that it has now are not yet committed.
  void mark();

  [[nodiscard]] bool welcomed() const { return !uplinks_->centers().empty(); }
  [[nodiscard]] bool sent_since_mark() const { return sent_since_mark_; }
  [[nodiscard]] uint64_t streams_behind_mark() const;
  [[nodiscard]] uint64_t lines_made() const { return lines_made_; }
  [[nodiscard]] uint64_t lines_committed() const { return uplinks_->delivery().lines_committed; }
  [[nodiscard]] uint64_t bytes_made() const { return bytes_made_; }
  // Of DATA frames: more than was made is what was sent again.
  [[nodiscard]] uint64_t bytes_sent() const { return bytes_sent_; }
  [[nodiscard]] size_t connections() const { return standing_.size(); }
  [[nodiscard]] std::string held() const { return uplinks_->delivery().held(); }

 private:
  struct Stream {
    uint64_t next = 0;
    uint64_t bytes = 0;    // of its made-up file
    uint64_t at_mark = 0;  // what it had then
  };
  void commit_groups();
  void settle(const std::string& address);
  void settle_all();
  asio::awaitable<void> serve();
  asio::awaitable<void> serve_center(std::string address, std::shared_ptr<LoadLocal> self);
  asio::awaitable<Result<StreamSocket>> connect(const std::string& address);
  [[nodiscard]] uint64_t committed(StreamId stream) const;

  asio::io_context& road_;
  const LoadOptions& options_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Uplinks> uplinks_;
  Bell bell_;
  std::map<std::string, std::shared_ptr<Connection>> standing_;
  UplinkActions actions_;
  std::vector<Stream> streams_;  // by category
  uint64_t lines_made_ = 0;
  uint64_t batches_made_ = 0;
  uint64_t lines_a_batch_ = 1;
  uint64_t bytes_made_ = 0;
  uint64_t bytes_sent_ = 0;
  bool sent_since_mark_ = false;
};

}  // namespace tailrace::bench
