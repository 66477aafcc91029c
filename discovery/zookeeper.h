// ZooKeeper's C client, and nothing of it in sight: one session at a time, asynchronous calls, its
// threads only post to the road. Sessions have numbers of ours, so that what comes late of an old
// one is known as such. It has no time-outs of its own: whoever asks has a clock. Thread: the road;
// the handle is a worker's.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/worker.h"
#include "discovery/servers.h"
#include "discovery/zookeeper_call.h"

namespace tailrace {

inline constexpr size_t kMostNodeBytes = 64u
                                         << 10;  // an oversized write looks like a lost connection

class ZooKeeper {
 public:
  // `on_event` is called on the road, never from inside a call of this class.
  ZooKeeper(asio::io_context& road, const ZooKeeperSettings& settings,
            std::function<void(ZooEvent)> on_event);
  // Ends the session, so that its ephemerals go; waits for ZooKeeper for 3 s at most.
  ~ZooKeeper();
  ZooKeeper(const ZooKeeper&) = delete;
  ZooKeeper& operator=(const ZooKeeper&) = delete;

  // `session`: larger than all before. The one before must have been closed.
  void open(uint64_t session);
  void close();
  // Closes; once it returns the destructor has nothing to wait for.
  asio::awaitable<void> end();
  // Of the session that is open. Exactly one reply follows; a value of more than kMostNodeBytes is
  // refused before anything is sent.
  void request(ZooRequest request);

 private:
  struct Inbox;
  struct Handle;
  ZooKeeperServers servers_;
  std::string auth_;
  int64_t session_ms_;
  asio::io_context& road_;
  std::shared_ptr<Inbox> inbox_;
  std::shared_ptr<Handle> handle_;  // null: no session
  Worker worker_;                   // last: it ends first
};

}  // namespace tailrace
