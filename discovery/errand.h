// A few questions to ZooKeeper by somebody who does not stay: a session of its own, one question
// after another, then it ends. Thread: the road.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "discovery/servers.h"
#include "discovery/zookeeper_call.h"

namespace tailrace {

class Errand {
 public:
  Errand(asio::io_context& road, const ZooKeeperSettings& settings, int64_t most_ms);
  ~Errand();
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  // One at a time. retry_later: no answer until `most_ms` after the construction; rejected: the
  // session is refused; closed: cancelled. Whatever ZooKeeper says about the request itself is a
  // reply; of `lost` it is not known whether it was done.
  asio::awaitable<Result<ZooReply>> ask(ZooRequest request);
  // What is asked ends at once, as all that is asked later.
  void cancel();
  // Leaves. Without it the destructor does, and blocks.
  asio::awaitable<void> end();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A Local's look at the Centers that are there: reads and leaves.
class CenterLookUp {
 public:
  CenterLookUp(asio::io_context& road, ZooKeeperSettings settings)
      : road_(road), settings_(std::move(settings)) {}

  // Addresses of at most `most` of them, chosen at random, so that a fleet that looks at once does
  // not go to one of them: Centers name the others. What cannot be believed is passed over. One at
  // a time; this must outlive it.
  asio::awaitable<Result<std::vector<std::string>>> look(size_t most);
  void cancel();

 private:
  asio::io_context& road_;
  ZooKeeperSettings settings_;
  std::shared_ptr<Errand> errand_;
};

}  // namespace tailrace
